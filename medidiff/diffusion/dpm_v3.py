"""DPM-Solver-v3 (Zheng 2023): an exponential integrator whose linear part is fitted to the model, coordinate by coordinate.

    du/dlambda = -(u - D) = -l u - f,      f = (u - D) - l u,      df/dlambda = s f + b + the rest that the solver has to follow

l, s and b are measured once per prior, over data, at many levels; l = 1, s = b = 0 give the data form (`pp2m`). It pays where the
coordinates of the data differ much in variance (wavelet or Fourier coefficients); on near-isotropic data it does not.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels as ends
from medidiff.diffusion.sample import State
from medidiff.errors import ConfigError


@dataclass(frozen=True)
class Statistics:
    """Fitted coefficients at falling levels.

    levels    (m,)           sigma, data unit
    l         (m, *event)    1 - E diag J: which share of u the noise takes
    s         (m, *event)    Cov(f, f') / Var f
    b         (m, *event)    E f' - s E f
    """

    levels: Tensor
    l: Tensor
    s: Tensor
    b: Tensor

    def at(self, lam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """l, s and b at lambda = -ln sigma (k,), linear between the levels, each (k, *event)."""
        own = -self.levels.log()
        low = (torch.searchsorted(own, lam, right=True) - 1).clamp(0, len(own) - 2)
        share = ((lam - own[low]) / (own[low + 1] - own[low])).view(-1, *[1] * (self.l.ndim - 1))
        return tuple(value[low] + share * (value[low + 1] - value[low]) for value in (self.l, self.s, self.b))


def measure(denoiser: Denoiser, data: Tensor, levels: Tensor, *, noise: Noise = Noise(0), width: float = 1e-3) -> Statistics:  # noqa: B008
    """The statistics of a prior, from samples of its data.

    denoiser    (u, sigma) -> E[x0 | u]
    data        (n, *event)    about 1,024 samples, data unit; float64 for small models
    levels      (m,)           falling; 120 to 400, uniform in lambda
    width       half distance in lambda of the central difference for f'

    Zheng 2023, eqs. 10 and 11; diag J by one random-sign probe per sample, derivatives along the ODE.
    """
    levels = levels.double().cpu()
    # one draw for all levels: the errors of the means then change smoothly from level to level, and the solver keeps its order
    z, probe = (noise.of("statistics")(0, data[None], draw)[0] for draw in (1, 2))
    moments = [level_moments(denoiser, data + float(sigma) * z, float(sigma), probe.sign(), width) for sigma in levels]
    l = torch.stack([moment["l"] for moment in moments])
    (slope,) = torch.gradient(l, spacing=(-levels.log(),), dim=0, edge_order=2)
    s, b = [], []
    for moment, share, rate in zip(moments, l, slope):
        # f = n - l u and f' = n' - l' u + l n, for u' = -n
        f = moment["n"] - share * moment["u"]
        df = moment["dn"] - rate * moment["u"] + share * moment["n"]
        centred = f - f.mean(0)
        variance = centred.square().mean(0)
        # a coordinate whose f does not vary (independent Gaussian data) has no slope to fit
        varies = variance > 1e-12 * moment["n"].square().mean(0)
        s.append(torch.where(varies, (centred * df).mean(0) / torch.where(varies, variance, 1.0), 0.0))
        b.append(df.mean(0) - s[-1] * f.mean(0))
    return Statistics(levels, l, torch.stack(s), torch.stack(b))


def level_moments(denoiser: Denoiser, u: Tensor, sigma: float, signs: Tensor, width: float) -> dict[str, Tensor]:
    """At one level: the states u, n = u - D, its rate dn/dlambda along the ODE (each (n, *event)), and l (*event)."""
    u = u.requires_grad_()
    denoised = predict(denoiser, u, sigma)
    (pulled,) = torch.autograd.grad(denoised, u, signs)
    u, denoised = u.detach(), denoised.detach()
    n = u - denoised
    rates = []
    for side in (width, -width):  # DDIM steps to both sides: their second-order errors are equal and drop out
        moved = denoised + math.exp(-side) * n
        with torch.no_grad():
            rates.append(moved - predict(denoiser, moved, sigma * math.exp(-side)))
    return {"u": u, "n": n, "dn": (rates[0] - rates[1]) / (2 * width), "l": 1 - (signs * pulled).mean(0)}


@dataclass(frozen=True)
class DPMv3:
    """DPM-Solver-v3's multistep predictor (Zheng 2023, eq. 15). One call, order p; history holds the earlier f.

        u' = exp(-L') (u - I' g_0 - C' - sum_{0<k<p} g^(k) int exp(L + S) (lambda - lambda_0)^k / k! dlambda)
        g_j = exp(-S_j) f_j - Q_j,   L = int l,  S = int s,  Q = int exp(-S) b,  I = int exp(L + S),  C = int exp(L + S) Q

    all integrals from lambda_0 = -ln a, by the trapezoid rule on the statistics' own levels; the g^(k) from divided differences.
    """

    statistics: Statistics = field(repr=False)
    order: int = 2  # p, 1 to 3

    def __post_init__(self):
        if self.order not in (1, 2, 3):
            raise ConfigError(f"order {self.order}: expected 1, 2 or 3")

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = ends(grid, state.step)
        denoised = predict(denoiser, state.u, a)
        if b == 0:
            return state.moved(denoised)
        low, high = float(self.statistics.levels[-1]), float(self.statistics.levels[0])
        if b < low * (1 - 1e-6) or a > high * (1 + 1e-6):
            raise ConfigError(
                f"step from sigma {a:.4g} to {b:.4g}, but the statistics cover {low:.4g} to {high:.4g}; measure them wider"
            )
        start = torch.tensor([-math.log(a)], dtype=torch.float64)
        f = ((state.u - denoised) - self.statistics.at(start)[0].to(state.u) * state.u).to(state.u)
        kept = (f, *state.history)[: self.order]
        lam, total, weight, shift = self.integrals(-math.log(a), -math.log(b))
        x = (lam - lam[0]).view(-1, *[1] * (weight.ndim - 1))
        moments = [torch.trapezoid(weight * x**k / math.factorial(k), lam, dim=0) for k in range(len(kept))]
        change = torch.trapezoid(weight * shift, lam, dim=0).to(f)
        for moment, derivative in zip(moments, self.derivatives(kept, grid, state.step)):
            change = change + moment.to(f) * derivative
        return state.moved(torch.exp(-total[-1]).to(f) * (state.u - change), *kept[: self.order - 1])

    def integrals(self, first: float, last: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """From lambda `first` to `last` (either direction): nodes (k,), L, exp(L + S) and Q at them, (k, *event)."""
        own = -self.statistics.levels.log()
        inside = own[(own > min(first, last)) & (own < max(first, last))]
        nodes = torch.cat([own.new_tensor([min(first, last)]), inside, own.new_tensor([max(first, last)])])
        lam = nodes if first < last else nodes.flip(0)
        l, s, b = self.statistics.at(lam)
        total_l, total_s = cumulative(l, lam), cumulative(s, lam)
        return lam, total_l, torch.exp(total_l + total_s), cumulative(torch.exp(-total_s) * b, lam)

    def derivatives(self, kept: tuple[Tensor, ...], grid: Tensor, step: int) -> list[Tensor]:
        """g_0, g' and g'' at the newest level, as many as there are predictions."""
        lam = [-math.log(float(grid[step - j])) for j in range(len(kept))]
        g = [kept[0]]
        for f, point in zip(kept[1:], lam[1:]):
            _, total_l, weight, shift = self.integrals(lam[0], point)
            g.append(torch.exp(total_l[-1]).to(f) / weight[-1].to(f) * f - shift[-1].to(f))
        if len(g) == 1:
            return g
        first = (g[0] - g[1]) / (lam[0] - lam[1])
        if len(g) == 2:
            return [g[0], first]
        second = (first - (g[1] - g[2]) / (lam[1] - lam[2])) / (lam[0] - lam[2])
        return [g[0], first + second * (lam[0] - lam[1]), 2 * second]


def cumulative(values: Tensor, nodes: Tensor) -> Tensor:
    """Integral from the first node to each, by the trapezoid rule, shaped as values (k, *event)."""
    return torch.cat([torch.zeros_like(values[:1]), torch.cumulative_trapezoid(values, nodes, dim=0)])
