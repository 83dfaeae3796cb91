"""Implicit diffusion on a row of cells: stages by parallel tridiagonal solves, many rows at once."""

import torch
from torch import Tensor


class ImplicitDiffusion:
    """The operator  A U = (D U_x)_x  of a row of cells: no diffusive flux at the outlet, none or a Dirichlet one at the inlet."""

    def __init__(self, diffusion: Tensor, width: float, is_dirichlet: bool):
        """The conductances of the faces.

        diffusion      (..., cell + 1)   D at the faces, m^2/s; the outer two count only where they carry flux
        width                            of a cell, m
        is_dirichlet                     whether the inlet value acts on the first cell, from half a width away
        """
        conductance = (diffusion / width).clone()
        conductance[..., -1] = 0.0
        conductance[..., 0] = 2.0 * conductance[..., 0] if is_dirichlet else 0.0
        self.conductance, self.width = conductance, width
        self.prepared: dict[float, tuple[list, Tensor]] = {}

    def rate(self, values: Tensor, inlet: Tensor) -> Tensor:
        """(D U_x)_x of cell means (..., cell) with the value `inlet` (...) at the entrance, per second."""
        flux = torch.nn.functional.pad(-self.conductance[..., 1:-1] * torch.diff(values, dim=-1), (1, 1))
        flux[..., 0] = self.inflow(values, inlet)
        return -torch.diff(flux, dim=-1) / self.width

    def inflow(self, values: Tensor, inlet: Tensor) -> Tensor:
        """Diffusive flux through the entrance (...), value · m/s."""
        return self.conductance[..., 0] * (inlet - values[..., 0])

    def stage(self, values: Tensor, inlet: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """U and K with  U = values + step K,  K = A U: one implicit stage, (..., cell) each."""
        if step not in self.prepared:
            inner, scale = self.conductance[..., 1:-1], step / self.width
            lower, upper = (torch.nn.functional.pad(-scale * inner, side) for side in ((1, 0), (0, 1)))
            main = 1 + scale * (self.conductance[..., 1:] + self.conductance[..., :-1])
            self.prepared[step] = _reduction(lower, main, upper)
        slope = _solve(*self.prepared[step], self.rate(values, inlet))
        return values + step * slope, slope


def _reduction(lower: Tensor, main: Tensor, upper: Tensor) -> tuple[list[tuple[int, Tensor, Tensor]], Tensor]:
    """Multipliers of parallel cyclic reduction (Hockney 1965): log2(cells) levels, no loop over cells."""
    levels, distance, cells = [], 1, main.shape[-1]
    while distance < cells:
        above = -lower / _shifted(main, distance, 1.0)
        below = -upper / _shifted(main, -distance, 1.0)
        levels.append((distance, above, below))
        main = main + above * _shifted(upper, distance, 0.0) + below * _shifted(lower, -distance, 0.0)
        lower, upper = above * _shifted(lower, distance, 0.0), below * _shifted(upper, -distance, 0.0)
        distance *= 2
    return levels, 1.0 / main


def _solve(levels: list[tuple[int, Tensor, Tensor]], inverse: Tensor, right: Tensor) -> Tensor:
    """Solution of the prepared tridiagonal system."""
    for distance, above, below in levels:
        right = right + above * _shifted(right, distance, 0.0) + below * _shifted(right, -distance, 0.0)
    return right * inverse


def _shifted(values: Tensor, distance: int, fill: float) -> Tensor:
    """values[i - distance], with `fill` outside."""
    if distance > 0:
        return torch.nn.functional.pad(values[..., :-distance], (distance, 0), value=fill)
    return torch.nn.functional.pad(values[..., -distance:], (0, -distance), value=fill)
