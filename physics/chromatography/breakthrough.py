"""Closed-form breakthrough of a constant feed: Thomas' solution for Langmuir kinetics, Bohart and Adams' for a sink."""

import numpy as np
from scipy.stats import ncx2

from physics.chromatography.kernel import goldstein_j


def thomas(elapsed, *, units: float, desorption: float, loading: float):
    """Outlet over feed concentration of a column fed from t = 0 with a Langmuir solute, no dispersion.

    elapsed      any       t - tM, s, since the unretained front would leave
    units                  N = k kd tM, transfer units at infinite dilution, no unit
    desorption             kd, 1/s
    loading                K c0/qmax, no unit; 0 is the linear column
    returns      as given  X = C/c0 in [0, 1]

        X = J(r N, tau) / (J(r N, tau) + (1 - J(N, r tau)) e^((r - 1)(tau - N)))
        r = 1/(1 + loading),     tau = kd (1 + loading)(t - tM)      (Thomas 1944; Goldstein 1953)
    """
    if units <= 0 or desorption <= 0 or loading < 0:
        raise ValueError(f"thomas: units {units}, desorption {desorption}, loading {loading}; expected > 0, > 0, >= 0.")
    r = 1.0 / (1.0 + loading)
    tau = desorption * (1.0 + loading) * np.maximum(np.asarray(elapsed, dtype=float), 0.0)
    ahead = goldstein_j(r * units, tau)
    behind = np.where(tau == 0.0, -np.expm1(-units), ncx2.cdf(2.0 * units, 2, 2.0 * np.maximum(r * tau, 1e-300)))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = np.exp((r - 1.0) * (tau - units) + np.log(behind) - np.log(ahead))
        answer = np.where(behind == 0.0, 1.0, 1.0 / (1.0 + ratio))
    return np.where(np.asarray(elapsed) < 0, 0.0, answer)


def bohart_adams(elapsed, *, uptake: float, sites: float):
    """Outlet over feed concentration of a column whose film binds for ever, q_t = ka c (1 - q/qmax), no dispersion.

    elapsed   any       t - tM, s
    uptake              ka c0/qmax, 1/s: rate at which free sites fill in the feed
    sites               alpha ka tM, no unit: transfer units of the fresh column
    returns   as given  X = C/c0

        X = e^T/(e^T + e^S - 1),     T = uptake (t - tM),     S = sites      (Bohart and Adams 1920)
    """
    if uptake <= 0 or sites <= 0:
        raise ValueError(f"bohart_adams: uptake {uptake} 1/s and sites {sites}; expected positive numbers.")
    filled = uptake * np.asarray(elapsed, dtype=float)
    with np.errstate(over="ignore"):
        curve = 1.0 / (1.0 + np.exp(sites - filled) * -np.expm1(-sites))
    return np.where(filled < 0, 0.0, curve)


def stoichiometric_time(hold_up: float, *, retention: float, loading: float) -> float:
    """Time at which a shock of constant feed leaves, tM (1 + k/(1 + K c0/qmax)), s: where every breakthrough curve balances.

    hold_up     tM, s
    retention   k at infinite dilution
    loading     K c0/qmax
    """
    return hold_up * (1.0 + retention / (1.0 + loading))
