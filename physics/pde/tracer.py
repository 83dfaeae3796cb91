"""Closed forms of the transport of a tracer: the oracles of the finite-volume solver."""

import numpy as np
from scipy.special import erfc, erfcx


def ogata_banks(position, time, *, velocity: float, diffusion: float):
    """Concentration over inlet concentration in a half-infinite column, inlet held at 1 from t = 0.

    position    any          x >= 0, m
    time        broadcasts   t > 0, s
    velocity                 u, m/s
    diffusion                D > 0, m^2/s
    returns     as given     in [0, 1]

        (1/2) [erfc((x - u t)/(2 sqrt(D t))) + e^(u x/D) erfc((x + u t)/(2 sqrt(D t)))]      (Ogata and Banks 1961)

    The second term is formed as e^(-(x - u t)^2/(4 D t)) erfcx(...), which cannot overflow.
    """
    position, time = np.asarray(position, dtype=float), np.asarray(time, dtype=float)
    if not diffusion > 0 or np.any(time <= 0):
        raise ValueError(f"ogata_banks: diffusion {diffusion} m^2/s and times from {np.min(time)} s; expected positive values.")
    width = 2.0 * np.sqrt(diffusion * time)
    ahead, behind = (position - velocity * time) / width, (position + velocity * time) / width
    return 0.5 * (erfc(ahead) + np.exp(-(ahead**2)) * erfcx(behind))


def lindstrom(position, time, *, velocity: float, diffusion: float):
    """Concentration over feed concentration in a half-infinite column behind a Danckwerts inlet, fed from t = 0.

    position    any          x >= 0, m
    time        broadcasts   t > 0, s
    velocity                 u, m/s
    diffusion                D > 0, m^2/s
    returns     as given     in [0, 1]

        with a = (x - u t)/(2 sqrt(D t)), b = (x + u t)/(2 sqrt(D t)):
        (1/2) erfc(a) + sqrt(u^2 t/(pi D)) e^(-a^2) - (1/2)(1 + u x/D + u^2 t/D) e^(u x/D) erfc(b)   (Lindstrom et al. 1967)
    """
    position, time = np.asarray(position, dtype=float), np.asarray(time, dtype=float)
    if not diffusion > 0 or np.any(time <= 0):
        raise ValueError(f"lindstrom: diffusion {diffusion} m^2/s and times from {np.min(time)} s; expected positive values.")
    width = 2.0 * np.sqrt(diffusion * time)
    ahead, behind = (position - velocity * time) / width, (position + velocity * time) / width
    growth = 1.0 + velocity * (position + velocity * time) / diffusion
    gauss = np.exp(-(ahead**2))
    crest = np.sqrt(velocity**2 * time / (np.pi * diffusion))
    return 0.5 * erfc(ahead) + crest * gauss - 0.5 * growth * gauss * erfcx(behind)


def decaying_steady_state(position, *, velocity: float, diffusion: float, rate: float):
    """Steady concentration over inlet concentration of a tracer that decays at first order, half-infinite column.

    position    any        x >= 0, m
    rate                   k, 1/s
    returns     as given

        e^(x u/(2 D) (1 - sqrt(1 + 4 k D/u^2)))
    """
    root = np.sqrt(1.0 + 4.0 * rate * diffusion / velocity**2)
    return np.exp(np.asarray(position) * velocity / (2.0 * diffusion) * (1.0 - root))
