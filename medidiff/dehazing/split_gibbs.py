"""Split-Gibbs: tissue and haze denoised by their priors, the misfit shared so that both always add up to the measurement."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.dehazing.domain import Domain, channels, joined, parted, signal
from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels
from medidiff.diffusion.sample import State
from medidiff.diffusion.stochastic import check_share


@dataclass(frozen=True)
class SplitGibbs:
    """One round: both sources denoised, the misfit shared by local slopes, noise along the constraint and of the next level.

    y        (b, axial, lateral) complex    measurement, scaled to amplitudes of at most 1
    domain   in which the priors work
    gamma    assumed amplitude of the haze, above 0
    eta      1 samples the posterior, 0 draws nothing along the constraint and returns about half its variance

        X = C^-1(D_x),   H = C^-1(D_h),   r = y - X - gamma H,   a = d(|X|)^2,   b = gamma^2 d(|H|)^2,   w = a / (a + b)
        X <- X + w r + q,   H <- H + ((1 - w) r - q) / gamma,    q ~ eta sigma sqrt(a b / (a + b)) n

    d is the slope of C^-1: where the noise is averaged out, w makes the scores of both priors equal along the constraint. Levels
    are repeated, for with these weights one round per level is biased; without companding this is the `SplitGibbs` of
    `medidiff.diffusion.joint` with `flat` variances.
    """

    y: Tensor
    domain: Domain
    gamma: float = 1.0
    eta: float = 1.0

    is_stochastic = True
    may_repeat = True

    def __post_init__(self):
        check_share("eta", self.eta)

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        sigma, following = levels(grid, state.step)
        x, h = (self.domain.expand(part) for part in parted(predict(denoiser, state.u, sigma)))
        x, h, slope = self.shared(x, h)
        if following == 0:
            return state.moved(self.compressed(x, h))
        if self.eta > 0:
            q = self.eta * sigma * slope * signal(noise(state.step, channels(x), "constraint"))
            x, h = x + q, h - q / self.gamma
        u = self.compressed(x, h)
        return state.moved(u + following * noise(state.step, u, 1))

    def shared(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tissue and haze that add up to y, and sqrt(a b / (a + b)), the spread along the constraint per unit of sigma."""
        a = self.domain.slope(x.abs()) ** 2
        b = self.gamma**2 * self.domain.slope(h.abs()) ** 2
        misfit, share = self.y - x - self.gamma * h, a / (a + b)
        return x + share * misfit, h + (1 - share) * misfit / self.gamma, (b * share).sqrt()

    def compressed(self, x: Tensor, h: Tensor) -> Tensor:
        """The joint state (b, 4, axial, lateral) without noise."""
        return joined(self.domain.compress(x), self.domain.compress(h))

    def separated(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Tissue and haze of a last state; the haze is what the tissue leaves of y, so that both add up to it exactly."""
        x = self.domain.expand(parted(state)[0])
        return x, (self.y - x) / self.gamma


def repeated_levels(levels: int, repeats: int, *, sigma_min: float, sigma_max: float) -> Tensor:
    """The falling levels of a run, each of Karras' grid `repeats` times, and 0, (levels * repeats + 1,) float64."""
    return with_zero(karras(levels, smin=sigma_min, smax=sigma_max).repeat_interleave(repeats))


def cold_start(step: SplitGibbs, sigma: float, noise: Noise) -> Tensor:
    """The first state: all of y is tissue and there is no haze, with noise of the first level."""
    u = step.compressed(step.y, torch.zeros_like(step.y))
    return u + sigma * noise(0, u)
