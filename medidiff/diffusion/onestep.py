"""Methods that need no memory, from DDIM to DPM-Solver-3, each one step from level a to level b < a.

In the formulas D = D(u, a), e(u, s) = (u - D(u, s)) / s is the predicted noise, h = ln(a / b) and E(x) = exp(x) - 1.
With b = 0 each of them returns D, the denoised image.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.convert import phi
from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State
from medidiff.errors import ConfigError


def levels(grid: Tensor, step: int) -> tuple[float, float]:
    """The two levels a > b of one step."""
    return float(grid[step]), float(grid[step + 1])


def moved_to(u: Tensor, denoised: Tensor, a: float, b: float) -> Tensor:
    """DDIM's transfer D + (b / a) (u - D), exact for a constant prediction and at b = 0."""
    return torch.lerp(denoised, u, b / a)


def euler(denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
    """The state one level lower, first order: DDIM, DPM-Solver-1 and rectified-flow Euler are this same step.

        u' = D + (b/a) (u - D)

    Song 2021 (DDIM) eq. 12 with eta = 0. One call, order 1.
    """
    a, b = levels(grid, state.step)
    return state.moved(moved_to(state.u, predict(denoiser, state.u, a), a, b))


@dataclass(frozen=True)
class Heun:
    """Heun's method in sigma, with EDM's churn (Karras 2022, algorithm 2). Two calls, order 2 without churn.

        u' = u + (b - a) (e(u, a) + e(v, b)) / 2,    v = u + (b - a) e(u, a)

    Churn first raises the level to A = a (1 + g), g = min(churn / steps, sqrt 2 - 1), by fresh noise.
    """

    churn: float = 0.0  # summed over the run; 0 = deterministic
    low: float = 0.0  # no churn below this level
    high: float = math.inf  # and none above this one
    noise_scale: float = 1.0  # s_noise, slightly above 1 to make up for lost detail

    def __post_init__(self):
        if self.churn < 0:
            raise ConfigError(f"churn {self.churn:g}: expected 0 or more")

    @property
    def is_stochastic(self) -> bool:
        return self.churn > 0

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        u = state.u
        if self.churn > 0 and self.low <= a <= self.high:
            raised = a * (1 + min(self.churn / (len(grid) - 1), math.sqrt(2) - 1))
            u = u + math.sqrt(raised**2 - a**2) * self.noise_scale * noise(state.step, u, 1)
            a = raised
        denoised = predict(denoiser, u, a)
        first = moved_to(u, denoised, a, b)
        if b == 0:
            return state.moved(first)
        slope = (u - denoised) / a + (first - predict(denoiser, first, b)) / b
        return state.moved(u + (b - a) / 2 * slope)


heun = Heun()


def dpm2(denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
    """The state one level lower by DPM-Solver-2 (Lu 2022, algorithm 1, r = 1/2). Two calls, order 2.

    v = u - m E(h/2) e_a,   m = sqrt(a b);      u' = u - b E(h) e(v, m)
    """
    a, b = levels(grid, state.step)
    denoised = predict(denoiser, state.u, a)
    if b == 0:
        return state.moved(denoised)
    m = math.sqrt(a * b)
    v = moved_to(state.u, denoised, a, m)
    return state.moved(state.u + (b - a) / m * (v - predict(denoiser, v, m)))


def dpm3(denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
    """The state one level lower by DPM-Solver-3 (Lu 2022, algorithm 2, r1 = 1/3, r2 = 2/3). Three calls, order 3.

    v1 = u - m1 E(r1 h) e_a,                                               d1 = e(v1, m1) - e_a
    v2 = u - m2 E(r2 h) e_a - m2 (r2/r1) (E(r2 h)/(r2 h) - 1) d1,          d2 = e(v2, m2) - e_a
    u' = u - b E(h) e_a - (b/r2) (E(h)/h - 1) d2,                          m_i = a exp(-r_i h)
    """
    a, b = levels(grid, state.step)
    u, denoised = state.u, predict(denoiser, state.u, a)
    if b == 0:
        return state.moved(denoised)
    h = math.log(a / b)
    m1, m2 = a * math.exp(-h / 3), a * math.exp(-2 * h / 3)
    e = (u - denoised) / a
    v1 = moved_to(u, denoised, a, m1)
    d1 = (v1 - predict(denoiser, v1, m1)) / m1 - e
    v2 = moved_to(u, denoised, a, m2) - 2 * m2 * (2 * h / 3) * phi(2, 2 * h / 3) * d1
    d2 = (v2 - predict(denoiser, v2, m2)) / m2 - e
    return state.moved(moved_to(u, denoised, a, b) - 1.5 * b * h * phi(2, h) * d2)


def pp2s(denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
    """The state one level lower by DPM-Solver++(2S) (Lu 2022b, algorithm 1, r = 1/2). Two calls, order 2.

    v = (m/a) u - E(-h/2) D_a,   m = sqrt(a b);      u' = (b/a) u - E(-h) D(v, m)
    """
    a, b = levels(grid, state.step)
    denoised = predict(denoiser, state.u, a)
    if b == 0:
        return state.moved(denoised)
    m = math.sqrt(a * b)
    middle = predict(denoiser, moved_to(state.u, denoised, a, m), m)
    return state.moved(moved_to(state.u, middle, a, b))


def flow_heun(denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
    """The state one level lower by Heun's method in flow time t = s / (1 + s), on x = (1 - t) u. Two calls, order 2.

        x' = x + (t_b - t_a) (w_a + w_b) / 2,     w = (x - D) / t      (the first half of it, Euler, equals DDIM exactly)

    Two to four times more accurate than Heun in sigma at the same calls.
    """
    a, b = levels(grid, state.step)
    denoised = predict(denoiser, state.u, a)
    if b == 0:
        return state.moved(denoised)
    ta, tb = a / (1 + a), b / (1 + b)
    x = (1 - ta) * state.u
    slope = (x - denoised) / ta
    guess = x + (tb - ta) * slope
    slope_b = (guess - predict(denoiser, guess / (1 - tb), b)) / tb
    return state.moved((x + (tb - ta) / 2 * (slope + slope_b)) / (1 - tb))
