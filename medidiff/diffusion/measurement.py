"""What was measured: y = A x + noise. The operator arrives as an argument; it is checked once, before the first network call."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from medidiff.diffusion.conjugate_gradient import inner
from medidiff.diffusion.denoiser import as_channels, as_complex
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import per_item
from medidiff.diffusion.sample import check_finite
from medidiff.errors import ConfigError, DataError

TINY = torch.finfo(torch.float64).tiny  # in place of 0 / 0 for an operator that is 0

Solve = Callable[[float, Tensor], Tensor]  # (kappa, rhs) -> (A^T A + kappa I)^-1 rhs


class Operator(Protocol):
    """A linear forward model on batches. It may also offer `solve_normal(kappa, rhs)`, the exact (A^T A + kappa I)^-1 rhs."""

    def forward(self, x: Tensor) -> Tensor: ...  # (b, c, *space) -> (b, *range)

    def adjoint(self, y: Tensor) -> Tensor: ...  # (b, *range) -> (b, c, *space)

    def normal(self, x: Tensor) -> Tensor: ...  # A^T A x


@dataclass(frozen=True)
class Channels:
    """An operator on complex images as one on their real channels, [real parts, imaginary parts]; measurements stay complex."""

    operator: Operator

    def forward(self, x: Tensor) -> Tensor:
        return self.operator.forward(as_complex(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return as_channels(self.operator.adjoint(y))

    def normal(self, x: Tensor) -> Tensor:
        return as_channels(self.operator.normal(as_complex(x)))

    @property
    def solve_normal(self) -> Solve | None:
        solve = getattr(self.operator, "solve_normal", None)
        return solve and (lambda kappa, rhs: as_channels(solve(kappa, as_complex(rhs))))


@dataclass(frozen=True)
class Measurement:
    """y = A x + noise_std n.

    operator     A, on real states (b, c, *space); wrap complex ones in `Channels`
    y            (b, *range), or (1, *range) for the same measurement of every item; real or complex
    noise_std    standard deviation of the noise per real component, unit of y

    DataError for a y that is not finite or does not fit, for an adjoint or normal that is off by more than 1e-3, and for an
    operator on complex images; ConfigError for a negative noise.
    """

    operator: Operator
    y: Tensor
    noise_std: float

    def __repr__(self) -> str:
        """The measurement by a digest of y, as saved states name it: a run resumes with the same y only."""
        return f"Measurement(y={digest(self.y)}, noise_std={self.noise_std:g})"

    def __post_init__(self):
        if not 0 <= self.noise_std < float("inf"):
            raise ConfigError(f"noise_std {self.noise_std:g}: expected 0 or more, the noise of y per real component")
        check_finite("y", self.y)
        check_operator(self.operator, self.y)

    def misfit(self, x: Tensor) -> Tensor:
        """y - A x, in the precision of x."""
        predicted = self.operator.forward(x)
        return self.y.to(predicted) - predicted

    def gradient(self, x: Tensor) -> Tensor:
        """A^T (y - A x), as x."""
        return self.operator.adjoint(self.misfit(x))

    def exact_solve(self) -> Solve | None:
        """The operator's own solver, where it has one and the noise makes the system regular."""
        return getattr(self.operator, "solve_normal", None) if self.noise_std > 0 else None

    def norm_squared(self, like: Tensor, iterations: int = 30) -> float:
        """|A|^2, the largest eigenvalue of A^T A, by power iteration from fixed noise of the shape of one item of `like`."""
        x = Noise(0, ("norm",))(0, like[:1])
        for _ in range(iterations):
            x = x / inner(x, x).sqrt().to(x)
            x = self.operator.normal(x)
        return float(inner(x, x).sqrt())


def check_operator(operator: Operator, y: Tensor) -> None:
    """DataError unless <A x, v> = <x, A^T v> and A^T A x = A^T (A x) to 1e-3 on fixed random probes.

    One probe pair has v = A x, which shows wrong scales and misplaced rows whatever their size; the other has an independent v.
    """
    back = operator.adjoint(y[:1])
    if back.is_complex():
        raise DataError("the operator works on complex images; wrap it in Channels and sample as_channels(state)")
    x, other = (Noise(0, (name,))(0, back) for name in ("x", "other"))
    seen, seen_other = operator.forward(x), operator.forward(other)
    if seen.shape != y[:1].shape:
        raise DataError(f"y has shape {tuple(y.shape[1:])} per item, the operator makes {tuple(seen.shape[1:])}")
    if y.is_complex() and not seen.is_complex():
        raise DataError(
            "y is complex, the operator makes real measurements; give as_channels(y) or a complex operator in Channels"
        )
    turned = operator.adjoint(seen)
    for v, size in ((seen, inner(seen, seen)), (seen_other, torch.sqrt(inner(seen, seen) * inner(seen_other, seen_other)))):
        off = float((inner(seen, v) - inner(x, operator.adjoint(v))).abs() / size.clamp(min=TINY))
        if not off <= 1e-3:
            raise DataError(f"adjoint is off by {off:.0e}: CG would diverge; run physics.laws")
    difference = operator.normal(x) - turned
    off = float(torch.sqrt(inner(difference, difference) / inner(turned, turned).clamp(min=TINY)))
    if not off <= 1e-3:
        raise DataError(f"normal is off from adjoint(forward(x)) by {off:.0e}: CG would diverge; run physics.laws")


def scaled(values: Tensor, like: Tensor) -> Tensor:
    """values (b,) times like (b, *any)."""
    return per_item(values, like) * like


def digest(y: Tensor) -> str:
    """A short name for the values of a tensor."""
    y = y.detach().cpu().contiguous()
    return hashlib.blake2b((torch.view_as_real(y) if y.is_complex() else y).numpy(), digest_size=6).hexdigest()
