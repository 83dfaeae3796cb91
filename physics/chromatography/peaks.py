"""The parameters of linear peaks: batches of chromatograms, several analytes each, sharing one instrument."""

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Filter = Callable[[Tensor], Tensor]
QUANTITIES = (
    "retention",
    "desorption",
    "hold_up",
    "injection",
    "tailing",
    "mixing",
    "delay",
    "dispersion",
    "radial",
    "pressure_ratio",
)
POSITIVE = ("desorption", "hold_up", "pressure_ratio")
NOT_NEGATIVE = ("retention", "injection", "tailing", "mixing", "dispersion", "radial")


@dataclass(frozen=True)
class Peaks:
    """Everything that shapes linear peaks, as tensors that broadcast to (batch, component); SI units.

    Floats are accepted and become tensors like `retention`; a shared quantity may also be given per component.
    Dispersion is the inverse Peclet number at the inlet; both ends of the column obey Danckwerts' conditions.
    A physical column's numbers: k = alpha ka/kd, hold_up = m(P) L/u0, dispersion = D0/(u0 L), radial = R^2 u0/(L D0).
    """

    retention: Tensor  # (b, component)   k, retention factor, no unit
    desorption: Tensor  # (b, component)   kd, 1/s
    hold_up: Tensor | float  # (b, 1)           tM, s
    injection: Tensor | float = 0.0  # (b, 1)           t1, length of the box injection, s; 0 is a sharp injection
    tailing: Tensor | float = 0.0  # (b, 1)           time constant of late-entering sample, s
    mixing: Tensor | float = 0.0  # (b, 1)           tau_ec, mixing in tubing and detector, s
    delay: Tensor | float = 0.0  # (b, 1)           t0, start of the injection on the clock of `times`, s
    dispersion: Tensor | float = 0.0  # (b, component)   D0/(u0 L), no unit; 0 is no diffusion
    radial: Tensor | float = 0.0  # (b, component)   R^2 u0/(L D0), no unit; 0 leaves out Golay's gas-phase term
    pressure_ratio: Tensor | float = 1.0  # (b, 1)           P = pL/p0, no unit; only shapes the dispersion
    filters: tuple[Filter, ...] = ()  # s (frequency,) -> factor broadcasting to (b, component, frequency)

    def __post_init__(self):
        retention = torch.as_tensor(self.retention)
        if retention.ndim != 2 or retention.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"Peaks.retention is {retention.dtype} of shape {tuple(retention.shape)}, expected float64 or float32 of "
                "shape (batch, component)."
            )
        for name in QUANTITIES:
            object.__setattr__(self, name, _checked(name, getattr(self, name), retention))

    @property
    def shape(self) -> torch.Size:
        """(batch, component)."""
        return self.retention.shape

    @cached_property
    def effective_dispersion(self) -> Tensor:
        """Inverse Peclet number with Golay's radial term added, D/(u0 L) + g(k) R^2 u0/(L D0).

        g(k) = (1 + 6k + 11k^2) / (48 (1 + k)^2)      (Golay 1958; the 1/p scaling is kept)
        """
        return self.dispersion + golay_factor(self.retention) * self.radial

    @cached_property
    def has_dispersion(self) -> bool:
        """Whether any peak has axial or radial dispersion."""
        return bool((self.effective_dispersion.detach() > 0).any())

    def rows(self, rows: slice) -> "Peaks":
        """The peaks of some chromatograms of the batch."""
        part = copy(self)
        part.__dict__.pop("effective_dispersion", None)
        for name in QUANTITIES:
            value = getattr(self, name)
            if value.shape[0] > 1:
                object.__setattr__(part, name, value[rows])
        return part


def golay_factor(retention):
    """g(k) = (1 + 6k + 11k^2)/(48 (1 + k)^2): radial dispersion in units of R^2 u^2/D (Golay 1958).

    retention   any     k, retention factor
    returns     as k    1/48 at k = 0 (Taylor-Aris), 11/48 at large k
    """
    return (1.0 + 6.0 * retention + 11.0 * retention**2) / (48.0 * (1.0 + retention) ** 2)


def _checked(name: str, value: Tensor | float, like: Tensor) -> Tensor:
    """The value as a 2-D tensor that broadcasts to the shape of `like`, or a ValueError that names it."""
    value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    while value.ndim < 2:
        value = value.unsqueeze(-1) if value.ndim == 1 else value.unsqueeze(0)
    if value.ndim != 2 or any(size not in (1, full) for size, full in zip(value.shape, like.shape)):
        raise ValueError(f"Peaks.{name} has shape {tuple(value.shape)}, expected one that broadcasts to {tuple(like.shape)}.")
    lowest, highest = (float(end) for end in torch.aminmax(value.detach()))
    wanted = "positive" if name in POSITIVE else "not negative" if name in NOT_NEGATIVE else "finite"
    is_wrong = (wanted == "positive" and lowest <= 0) or (wanted == "not negative" and lowest < 0)
    if is_wrong or not (math.isfinite(lowest) and math.isfinite(highest)):
        found = lowest if math.isfinite(lowest) and math.isfinite(highest) else "not finite"
        raise ValueError(f"Peaks.{name} is {found} somewhere, expected values that are {wanted}.")
    if name == "pressure_ratio" and highest > 1:
        raise ValueError(f"Peaks.pressure_ratio is {highest} somewhere: it is outlet / inlet absolute pressure, at most 1.")
    return value
