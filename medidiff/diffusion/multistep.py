"""Methods that remember earlier predictions: one denoiser call per step.

In the formulas D = D(u, a), D_1, D_2 ... are predictions of earlier levels, e = (u - D) / a, h = ln(a / b), E(x) = exp(x) - 1.
With b = 0 each of them returns the newest D, the denoised image. A method of order p that is started by order q keeps order
min(p, q + 1): `warm_start=dpm3` makes the first steps of third order at three more calls each.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.convert import phi
from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels, moved_to
from medidiff.diffusion.sample import State, Step
from medidiff.errors import ConfigError


def pp2m(denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
    """The state one level lower, second order from the last two predictions.

    denoiser   (u, sigma) -> E[x0 | u]
    state      history holds the previous prediction, nothing at the first step
    grid       (n,) falling levels, data unit, float64

        r = h_prev / h;   Dt = (1 + 1/2r) D - (1/2r) D_1;   u' = (b/a) u + (1 - exp(-h)) Dt

    DPM-Solver++(2M), Lu 2022b (arXiv 2211.01095), algorithm 2. One call, order 2; equals UniP-2.

    >>> from medidiff.diffusion.exact import Gaussian
    >>> from medidiff.diffusion.grid import karras
    >>> from medidiff.diffusion.sample import sample
    >>> prior = Gaussian(mean=torch.zeros(3), variance=torch.tensor([0.1, 1.0, 4.0]))
    >>> u = 80 * Noise(seed=0)(step=0, like=torch.empty(5, 3, dtype=torch.float64))
    >>> x = sample(prior, u, karras(64, smin=0.01, smax=80.0), pp2m)
    >>> bool((x - prior.flow(u, 80.0, 0.01)).abs().max() < 0.02)
    True
    """
    a, b = levels(grid, state.step)
    denoised = predict(denoiser, state.u, a)
    return state.moved(moved_to(state.u, extrapolated(denoised, state, grid), a, b), denoised)


def extrapolated(denoised: Tensor, state: State, grid: Tensor) -> Tensor:
    """Dt of `pp2m`: the prediction at the middle of the step by a line through the last two."""
    a, b = levels(grid, state.step)
    if not state.history or b == 0:
        return denoised
    return torch.lerp(denoised, state.history[0], -math.log(a / b) / (2 * math.log(float(grid[state.step - 1]) / a)))


@dataclass(frozen=True)
class UniPC:
    """UniPC, data form (Zhao 2023, algorithms 2 and 3): a predictor of order p, and a corrector that adds one order at no call.

        predictor    u_P = (b/a) u - E(x) D - B sum_{j<p} w_j W_j,    W_j = (D_j - D) / r_j,   sum_j r_j^{k-1} w_j = c_k
        corrector    the same with W_p = D(u_P, b) - D, r_p = 1 added;  x = -h,  r_j = (lambda_{-j} - lambda) / h,
                     c_k = x k! phi_{k+1}(x) / B

    With a corrector, history starts with the prediction at the current state, which the last step has already made; without, with
    the previous one. At the last level only the predictor runs, so n steps cost n calls.
    """

    order: int = 2  # p
    corrector: bool = True  # without: UniP, which for p = 2 is pp2m and for p = 3 the third-order multistep formula
    variant: str = "bh2"  # B = E(x) ("bh2") or x ("bh1")
    warm_start: Step | None = field(default=None, repr=False)  # method of the first p - 1 steps; None: lower orders

    def __post_init__(self):
        if self.order < 1 or self.variant not in ("bh1", "bh2"):
            raise ConfigError(f"order {self.order}, variant {self.variant!r}: expected an order of 1 or more, and bh1 or bh2")

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        known = state.history if state.history and self.corrector else (predict(denoiser, state.u, a), *state.history)
        if b == 0:
            return state.moved(known[0])
        kept = known[: self.order]
        if self.warm_start and len(kept) < self.order:
            u = self.warm_start(denoiser, state, grid, noise).u
            return state.moved(u, predict(denoiser, u, b), *kept) if self.corrector else state.moved(u, *kept)
        predicted = self.advanced(state, kept, (), grid)
        if not self.corrector:
            return state.moved(predicted, *kept[: self.order - 1])
        if state.step == len(grid) - 2:
            return state.moved(predicted, *kept)
        ahead = predict(denoiser, predicted, b)
        return state.moved(self.advanced(state, kept, (ahead,), grid), ahead, *kept[: self.order - 1])

    def advanced(self, state: State, known: tuple[Tensor, ...], ahead: tuple[Tensor, ...], grid: Tensor) -> Tensor:
        """One exponential step through the predictions `known`, newest first, and in the corrector one at the new level."""
        a, b = levels(grid, state.step)
        x = -math.log(a / b)
        scale = math.expm1(x) if self.variant == "bh2" else x
        points = [math.log(a / float(grid[state.step - j])) / -x for j in range(1, len(known))] + [1.0] * len(ahead)
        u = moved_to(state.u, known[0], a, b)
        for r, w, other in zip(points, self.weights(points, x, scale), (*known[1:], *ahead)):
            u = u - scale * w / r * (other - known[0])
        return u

    @staticmethod
    def weights(points: list[float], x: float, scale: float) -> list[float]:
        """The w_j that make the step exact for polynomials in lambda; a single one is 1/2, as in the authors' code."""
        if len(points) < 2:
            return [0.5] * len(points)
        size = len(points)
        powers = torch.tensor([[r**k for r in points] for k in range(size)], dtype=torch.float64)
        wanted = [x * math.factorial(k) * phi(k + 1, x) / scale for k in range(1, size + 1)]
        return torch.linalg.solve(powers, torch.tensor(wanted, dtype=torch.float64)).tolist()


unipc = UniPC  # reads as a step: sample(denoiser, u, grid, unipc(order=2))
pp3m = UniPC(
    order=3, corrector=False
)  # DPM-Solver++(3M) with the factor 2 that k-diffusion and diffusers miss: third order indeed

ADAMS_BASHFORTH = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def weighted(coefficients: tuple[float, ...] | list[float], values: tuple[Tensor, ...]) -> Tensor:
    """sum_j coefficient_j value_j."""
    total = coefficients[0] * values[0]
    for coefficient, value in zip(coefficients[1:], values[1:]):
        total = total + coefficient * value
    return total


def pndm(denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
    """The state one level lower by PNDM (Liu 2022, algorithm 2): three Runge-Kutta steps, then Adams-Bashforth 4.

        et = (55 e - 59 e_1 + 37 e_2 - 9 e_3) / 24;    u' = u + (b - a) et

    n + 9 calls. Its fixed coefficients fit equal steps in sigma: order 4 on `uniform_sigma`, 2 on every other grid.
    """
    a, b = levels(grid, state.step)
    e = slope(denoiser, state.u, a)
    kept = (e, *state.history)[:4]
    if b == 0:
        return state.moved(state.u - a * e)
    if len(kept) < 4:
        m = (a + b) / 2
        e2 = slope(denoiser, state.u + (m - a) * e, m)
        e3 = slope(denoiser, state.u + (m - a) * e2, m)
        e4 = slope(denoiser, state.u + (b - a) * e3, b)
        return state.moved(state.u + (b - a) / 6 * (e + 2 * e2 + 2 * e3 + e4), *kept)
    return state.moved(state.u + (b - a) * weighted(ADAMS_BASHFORTH[3], kept), *kept[:3])


def slope(denoiser: Denoiser, u: Tensor, sigma: float) -> Tensor:
    """The predicted noise (u - D) / sigma, which is du/dsigma of the probability-flow ODE."""
    return (u - predict(denoiser, u, sigma)) / sigma


@dataclass(frozen=True)
class PLMS:
    """PNDM's Adams-Bashforth part alone, started by its own lower orders: n calls (Liu 2022). Fixed coefficients, as `pndm`."""

    order: int = 4

    def __post_init__(self):
        check_order(self.order)

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        kept = (slope(denoiser, state.u, a), *state.history)[: self.order]
        step = kept[0] if b == 0 else weighted(ADAMS_BASHFORTH[len(kept) - 1], kept)
        return state.moved(state.u + (b - a) * step, *kept[: self.order - 1])


@dataclass(frozen=True)
class LMS:
    """Adams-Bashforth in sigma with exact weights for the grid's own levels s_j, so it keeps its order on every grid.

    u' = u + sum_j w_j e_j,    sum_j (s_j - a)^i w_j = (b - a)^{i+1} / (i + 1)
    """

    order: int = 4
    warm_start: Step | None = field(default=None, repr=False)  # method of the first steps; None: lower orders

    def __post_init__(self):
        check_order(self.order)

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        kept = (slope(denoiser, state.u, a), *state.history)[: self.order]
        if b == 0:
            return state.moved(state.u - a * kept[0])
        if self.warm_start and len(kept) < self.order:
            return state.moved(self.warm_start(denoiser, state, grid, noise).u, *kept)
        size = len(kept)
        points = [(float(grid[state.step - j]) - a) / (b - a) for j in range(size)]
        powers = torch.tensor([[s**i for s in points] for i in range(size)], dtype=torch.float64)
        w = torch.linalg.solve(powers, 1 / torch.arange(1, size + 1, dtype=torch.float64)).tolist()
        return state.moved(state.u + (b - a) * weighted(w, kept), *kept[: self.order - 1])


@dataclass(frozen=True)
class HeavyBall:
    """Polyak momentum on PLMS (Wizadwongsa 2023, HB): first order, stable at (2 - beta)/beta times larger steps.

        v <- (1 - beta) v + beta AB_k(e, e_1, ...),    u' = u + (b - a) v;    v starts at e

    Worth it when guidance is strong and steps are few; otherwise it only costs accuracy. History: v, then earlier e.
    """

    order: int = 2
    beta: float = 0.8  # 1 = PLMS

    def __post_init__(self):
        check_order(self.order)
        check_beta(self.beta)

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        kept = (slope(denoiser, state.u, a), *state.history[1:])[: self.order]
        if b == 0:
            return state.moved(state.u - a * kept[0])
        force = weighted(ADAMS_BASHFORTH[len(kept) - 1], kept)
        v = (1 - self.beta) * state.history[0] + self.beta * force if state.history else force
        return state.moved(state.u + (b - a) * v, v, *kept[: self.order - 1])


@dataclass(frozen=True)
class HeavyBall2M:
    """Polyak momentum on `pp2m`: v <- (1 - beta) v + beta Dt in place of Dt. First order, steady under strong guidance."""

    beta: float = 0.8  # 1 = pp2m

    def __post_init__(self):
        check_beta(self.beta)

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        denoised = predict(denoiser, state.u, a)
        if b == 0:
            return state.moved(denoised)
        v = extrapolated(denoised, state, grid)
        if state.history:
            v = (1 - self.beta) * state.history[1] + self.beta * v
        return state.moved(moved_to(state.u, v, a, b), denoised, v)


@dataclass(frozen=True)
class GHVB:
    """Generalised heavy ball (Wizadwongsa 2023, table 1): momentum that keeps the order k on a sigma grid.

    v <- (1 - beta) v + beta e,    u' = u + (b - a)/beta sum_j g_j v_j
    """

    order: int = 2
    beta: float = 0.8  # 1 = PLMS

    def __post_init__(self):
        check_order(self.order)
        check_beta(self.beta)

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        e = slope(denoiser, state.u, a)
        if b == 0:
            return state.moved(state.u - a * e)
        v = (1 - self.beta) * state.history[0] + self.beta * e if state.history else e
        kept = (v, *state.history)[: self.order]
        return state.moved(state.u + (b - a) / self.beta * weighted(self.coefficients(len(kept)), kept), *kept)

    def coefficients(self, k: int) -> tuple[float, ...]:
        """g_1 .. g_k, which sum to beta."""
        beta = self.beta
        return (
            (beta,),
            ((2 + beta) / 2, -(2 - beta) / 2),
            ((18 + 5 * beta) / 12, -(24 - 8 * beta) / 12, (6 - beta) / 12),
            ((46 + 9 * beta) / 24, -(78 - 19 * beta) / 24, (42 - 5 * beta) / 24, -(10 - beta) / 24),
        )[k - 1]


def check_order(order: int) -> None:
    """ConfigError unless Adams-Bashforth coefficients of this order exist."""
    if order not in (1, 2, 3, 4):
        raise ConfigError(f"order {order}: expected 1 to 4")


def check_beta(beta: float) -> None:
    """ConfigError unless beta is a damping: above 0, at most 1."""
    if not 0 < beta <= 1:
        raise ConfigError(f"beta {beta:g}: expected above 0, at most 1")
