"""How a fit searches: bounds, prior knowledge, baseline, noise, treatment of outliers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from medidiff.errors import ConfigError

LOSSES = ("linear", "soft_l1")


@dataclass(frozen=True)
class Search:
    """Options of a fit; quantities by the names of `parameters.FREE`, SI units."""

    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # name -> lowest, highest; default: `limits`
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # name -> mean, standard deviation
    baseline: int = 1  # degree of the baseline over the whole axis; -1 for none
    noise: float = 0.0  # standard deviation of the signal; 0 estimates it from the signal
    loss: str = "linear"  # or soft_l1: outliers beyond a few deviations count less
    iterations: int = 200  # at most; ten serve where all is determined

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ConfigError(f"fit.loss: found {self.loss}, expected {' or '.join(LOSSES)}.")
        if not -1 <= self.baseline <= 9 or self.noise < 0 or self.iterations < 1:
            raise ConfigError(
                f"fit: baseline {self.baseline}, noise {self.noise}, iterations {self.iterations}; expected a degree from -1 "
                "to 9, a noise of 0 or more, and at least one iteration."
            )
