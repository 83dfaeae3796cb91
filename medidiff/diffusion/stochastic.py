"""Methods that draw fresh noise. One rule holds most of them: how much fresh noise replaces the noise already in the state.

They need a Gaussian kernel, so `sample` refuses them for PFGM++ with finite D.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.multistep import extrapolated
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels, moved_to
from medidiff.diffusion.process import ResShift
from medidiff.diffusion.sample import State
from medidiff.errors import ConfigError


def unchanged(denoised: Tensor, sigma: float) -> Tensor:
    """No correction."""
    return denoised


@dataclass(frozen=True)
class Renoise:
    """One step of DDPM, DDIM, DDS, DiffPIR, ResShift and consistency models: correct the prediction, put noise back on.

        D = D(u, a),   h = correct(D, a),   e* = (u - h)/a  or  (u - D)/a
        u' = h + sqrt(b^2 - v) e* + sqrt(v) z

    eta           share of the fresh noise that the rule allows: 0 = deterministic, 1 = all
    rule          ancestral: v = eta^2 b^2 (1 - b^2/a^2), DDIM's eta (Song 2021, eq. 16); 1 is DDPM with the posterior variance
                  fresh: v = eta^2 b^2, DDS and DiffPIR (zeta = eta^2); 1 forgets the noise, as consistency models do
                  resshift: v = eta^2 times the variance of ResShift's kernel (Yue 2023, eq. 7)
    noise_from    posterior: the noise that leads from h to u, right for exact denoisers; prior: the denoiser's own, as DDS
    kappa         of ResShift
    correct       (denoised, sigma) -> denoised: data consistency, inpainting; cyclic constraints use repeated levels
    """

    eta: float = 1.0
    rule: str = "ancestral"
    noise_from: str = "posterior"
    kappa: float = 2.0
    correct: Callable[[Tensor, float], Tensor] = field(default=unchanged, repr=False)

    may_repeat = True  # levels may repeat

    def __post_init__(self):
        check_share("eta", self.eta)
        if self.rule not in ("ancestral", "fresh", "resshift"):
            raise ConfigError(f"rule {self.rule!r}: expected ancestral, fresh or resshift")
        if self.noise_from not in ("posterior", "prior"):
            raise ConfigError(f"noise_from {self.noise_from!r}: expected posterior or prior")

    @property
    def is_stochastic(self) -> bool:
        return self.eta > 0

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        denoised = predict(denoiser, state.u, a)
        target = self.correct(denoised, a)
        e = (state.u - (target if self.noise_from == "posterior" else denoised)) / a
        v = self.fresh_variance(a, b)
        u = target + math.sqrt(max(b**2 - v, 0.0)) * e
        return state.moved(u + math.sqrt(v) * noise(state.step, u, 1) if v > 0 else u)

    def fresh_variance(self, a: float, b: float) -> float:
        """v, data unit squared."""
        if self.rule == "fresh":
            return self.eta**2 * b**2
        if self.rule == "ancestral":
            return self.eta**2 * b**2 * (1 - (b / a) ** 2)
        eta_a, eta_b = ResShift(self.kappa).time(torch.tensor([a, b], dtype=torch.float64)).tolist()
        return self.eta**2 * self.kappa**2 * eta_b / eta_a * (eta_a - eta_b) / (1 - eta_b) ** 2


renoise = Renoise  # reads as a step: sample(denoiser, u, grid, renoise(eta=0.5))


@dataclass(frozen=True)
class PP2MSDE:
    """SDE-DPM-Solver++(2M) (Lu 2022b, eq. 18 and k-diffusion's eta): the same marginals with fresh noise. One call, weak order 2.

    u' = (b/a) exp(-eta h) u - E(-(1+eta) h) [D + (D - D_1)/(2r)] + b sqrt(-E(-2 eta h)) z,    r = h_prev/h
    """

    eta: float = 1.0  # 0 = pp2m, 1 = the reverse SDE

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
        h = math.log(a / b)
        middle = extrapolated(denoised, state, grid)
        u = (b / a) * math.exp(-self.eta * h) * state.u - math.expm1(-(1 + self.eta) * h) * middle
        if self.eta > 0:
            u = u + b * math.sqrt(-math.expm1(-2 * self.eta * h)) * noise(state.step, u, 1)
        return state.moved(u, denoised)


pp2m_sde = PP2MSDE


@dataclass(frozen=True)
class EulerMaruyama:
    """Euler-Maruyama on the reverse SDE in sigma^2 (Song 2021): u' = u - (1 - b^2/a^2)(u - D) + sqrt(a^2 - b^2) z. Order 1.

    It differs from the ancestral step only in its noise, which is a/b times larger; the last step to level 0 returns D.
    """

    is_stochastic = True

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        denoised = predict(denoiser, state.u, a)
        u = moved_to(state.u, denoised, a, b**2 / a)
        return state.moved(u + math.sqrt(a**2 - b**2) * noise(state.step, u, 1) if b > 0 else u)


euler_maruyama = EulerMaruyama()


@dataclass(frozen=True)
class InterpolantSDE:
    """The SDE of the linear interpolant x = (1 - t) x0 + t n with any diffusion k >= 0 (Albergo 2023, eq. 2.33). Order 1.

        x' = x + dt (w - k score) + sqrt(2 k |dt|) z,    t = sigma / (1 + sigma),   dt < 0,   w = e - D,   score = -e/t

    The marginals do not depend on k; the errors do.
    """

    diffusion: float = 0.5  # k; 0 = the flow ODE

    def __post_init__(self):
        if self.diffusion < 0:
            raise ConfigError(f"diffusion {self.diffusion:g}: expected 0 or more")

    @property
    def is_stochastic(self) -> bool:
        return self.diffusion > 0

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        denoised = predict(denoiser, state.u, a)
        if b == 0:
            return state.moved(denoised)
        ta, tb = a / (1 + a), b / (1 + b)
        e, dt = (state.u - denoised) / a, tb - ta
        x = (1 - ta) * state.u + dt * (e - denoised + self.diffusion / ta * e)
        if self.diffusion > 0:
            x = x + math.sqrt(2 * self.diffusion * -dt) * noise(state.step, x, 1)
        return state.moved(x / (1 - tb))


def check_share(name: str, value: float) -> None:
    """ConfigError unless the value lies in [0, 1]."""
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} {value:g}: expected 0 to 1")
