"""The paper's sampler: reverse diffusion of tissue and haze, pulled towards the noisy measurement at each step."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.dehazing.domain import Domain, channels, parted
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels
from medidiff.diffusion.sample import State
from medidiff.diffusion.stochastic import euler_maruyama

BASE = 25.0  # of sigma^t


@dataclass(frozen=True)
class Projection:
    """One step of Stevens et al. 2024, algorithm 1: a gradient step of the misfit, then one reverse step of both diffusions.

    y                            (b, axial, lateral) complex    measurement, scaled to amplitudes of at most 1
    domain                       in which the priors work
    gamma                        assumed amplitude of the haze
    tissue_weight, haze_weight   lambda and kappa; 0.5 each is the projection onto x + h = y where nothing is companded

        E = 1/2 |y_s - C(C^-1(x_s) + gamma C^-1(h_s))|^2,    y_s = C(y) + s z
        x_s <- x_s - lambda grad_x E,    h_s <- h_s - kappa grad_h E

    The misfit falls (the printed sign is wrong) and steps are as long as the levels are apart. C^-1 exists up to amplitude 1:
    beyond, the noisy state is cut, and the pull is weak there.
    """

    y: Tensor
    domain: Domain
    gamma: float = 1.0
    tissue_weight: float = 0.5
    haze_weight: float = 0.5

    is_stochastic = True

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        sigma, _ = levels(grid, state.step)
        measured = channels(self.domain.compress(self.y))
        measured = measured + sigma * noise(state.step, measured, "measurement")
        with torch.enable_grad():
            u = state.u.detach().requires_grad_()
            error = (measured - self.predicted(u)).square().sum() / 2
            gradient = torch.autograd.grad(error, u)[0]
        weights = gradient.new_tensor([self.tissue_weight] * 2 + [self.haze_weight] * 2).reshape(1, 4, 1, 1)
        return euler_maruyama(denoiser, State(state.u - weights * gradient, state.step), grid, noise)

    def predicted(self, u: Tensor) -> Tensor:
        """The companded measurement that a joint state stands for, (b, 2, axial, lateral)."""
        x, h = (self.domain.expand(part) for part in parted(u))
        return channels(self.domain.compress(x + self.gamma * h))


def paper_levels(steps: int, *, start: float) -> Tensor:
    """Noise levels of `steps` equal steps of time from `start` to 0, (steps + 1,) float64.

    sigma(t) = sqrt((25^(2 t) - 1) / (2 ln 25))
    """
    time = torch.linspace(start, 0, steps + 1, dtype=torch.float64)
    return torch.sqrt(torch.expm1(2 * time * math.log(BASE)) / (2 * math.log(BASE)))


def paper_start(y: Tensor, domain: Domain, sigma: float, noise: Noise) -> Tensor:
    """The first state: the noisy companded measurement, the same tensor for tissue and haze."""
    companded = channels(domain.compress(y))
    first = companded + sigma * noise(0, companded)
    return torch.cat([first, first], dim=1)


def separated(u: Tensor, domain: Domain) -> tuple[Tensor, Tensor]:
    """Tissue and haze of a last state; they need not add up to the measurement."""
    x, h = parted(u)
    return domain.expand(x), domain.expand(h)
