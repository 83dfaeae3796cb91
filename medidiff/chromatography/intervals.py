"""Every parameter of a fit with its uncertainties side by side: covariance, profile likelihood, block bootstrap."""

from torch import Tensor

from medidiff.chromatography.bootstrap import Bootstrap
from medidiff.chromatography.fit import Fit
from medidiff.chromatography.parameters import LOGARITHMIC
from medidiff.chromatography.profile import LEVEL, Profile


def intervals(fit: Fit, *, profile: Profile | None = None, bootstrap: Bootstrap | None = None) -> dict[str, dict[str, float]]:
    """Value, standard deviation and 95 % interval (low, high) of each parameter but the baseline's, by its name.

    profile     adds profile_low and profile_high, infinite where the data leave that side open
    bootstrap   adds bootstrap_low and bootstrap_high

    All in the parameter's own unit; intervals of k, kd, hold-up time and dispersion are symmetric in the logarithm.
    """
    found = {}
    for i, (name, label) in enumerate(zip(fit.names, fit.labels)):
        if label[0] == "baseline":
            continue
        reach = LEVEL * fit.uncertainty.deviations[0, i]
        ends: dict[str, Tensor] = {"value": fit.values[i], "low": fit.values[i] - reach, "high": fit.values[i] + reach}
        if profile is not None:
            ends |= {"profile_low": profile.low[i], "profile_high": profile.high[i]}
        if bootstrap is not None:
            ends |= {"bootstrap_low": bootstrap.intervals[0, i], "bootstrap_high": bootstrap.intervals[1, i]}
        shown = {key: float(end.exp() if label[0] in LOGARITHMIC else end) for key, end in ends.items()}
        found[name] = shown | {"deviation": fit.deviation(*label)}
    return found
