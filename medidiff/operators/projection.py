"""Samples that keep the mass of every frame: each denoised state is moved to the nearest one that does."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, Limits, limits_of
from medidiff.operators.encoding import Encoding


@dataclass(frozen=True, eq=False)
class Constraint:
    """A z = total for the channels z of a state, A = C W^-1 S: the mean over space of every field in every frame."""

    rows: Tensor = field(repr=False)  # (m, channel * grid), float64
    factor: Tensor = field(repr=False)  # Cholesky factor of A A^T, float64
    total: Tensor  # (b, m), float64

    def project(self, z: Tensor) -> Tensor:
        """z - A^T (A A^T)^-1 (A z - total), the nearest z that fulfils it, (b, channel, *grid)."""
        flat = z.flatten(1).double()
        wrong = flat @ self.rows.T - self.total
        return (flat - torch.cholesky_solve(wrong.T, self.factor).T @ self.rows).reshape(z.shape).to(z)

    def violation(self, z: Tensor) -> Tensor:
        """|A z - total|, (b, m)."""
        return (z.flatten(1).double() @ self.rows.T - self.total).abs()


@dataclass(frozen=True, eq=False)
class Mass:
    """The mean of every field of the initial state, which a periodic system without force keeps."""

    initial: Tensor  # (b, field, x[, y])

    def of(self, encoding: Encoding, sizes: tuple[int, ...], *, members: int = 1) -> Constraint:
        """The constraint on channels; its rows are the transposed decoding of the indicator of one field in one frame."""
        fields, frames = self.initial.shape[1], sizes[0]
        cells = self.initial[0, 0].numel()
        picks = torch.eye(fields * frames, dtype=torch.float64).reshape(-1, fields, frames, *[1] * (len(sizes) - 1))
        picks = picks.expand(-1, -1, -1, *sizes[1:]) / cells
        rows = encoding.layout.decode_adjoint(picks.to(self.initial.device))
        rows = (rows * encoding.channel_scale("state", rows)).flatten(1)
        total = self.initial.double().flatten(2).mean(2).repeat_interleave(frames, 1).repeat_interleave(members, 0)
        return Constraint(rows, torch.linalg.cholesky(rows @ rows.T), total)

    def restored(self, states: Tensor) -> Tensor:
        """States (b, member, field, t, x) shifted so that every frame has its mass."""
        space = tuple(range(4, states.ndim))
        wanted = self.initial.flatten(2).mean(2).reshape(len(states), 1, -1, *[1] * (1 + len(space)))
        return states + wanted.to(states) - states.mean(space, keepdim=True)


@dataclass(frozen=True, eq=False)
class Projected:
    """A denoiser whose every answer fulfils a constraint on z = offset + scale y, y being what is diffused.

    states   channels that the constraint is on; others are left alone

    The projection is orthogonal in z, the space of the physical error.
    """

    denoiser: Denoiser = field(repr=False)
    constraint: Constraint
    offset: Tensor = field(repr=False)
    scale: Tensor = field(repr=False)
    states: int

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        y = self.denoiser(u, sigma, **condition)
        z = self.constraint.project((self.offset + self.scale * y)[:, : self.states])
        return torch.cat([(z - self.offset) / self.scale, y[:, self.states :]], 1)
