"""Consistency trajectory models: one network that jumps from any level to any lower one, a denoiser where both are equal."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.convert import edm_factors
from medidiff.diffusion.denoiser import Denoiser, Network
from medidiff.diffusion.distil import heun_step, weighted_error
from medidiff.diffusion.jump import Jump
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch, conditions
from medidiff.diffusion.process import per_item


@dataclass(frozen=True)
class TrajectoryNetwork:
    """g(u, sigma, target) around a network of two noise levels; `jump.Jump` makes the jump G of it.

        g = c_skip u + c_out F(c_in u, [ln(sigma)/4, ln(target)/4])        factors of EDM at sigma

    A target below `smin` is told to the network as `smin`, the last level it was trained to land on.
    """

    network: Network = field(repr=False)  # of two noise levels per item
    sd: float  # standard deviation of the data, data unit
    smin: float  # the lowest level it was trained to land on

    def __call__(self, u: Tensor, sigma: Tensor, *, target: Tensor, **condition: Tensor) -> Tensor:
        factors = edm_factors(sigma, self.sd)
        levels = torch.stack([factors.c_noise, target.clamp(min=self.smin).log() / 4], dim=1).to(u.dtype)
        output = self.network(per_item(factors.c_in, u) * u, levels, **condition)
        return per_item(factors.c_skip, u) * u + per_item(factors.c_out, u) * output


@dataclass(frozen=True)
class Trajectory:
    """A long jump against a step of the teacher and a shorter jump, both then led to the last level; plus the denoising loss.

        loss = mean w(a) (J(G(u_a, a -> s)) - J(G(u_m, m -> s)))^2 + share mean w(a) (g(u_a; a, a) - x0)^2
        a > m >= s levels of the grid,  u_m = Heun steps of the teacher from a to m,  J = G(., s -> smin),  no gradient for u_m

    Soft consistency matching of Kim et al. 2024 (arXiv 2310.02279) with the squared distance.
    """

    teacher: Denoiser = field(repr=False)
    grid: Tensor = field(repr=False)  # (n,) falling levels, positive
    sd: float
    denoising_share: float = 1.0
    longest: int = 4  # the most teacher steps between a and m

    def __call__(self, batch: Batch, jump: Jump, noise: Noise) -> Tensor:
        x0, named = batch["x0"], conditions(batch)
        index = self._three(len(x0), noise)
        levels = self.grid.double().cpu()
        a, middle, s = (levels[i].to(x0.device) for i in index)
        u = x0 + per_item(a, x0) * noise(0, x0, draw="noise")
        landed = self._teacher_path(u, index, named)
        with torch.no_grad():
            target = self._to_end(jump, jump(landed, middle, target=s, **named), s, named)
        found = self._to_end(jump, jump(u, a, target=s, **named), s, named)
        plain = weighted_error(jump.denoiser(u, a, **named), x0, a, self.sd)
        return weighted_error(found, target, a, self.sd) + self.denoising_share * plain

    def _three(self, count: int, noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
        # indices of a < m <= s per item: a stratified, the others uniform below it
        like = torch.empty(count, dtype=torch.float64)
        last = len(self.grid) - 1
        shift = torch.rand(1, generator=noise.generator(0, "batch", "levels"), dtype=torch.float64)
        first = ((torch.arange(count, dtype=torch.float64) + shift) / count * last).long().clamp(max=last - 1)
        reach = (last - first).clamp(max=self.longest)
        middle = first + 1 + (noise.uniform(0, like, draw="middle") * reach).long()
        end = middle + (noise.uniform(0, like, draw="end") * (last - middle + 1)).long()
        return first, middle, end

    def _teacher_path(self, u: Tensor, index: tuple[Tensor, Tensor, Tensor], named: dict[str, Tensor]) -> Tensor:
        # items with fewer steps to go stay where they are
        first, middle, _ = index
        levels = self.grid.double().cpu()
        for offset in range(int((middle - first).max())):
            moving = first + offset < middle
            a, b = levels[(first + offset).clamp(max=len(levels) - 2)], levels[(first + offset + 1).clamp(max=len(levels) - 1)]
            step = heun_step(self.teacher, u, a.to(u.device), b.to(u.device), **named)
            u = torch.where(per_item(moving.to(u.device), u).bool(), step, u)
        return u

    def _to_end(self, jump: Jump, state: Tensor, level: Tensor, named: dict[str, Tensor]) -> Tensor:
        return jump(state, level, target=torch.full_like(level, float(self.grid[-1])), **named)
