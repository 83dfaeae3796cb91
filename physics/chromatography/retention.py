"""Retention factors as functions of temperature: the K-centric model, its twin in A, B, C, and its fit."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import root_scalar

GAS_CONSTANT = 8.31446261815324  # J/(mol K)


@dataclass(frozen=True)
class Retention:
    """K-centric parameters of several solutes on one phase (Blumberg and Klee 2001); arrays of one length, kelvin."""

    characteristic: np.ndarray  # (solute,)   Tc, K: where k = phi/phi0
    slope: np.ndarray  # (solute,)   theta, K: dT for a change of ln k by -1 at Tc
    heat_capacity: np.ndarray  # (solute,)   dCp, J/(mol K)
    phase_ratio: float = 1.0  # phi/phi0: film per diameter of this column over that of the parameters

    def __post_init__(self):
        shapes = {np.shape(value) for value in (self.characteristic, self.slope, self.heat_capacity)}
        if len(shapes) != 1 or len(shapes.copy().pop()) != 1:
            raise ValueError(f"Retention: parameters of shapes {sorted(shapes)}, expected three arrays of one length.")
        if np.min(self.characteristic) < 150 or np.min(self.slope) <= 0:
            raise ValueError(
                f"Retention: lowest characteristic temperature {np.min(self.characteristic):g} K, lowest slope "
                f"{np.min(self.slope):g} K. Kelvin are expected: add 273.15 to characteristic temperatures in Celsius."
            )

    def factor(self, temperature) -> np.ndarray:
        """k at temperatures in K.

        temperature   ()  or (1, ...) for all solutes alike, (solute, ...) for each its own
        returns       (solute, ...)

            ln(k phi0/phi) = (dCp/Rg + Tc/theta)(Tc/T - 1) + (dCp/Rg) ln(T/Tc)
        """
        temperature = np.atleast_1d(np.asarray(temperature, dtype=float))
        axes = (slice(None),) + (None,) * (temperature.ndim - 1)
        center, slope, capacity = (
            np.asarray(value, dtype=float)[axes] for value in (self.characteristic, self.slope, self.heat_capacity)
        )
        capacity = capacity / GAS_CONSTANT
        logarithm = (capacity + center / slope) * (center / temperature - 1.0) + capacity * np.log(temperature / center)
        return self.phase_ratio * np.exp(logarithm)


def thermodynamic_coefficients(retention: Retention) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, B, C of the equivalent  ln k = A + B/T + C ln T  (T in K), each (solute,)."""
    center, capacity = np.asarray(retention.characteristic), np.asarray(retention.heat_capacity) / GAS_CONSTANT
    steep = capacity + center / np.asarray(retention.slope)
    return np.log(retention.phase_ratio) - steep - capacity * np.log(center), steep * center, capacity


def fit_retention(temperature: np.ndarray, log_factor: np.ndarray) -> tuple[float, float, float]:
    """Tc (K), theta (K) and dCp (J/(mol K)) of one solute from isothermal ln k, by least squares.

    temperature   (point,)   K, at least three distinct ones
    log_factor    (point,)   ln k on the phase ratio that the parameters shall refer to

    ln k = A + B/T + C ln T is linear: it is solved first, then Tc is where it crosses zero.
    """
    temperature, log_factor = np.asarray(temperature, dtype=float), np.asarray(log_factor, dtype=float)
    if len(np.unique(temperature)) < 3:
        raise ValueError(f"{len(np.unique(temperature))} distinct temperatures, expected at least 3 for three parameters.")
    scale = np.mean(temperature)
    relative = temperature / scale
    design = np.stack([np.ones_like(relative), 1.0 / relative, np.log(relative)], axis=1)
    a, b, c = np.linalg.lstsq(design, log_factor, rcond=None)[0]
    root = root_scalar(
        lambda t: a + b / t + c * np.log(t), fprime=lambda t: (c - b / t) / t, x0=1.0, method="newton", xtol=1e-15, maxiter=100
    )
    if not root.converged or not root.root > 0:
        raise ValueError("ln k never crosses zero: no characteristic temperature. Check the units: natural logarithms, kelvin.")
    crossing = float(root.root)
    return crossing * scale, scale * crossing**2 / (b - c * crossing), float(c) * GAS_CONSTANT
