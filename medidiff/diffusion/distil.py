"""Teaching a network to jump along its teacher's ODE: consistency models, sub-path linear approximation, scale distillation."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.convert import edm_weight
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import EDM_LEVELS, Batch, conditions
from medidiff.diffusion.process import per_item


@dataclass(frozen=True)
class ConsistencyDistillation:
    """What f says at the upper of two neighbouring levels, against what it says after one step of the teacher, without gradient.

        loss = mean  w(a) (f(u_a; a) - f(u_b; b))^2,     u_b = one Heun step of the teacher from u_a = x0 + a n

    What is trained is `jump.Consistency`; it reaches the teacher's flow to the order of Heun's step. Song et al. 2023
    (arXiv 2303.01469, algorithm 2).
    """

    teacher: Denoiser = field(repr=False)
    grid: Tensor = field(repr=False)  # (n,) falling levels; the last is where f is the identity
    sd: float

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        u, a, b = noisy_pair(batch["x0"], self.grid, noise)
        named = conditions(batch)
        lower = heun_step(self.teacher, u, a, b, **named)
        with torch.no_grad():
            target = denoiser(lower, b, **named)
        return weighted_error(denoiser(u, a, **named), target, a, self.sd)


@dataclass(frozen=True)
class SubPath:
    """Consistency along the chord between two neighbouring levels, which the ODE follows to second order in their gap.

        u_g = (1 - g) u_b + g u_a  at level  (1 - g) b + g a,   g ~ U(0, 1);     loss = mean w (f(u_g) - f(u_b))^2

    SLAM (arXiv 2404.13903); with g = 1 this is `ConsistencyDistillation`.
    """

    teacher: Denoiser = field(repr=False)
    grid: Tensor = field(repr=False)
    sd: float

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        u, a, b = noisy_pair(batch["x0"], self.grid, noise)
        named = conditions(batch)
        lower = heun_step(self.teacher, u, a, b, **named)
        share = noise.uniform(0, a, draw="chord")
        middle, level = chord(lower, u, share), (1 - share) * b + share * a
        with torch.no_grad():
            target = denoiser(lower, b, **named)
        return weighted_error(denoiser(middle, level, **named), target, a, self.sd)


@dataclass(frozen=True)
class Imitation:
    """A smaller or changed network regresses on what the whole one says, at the levels of training.

    loss = mean  w (D(u; sigma) - T(u; sigma))^2
    """

    teacher: Denoiser = field(repr=False)
    sd: float
    levels: Levels = EDM_LEVELS

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0, named = batch["x0"], conditions(batch)
        sigma = self.levels.draw(len(x0), noise).to(x0.device)
        u = x0 + per_item(sigma, x0) * noise(0, x0, draw="noise")
        with torch.no_grad():
            target = self.teacher(u, sigma, **named)
        return weighted_error(denoiser(u, sigma, **named), target, sigma, self.sd)


@dataclass(frozen=True)
class ScaleDistillation:
    """A student that sees a coarse image regresses on what its teacher says who sees a finer one.

        loss = mean  w (D(u; coarse) - T(u; fine))^2

    The batch holds `x0`, `condition` (what the student sees) and `fine` (what the teacher sees). By the tower law the minimiser
    is that of training on x0, with the variance of the target lower by the teacher's own. YONOS-SR (arXiv 2401.17258).
    """

    teacher: Denoiser = field(repr=False)  # called with condition=fine
    sd: float
    levels: Levels = EDM_LEVELS

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        sigma = self.levels.draw(len(x0), noise).to(x0.device)
        u = x0 + per_item(sigma, x0) * noise(0, x0, draw="noise")
        named = {name: value for name, value in conditions(batch).items() if name not in ("condition", "fine")}
        with torch.no_grad():
            target = self.teacher(u, sigma, condition=batch["fine"], **named)
        return weighted_error(denoiser(u, sigma, condition=batch["condition"], **named), target, sigma, self.sd)


def noisy_pair(x0: Tensor, grid: Tensor, noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
    """Data with noise of level a, and the neighbouring levels a > b (b,) of every item, stratified over the grid's steps."""
    shift = torch.rand(1, generator=noise.generator(0, "batch", "levels"), dtype=torch.float64)
    place = (torch.arange(len(x0), dtype=torch.float64) + shift) / len(x0) * (len(grid) - 1)
    index = place.long().clamp(max=len(grid) - 2)
    levels = grid.double().cpu()
    a, b = levels[index].to(x0.device), levels[index + 1].to(x0.device)
    return x0 + per_item(a, x0) * noise(0, x0, draw="noise"), a, b


@torch.no_grad()
def heun_step(denoiser: Denoiser, u: Tensor, a: Tensor, b: Tensor, **condition: Tensor) -> Tensor:
    """The state at levels b (b,) from u at levels a, both positive, one pair per item; no gradient."""
    slope = (u - denoiser(u, a, **condition)) / per_item(a, u)
    guess = u + per_item(b - a, u) * slope
    end = (guess - denoiser(guess, b, **condition)) / per_item(b, u)
    return u + per_item((b - a) / 2, u) * (slope + end)


def chord(lower: Tensor, upper: Tensor, share: Tensor) -> Tensor:
    """The point (1 - share) lower + share upper of every item, share (b,)."""
    return torch.lerp(lower, upper, per_item(share, lower))


def weighted_error(found: Tensor, target: Tensor, sigma: Tensor, sd: float) -> Tensor:
    """Mean of (sigma^2 + sd^2)/(sigma sd)^2 (found - target)^2."""
    return (per_item(edm_weight(sigma, sd), found) * (found - target) ** 2).mean()
