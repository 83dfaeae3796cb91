"""Restoration processes: from the degraded image to the clean one. In the state u they run by the same samplers as all others.

A restoration network gives a denoiser by `from_x0` or `from_residual` with its process and the condition `anchor`, the degraded
image. RDDM's deterministic step is then `euler`, MRS's solvers of order n are `euler`, `dpm2`, `dpm3`, `pp2m` and `pp2m_sde`, and
ResShift's chain is `renoise(rule="resshift")`. What is left to say here is where such a run starts, on which levels it runs, and
the two published chains that are no sampler of u.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels
from medidiff.diffusion.process import MeanReverting, ResShift, Table, per_item
from medidiff.diffusion.sample import State
from medidiff.diffusion.stochastic import check_share


def degraded_start(anchor: Tensor, sigma: float, *, noise: Noise = Noise(0)) -> Tensor:  # noqa: B008  (frozen)
    """The state u = anchor + sigma n in which ResShift, RDDM and the mean-reverting SDE all start.

    anchor    (b, c, *space)    degraded image, data unit
    sigma                       the first level of the grid
    """
    return anchor + sigma * noise(0, anchor)


def resshift_levels(steps: int = 15, *, kappa: float = 2.0, power: float = 0.3, last: float = 0.999) -> Tensor:
    """The falling levels of ResShift's schedule (Yue 2023, eq. 10), (steps,).

    steps    length T of the chain
    kappa    strength of the noise
    power    p: 1 is geometric, smaller keeps more levels near the clean end
    last     eta_T

        eta_t = (sqrt(eta_1) q^{B_t})^2,    eta_1 = min(.001, (.04/kappa)^2)
        B_t = ((t-1)/(T-1))^p (T-1),        q = exp(ln(eta_T/eta_1) / (2 (T-1)))

    The four-step model of the authors has ends of its own: read them from its card.
    """
    first = min(0.001, (0.04 / kappa) ** 2)
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64) ** power
    return ResShift(kappa).sigma(first * (last / first) ** ramp).flip(0)


def mean_reverting_levels(n: int, *, stationary_std: float, end: float = 0.005, first: float = 1e-4) -> Tensor:
    """Levels uniform in lambda for a mean-reverting process that ends at exp(-theta_T) = `end` (Luo 2023), (n,).

    stationary_std    tau, data unit
    first             theta of the last level, near the clean image
    """
    process = MeanReverting(stationary_std)
    top, low = process.sigma(torch.tensor([-math.log(end), first], dtype=torch.float64)).log().tolist()
    return torch.exp(torch.linspace(top, low, n, dtype=torch.float64))


@dataclass(frozen=True)
class RDDMChain:
    """RDDM's stochastic step (Liu 2024, eq. 13), for grids that hold levels of its table only.

    x' = x - (abar - abar') r - (bbar - sqrt(bbar'^2 - v)) e + sqrt(v) z,    r = y - D;    in u, y drops out:
    u' = D + sqrt(b^2 - w) e + sqrt(w) z,    w = v / (1 - abar')^2,    v = eta^2 bbar'^2 (bbar^2 - bbar'^2) / bbar^2
    """

    process: Table = field(repr=False)
    eta: float = 1.0  # 0 = DDIM in u, whatever the degraded image; 1 = the sum-constrained variance of the paper

    def __post_init__(self):
        check_share("eta", self.eta)

    @property
    def is_stochastic(self) -> bool:
        return self.eta > 0

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        denoised = predict(denoiser, state.u, a)
        if b == 0:
            return state.moved(denoised)
        scale_a, scale_b = self.process.scale(self.process.time(grid[state.step : state.step + 2])).tolist()
        ratio = (b * scale_b) / (a * scale_a)  # bbar' / bbar
        w = self.eta**2 * b**2 * max(1 - ratio**2, 0.0)
        u = denoised + math.sqrt(b**2 - w) / a * (state.u - denoised)
        return state.moved(u + math.sqrt(w) * noise(state.step, u, 1) if w > 0 else u)


@dataclass(frozen=True)
class MeanRevertingSDE:
    """The reverse mean-reverting SDE by Euler-Maruyama in its time (Luo 2023, eq. 12): the baseline that MRS replaces.

    x' = x - d [(mu - x) - 2 tau^2 score] + tau sqrt(2 d) z,    d = theta - theta',    score = -e / (s sigma)

    Order 1 in variance with 100 or more calls; `pp2m` on `mean_reverting_levels` reaches its error with a tenth of them.
    """

    process: MeanReverting
    anchor: Tensor = field(repr=False)  # mu, as the state

    is_stochastic = True

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        pair = grid[state.step : state.step + 2]
        a, b = levels(grid, state.step)
        denoised = predict(denoiser, state.u, a)
        if b == 0:
            return state.moved(denoised)
        times, tau = self.process.time(pair), self.process.stationary_std
        d, scale = float(times[0] - times[1]), float(self.process.scale(times)[0])
        x = self.process.to_x(state.u, pair[:1], self.anchor)
        drift = (self.anchor - x) + 2 * tau**2 * (state.u - denoised) / (a * a * scale)
        x = x - d * drift + tau * math.sqrt(2 * d) * noise(state.step, x, 1)
        return state.moved((x - per_item(self.process.shift(times)[1:], x) * self.anchor) / float(self.process.scale(times)[1]))
