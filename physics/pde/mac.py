"""Incompressible flow on a staggered grid: velocities on faces, pressure and smoke in cells, obstacles as solid cells.

Faces hold (u, v): u (b, x + 1, y) across x, v (b, x, y + 1) across y. On a ring the first and last faces are the same one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

SIDES = ("left", "right", "bottom", "top")  # low x, high x, low y, high y


@dataclass(frozen=True)
class Box:
    """The cells of a flow and what bounds them."""

    solid: Tensor  # (x, y) bool   obstacles, at rest
    width: float  # of a square cell, m
    open_sides: tuple[str, ...] = ()  # sides without wall: zero pressure outside, fluid passes; of SIDES
    is_periodic: bool = False  # a ring in both directions, without sides

    def __post_init__(self):
        unknown = [side for side in self.open_sides if side not in SIDES]
        if unknown or (self.open_sides and self.is_periodic):
            raise ValueError(
                f"open_sides {self.open_sides} of a {'periodic ' if self.is_periodic else ''}box; "
                f"expected some of {', '.join(SIDES)}, none if it is periodic."
            )

    def open_faces(self) -> tuple[Tensor, Tensor]:
        """1 on faces that fluid may pass, else 0: (x + 1, y) and (x, y + 1), float64."""
        fluid = (~self.solid).to(torch.float64)
        return self._open(fluid, SIDES[:2]), self._open(fluid.T, SIDES[2:]).T

    def _open(self, fluid: Tensor, sides: tuple[str, str]) -> Tensor:
        if self.is_periodic:
            row = torch.cat([fluid[-1:], fluid, fluid[:1]])
        else:
            low, high = (float(side in self.open_sides) for side in sides)
            row = torch.cat([torch.full_like(fluid[:1], low), fluid, torch.full_like(fluid[:1], high)])
        return row[1:] * row[:-1]


def divergence(u: Tensor, v: Tensor, width: float) -> Tensor:
    """Outflow of every cell per area (b, x, y), 1/s, from face velocities in m/s."""
    return (torch.diff(u, dim=-2) + torch.diff(v, dim=-1)) / width


def gradient(pressure: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    """Differences of cell values (b, x, y) across every face, over the width; outside the sides the value is 0.

    With zero on closed faces (`Box.open_faces`) this is minus the adjoint of `divergence`.
    """
    if box.is_periodic:
        rows = torch.cat([pressure[:, -1:], pressure, pressure[:, :1]], dim=1)
        columns = torch.cat([pressure[..., -1:], pressure, pressure[..., :1]], dim=2)
    else:
        rows = torch.nn.functional.pad(pressure, (0, 0, 1, 1))
        columns = torch.nn.functional.pad(pressure, (1, 1))
    return torch.diff(rows, dim=1) / box.width, torch.diff(columns, dim=2) / box.width


def to_centres(u: Tensor, v: Tensor) -> Tensor:
    """Velocities in the cells (b, 2, x, y): means of opposite faces."""
    return torch.stack([0.5 * (u[:, 1:] + u[:, :-1]), 0.5 * (v[..., 1:] + v[..., :-1])], dim=1)


def to_faces(velocity: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    """Face values of a vector field in the cells (b, 2, x, y): means of neighbours, copied at the sides."""
    u, v = velocity.unbind(dim=1)
    if box.is_periodic:
        rows, columns = torch.cat([u[:, -1:], u, u[:, :1]], dim=1), torch.cat([v[..., -1:], v, v[..., :1]], dim=2)
    else:
        rows, columns = torch.cat([u[:, :1], u, u[:, -1:]], dim=1), torch.cat([v[..., :1], v, v[..., -1:]], dim=2)
    return 0.5 * (rows[:, 1:] + rows[:, :-1]), 0.5 * (columns[..., 1:] + columns[..., :-1])
