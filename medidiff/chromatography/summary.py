"""A fit as plain numbers and sentences, for a record or a page."""

from collections.abc import Sequence

import numpy as np
import torch

from medidiff.chromatography.bootstrap import Bootstrap
from medidiff.chromatography.fit import Fit
from medidiff.chromatography.noise import durbin_watson
from medidiff.chromatography.parameters import FREE, LOGARITHMIC, PER_PEAK
from medidiff.chromatography.profile import LEVEL, Profile
from physics.chromatography.inversion import mean_and_variance


def summarise(fit: Fit, profile: Profile | None = None, bootstrap: Bootstrap | None = None) -> dict:
    """The fit as nested dicts of floats, lists and strings.

    analytes    one dict each: name, retention_time_s (mean), standard_deviation_s, transfer_units, and for retention,
                desorption_per_s and area: value, deviation, low, high (95 %: the profile's, else 1.96 deviations),
                with a bootstrap also its deviation
    shared      the same for hold-up time and the instrument's times, `is_fixed` where they were not fitted
    goodness    of `goodness`
    """
    mean, variance = mean_and_variance(fit.peaks)
    units = fit.peaks.retention * fit.peaks.desorption * fit.peaks.hold_up
    quantities = {"retention": "retention", "desorption": "desorption_per_s", "dispersion": "dispersion", "area": "area"}
    analytes = []
    for i, name in enumerate(fit.analytes):
        entry = {
            "name": name,
            "retention_time_s": float(mean[0, i]),
            "standard_deviation_s": float(variance[0, i].sqrt()),
            "transfer_units": float(units[0, i]),
        }
        fitted = {key: (quantity, i) for quantity, key in quantities.items() if (quantity, i) in fit.labels}
        analytes.append(entry | {key: _known(fit, label, profile, bootstrap) for key, label in fitted.items()})
    shared = {}
    for quantity in (name for name in FREE if name not in PER_PEAK):
        if (quantity, None) in fit.labels:
            shared[f"{quantity}_s"] = _known(fit, (quantity, None), profile, bootstrap) | {"is_fixed": False}
        else:
            shared[f"{quantity}_s"] = {"value": float(getattr(fit.peaks, quantity).reshape(-1)[0]), "is_fixed": True}
    return {
        "analytes": analytes,
        "shared": shared,
        "goodness": goodness(fit),
        "condition": float(fit.uncertainty.condition[0]),
        "converged": fit.converged,
        "iterations": fit.iterations,
        "statements": list(fit.statements),
    }


def goodness(fit: Fit) -> dict[str, float]:
    """How well the curve fits all samples of the window that have weight.

    SSE, R2 = 1 - SSE/SS_tot, chi2_red = SSE/(noise^2 (n - q)), AIC = n ln(SSE/n) + 2 q, BIC = n ln(SSE/n) + q ln n, Durbin-Watson
    """
    kept = fit.problem.weights[0] > 0
    residual, signal = fit.residual[kept], fit.problem.signal[0][kept]
    count, parameters = len(residual), len(fit.values)
    squares = max(float((residual**2).sum()), np.finfo(float).tiny)
    likelihood = count * np.log(squares / count)
    return {
        "from_s": float(fit.problem.times[0]),
        "until_s": float(fit.problem.times[-1]),
        "samples": count,
        "parameters": parameters,
        "noise": fit.noise,
        "sigma": fit.sigma,
        "sse": squares,
        "r2": 1 - squares / float(((signal - signal.mean()) ** 2).sum()),
        "chi2_red": squares / (fit.noise**2 * max(1, count - parameters)),
        "aic": float(likelihood + 2 * parameters),
        "bic": float(likelihood + parameters * np.log(count)),
        "durbin_watson": float(durbin_watson(residual)),
    }


def _known(fit: Fit, label: tuple[str, int | None], profile: Profile | None, bootstrap: Bootstrap | None) -> dict[str, float]:
    """Value, deviation and 95 % interval of one parameter in its own unit."""
    i, is_log = fit.labels.index(label), label[0] in LOGARITHMIC
    value, deviation = fit.values[i], fit.uncertainty.deviations[0, i]
    ends: Sequence[torch.Tensor] = (value - LEVEL * deviation, value + LEVEL * deviation)
    if profile is not None:
        ends = profile.low[i], profile.high[i]
    low, value, high = (float(each.exp() if is_log else each) for each in (ends[0], value, ends[1]))
    result = {"value": value, "deviation": fit.deviation(*label), "low": low, "high": high}
    if bootstrap is not None:
        result["bootstrap_deviation"] = float(bootstrap.deviations[i]) * (value if is_log else 1.0)
    return result
