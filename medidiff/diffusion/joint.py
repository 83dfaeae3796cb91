"""Two priors and the sum of their images: y = x + gain h + noise, as tissue under haze. Both are sampled together.

The state holds both images in its channels, x first; samplers see one denoiser as always.

    q = (V_x + gain^2 V_h + sy^2)^-1,   r = y - D_x - gain D_h:     x = D_x + V_x q r,    h = D_h + gain V_h q r

exact where V_x and V_h are the posterior variances of two Gaussian priors that are diagonal together.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, Limits, limits_of, predict
from medidiff.diffusion.measurement import digest
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels
from medidiff.diffusion.process import per_item
from medidiff.diffusion.rules import isotropic_variance
from medidiff.diffusion.sample import State, check_finite
from medidiff.diffusion.stochastic import check_share
from medidiff.errors import ConfigError

Variance = Callable[[Tensor], Tensor]  # sigma (b,) -> posterior variance given u, broadcasting over (b, c, *space)


@dataclass(frozen=True)
class Pair:
    """The denoiser of both images, each by its own prior: u (b, 2 c, *space). Conditions go to both."""

    first: Denoiser
    second: Denoiser

    @property
    def limits(self) -> Limits:
        """Where both may be used."""
        one, other = limits_of(self.first), limits_of(self.second)
        return Limits(
            sigma_min=max(one.sigma_min, other.sigma_min),
            sigma_max=min(one.sigma_max, other.sigma_max),
            data_std=max(filter(None, (one.data_std, other.data_std)), default=None),
            multiple=math.lcm(one.multiple, other.multiple),
            gaussian_kernel=one.gaussian_kernel and other.gaussian_kernel,
        )

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        x, h = u.chunk(2, 1)
        return torch.cat([self.first(x, sigma, **condition), self.second(h, sigma, **condition)], 1)


@dataclass(frozen=True)
class ClassPair:
    """The same for one network that knows both kinds by a condition: a single call on a batch of 2 b."""

    denoiser: Denoiser
    name: str = "label"  # of the condition, 0 for x and 1 for h, (2 b,) int64

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        both = {name: torch.cat([value, value]) for name, value in condition.items()}
        both[self.name] = torch.arange(2, device=u.device).repeat_interleave(len(u))
        out = self.denoiser(torch.cat(u.chunk(2, 1)), torch.cat([sigma, sigma]), **both)
        return torch.cat(out.chunk(2), 1)


def flat(sigma: Tensor) -> Tensor:
    """V = sigma^2, the variance without a prior: the misfit is shared evenly. One pass is biased; many per level mend it."""
    return sigma**2


@dataclass(frozen=True)
class IsotropicVariance:
    """V = c sigma^2 / (c + sigma^2) for a prior of variance c = data_std^2."""

    data_std: float

    def __call__(self, sigma: Tensor) -> Tensor:
        return isotropic_variance(self.data_std, sigma)


@dataclass(frozen=True)
class Sum:
    """y = x + gain h + noise_std n and how the misfit is shared; as `correct` of `Renoise`, (denoised, sigma) -> denoised.

    y                (b or 1, c, *space)    data unit
    gain             weight of h, not 0
    noise_std        per real channel; with 0 the images add up to y exactly
    first, second    posterior variances V_x, V_h at a level: `flat`, `IsotropicVariance(data_std)`, or learned per pixel
    """

    y: Tensor
    noise_std: float = 0.0
    gain: float = 1.0
    first: Variance = flat
    second: Variance = flat

    def __post_init__(self):
        if not 0 <= self.noise_std < float("inf"):
            raise ConfigError(f"noise_std {self.noise_std:g}: expected 0 or more, the noise of y per real channel")
        if self.gain == 0:
            raise ConfigError("gain 0: y says nothing about h; sample x alone")
        check_finite("y", self.y)

    @property
    def __name__(self) -> str:
        """What is summed and how, as saved states name it."""
        names = ", ".join(getattr(variance, "__name__", repr(variance)) for variance in (self.first, self.second))
        return f"Sum(y={digest(self.y)}, noise_std={self.noise_std:g}, gain={self.gain:g}, {names})"

    def __call__(self, denoised: Tensor, sigma: float) -> Tensor:
        level = torch.full((len(denoised),), sigma, dtype=torch.float64, device=denoised.device)
        return self.shared(denoised, level, self.y.to(denoised))

    def shared(self, denoised: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
        """Both images with the misfit to `y` shared between them by their variances."""
        x, h = denoised.chunk(2, 1)
        vx, vh = self.variances(x, sigma)
        share = (y - x - self.gain * h) / (vx + self.gain**2 * vh + self.noise_std**2)
        return torch.cat([x + vx * share, h + self.gain * vh * share], 1)

    def variances(self, like: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """V_x and V_h in the shape of one image."""
        both = [variance(sigma).to(like) for variance in (self.first, self.second)]
        return tuple((per_item(v, like) if v.ndim == 1 else v).expand_as(like) for v in both)


@dataclass(frozen=True)
class Joint:
    """The denoiser of both images given their sum: works with every sampler."""

    pair: Denoiser
    total: Sum

    @property
    def limits(self) -> Limits:
        return limits_of(self.pair)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        denoised = self.pair(u, sigma, **condition)
        return self.total.shared(denoised, sigma, self.total.y.to(u))


@dataclass(frozen=True)
class SplitGibbs:
    """Split Gibbs sampling on `Pair`: draw both images given their noisy states and y, then put noise of the next level on.

        x ~ D_x + eta sqrt(V_x) z1,  h ~ D_h + eta sqrt(V_h) z2,  misfit to y + eta sy z3 shared;      u' = (x, h) + b z

    With eta = 1 and the right variances every pass is an exact Gibbs step, so one per level is enough. With `flat` variances it
    takes many: repeat the levels, `grid.repeat_interleave(k)`, and let the last one be 0, where nothing is drawn. eta = 0 draws
    nothing between levels and returns about half the posterior's variance.
    """

    total: Sum
    eta: float = 1.0

    is_stochastic = True
    may_repeat = True

    def __post_init__(self):
        check_share("eta", self.eta)

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        denoised = predict(denoiser, state.u, a)
        if b == 0:
            return state.moved(self.total(denoised, a))
        sigma = torch.full((len(denoised),), a, dtype=torch.float64, device=denoised.device)
        x, _ = denoised.chunk(2, 1)
        std = torch.cat(self.total.variances(x, sigma), 1).sqrt()
        drawn = denoised + self.eta * std * noise(state.step, denoised, "both")
        y = self.total.y.to(x) + self.eta * self.total.noise_std * noise(state.step, x, "measurement")
        return state.moved(self.total.shared(drawn, sigma, y) + b * noise(state.step, denoised, 1))
