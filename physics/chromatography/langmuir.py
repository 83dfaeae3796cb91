"""Competitive Langmuir columns on the transit grid: shift by one cell per step, implicit midpoint in every cell.

In the transit coordinate w the flux concentration C = u c/u0 moves at constant speed, compressible carrier or not:
    C_t + u0 C_w + Q_t = 0,    Q_t = a C f - kd Q,    f = 1 - phat(x) sum over j of Q_j/capacity_j
with Q = alpha q u/u0, a = alpha ka, capacity = alpha qmax. Cells of equal transit time dt = tM/n make the convective step
an exact shift; the midpoint rule keeps mean and variance of a linear peak exact at every dt, where the exact exponential
inflates the variance by z coth z, z = kd (1 + k) dt/2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physics.chromatography.column import hold_up_factor, position_of, relative_pressure

CLOSE = 1e-4  # last Newton step of f, root of the sum of squares; its correction below leaves the square, 1e-8 at worst
NEWTON_LIMIT = 60
TILE = 1 << 16  # numbers in one working array: what stays in a core's cache


@dataclass(frozen=True)
class LangmuirColumn:
    """Columns (batch) and analytes (component) that compete for one film; concentrations in one unit, mol/m^3 say."""

    adsorption: Tensor  # (b, component)   a = alpha ka = k kd, 1/s
    desorption: Tensor  # (b, component)   kd, 1/s; 0 is irreversible
    capacity: Tensor  # (b, component)   alpha qmax, concentration; infinity is the linear column
    hold_up: Tensor  # (b,)             tM, s
    pressure_ratio: float = 1.0  # P = pL/p0

    def __post_init__(self):
        shape = self.adsorption.shape
        if len(shape) != 2 or self.desorption.shape != shape or self.capacity.shape != shape or self.hold_up.shape != shape[:1]:
            raise ValueError(
                f"LangmuirColumn: adsorption {tuple(shape)}, desorption {tuple(self.desorption.shape)}, capacity "
                f"{tuple(self.capacity.shape)}, hold_up {tuple(self.hold_up.shape)}; expected (b, component) thrice and (b,)."
            )
        if bool((self.adsorption < 0).any() or (self.desorption < 0).any()):
            raise ValueError("LangmuirColumn: rates must not be negative.")
        if bool((self.capacity <= 0).any() or (self.hold_up <= 0).any()) or not 0 < self.pressure_ratio <= 1:
            raise ValueError("LangmuirColumn: capacity and hold_up must be positive, pressure_ratio in (0, 1].")


@dataclass(frozen=True)
class Elution:
    """What left the columns, and what is still inside."""

    times: Tensor  # (b, step)              middle of each step, s
    outlet: Tensor  # (b, component, step)   mean flux concentration leaving during the step
    mobile: Tensor  # (b, component, cell)   C at the end
    bound: Tensor  # (b, component, cell)   Q at the end
    imbalance: Tensor  # (b, component)         (in - out - inside)/in


def box_inlet(height: Tensor, *, duration: Tensor, step: Tensor, count: int) -> Tensor:
    """Mean of a box injection over each time step, exact wherever its edge falls.

    height     (b, component)         concentration
    duration   (b,)                   t1, s
    step       (b,)                   dt = tM/cells, s
    returns    (b, component, step)
    """
    start = torch.arange(count, dtype=height.dtype, device=height.device)
    share = (duration[:, None] / step[:, None] - start).clamp(0.0, 1.0)
    return height[..., None] * share[:, None, :]


def elute(column: LangmuirColumn, inlet: Tensor, *, cells: int) -> Elution:
    """Elution of any inlet history through the columns, second order in tM/cells and exactly conservative.

    inlet     (b, component, step)   mean flux concentration entering during each step of tM/cells
    cells                            n, cells of equal transit time
    returns                          what leaves during each step; raises ValueError above a relative imbalance of 1e-8

    With fewer than `cells_without_ringing` concentrations may fall below zero behind a sharp front; moments stay exact.
    """
    batch, components, _ = inlet.shape
    if inlet.shape[:2] != column.adsorption.shape or cells < 1:
        raise ValueError(
            f"inlet has shape {tuple(inlet.shape)} with {cells} cells; expected {tuple(column.adsorption.shape)} first."
        )
    tile = max(1, TILE // (components * cells))
    parts = [_elute_tile(_rows(column, rows), inlet[rows], cells) for rows in (slice(i, i + tile) for i in range(0, batch, tile))]
    outlet, mobile, bound = (torch.cat([part[i] for part in parts]) for i in range(3))
    entered = inlet.sum(dim=-1)
    missing = entered - outlet.sum(dim=-1) - (mobile + bound).sum(dim=-1)
    imbalance = missing / entered.abs().clamp_min(torch.finfo(inlet.dtype).tiny)
    if not bool((imbalance.abs() < 1e-8).all()):
        worst = float(imbalance.abs().max())
        raise ValueError(f"the column gained or lost {worst:.2g} of what entered. Rates or inlet are not finite: check them.")
    middle = torch.arange(inlet.shape[-1], dtype=inlet.dtype, device=inlet.device) + 0.5
    return Elution(middle * (column.hold_up[:, None] / cells), outlet, mobile, bound, imbalance)


def cells_without_ringing(column: LangmuirColumn) -> int:
    """The fewest cells with which no concentration falls below zero: (a - kd) tM/n <= 2 for every analyte."""
    fastest = (column.adsorption - column.desorption) * column.hold_up[:, None]
    return max(1, math.ceil(0.5 * float(fastest.max())))


class MidpointKinetics:
    """Implicit midpoint steps of competitive Langmuir exchange in every cell, in place and without allocation.

    With W = C + Q, h = dt a, c = 2 + dt kd and f the free fraction at the middle of the step,
        y = 2 (c W - 2 Q)/(c + h f),     F(f) = f - 1 + phat · sum over j of (W_j - y_j/2)/capacity_j = 0
        C_new = y - C,     Q_new = W - C_new       (C + Q is kept to rounding whatever f is)
    F rises and is concave where W >= Q >= 0, so Newton's method converges from below without safeguards.
    """

    def __init__(self, column: LangmuirColumn, cells: int, step: Tensor):
        """Constants and working arrays for columns of `cells` cells; `step` is dt (b,), s."""
        like = column.adsorption
        batch, components = like.shape
        gain, weight = step[:, None] * like, 0.5 / column.capacity
        self.gain, self.base = gain[..., None], (2.0 + step[:, None] * column.desorption)[..., None]
        self.twice = 2.0 * self.base
        self.weight, self.weight_gain = weight[:, None], (weight * gain)[:, None]
        self.phat = cell_pressures(column.pressure_ratio, cells=cells, like=like)
        self.free, self.previous = like.new_ones((batch, 1, cells)), like.new_ones((batch, 1, cells))
        self.total, self.excess, self.y, self.slope, self.bottom = (like.new_empty((batch, components, cells)) for _ in range(5))

    def advance(self, mobile: Tensor, bound: Tensor) -> None:
        """C and Q (b, component, cell) after one step, written over the given ones."""
        torch.add(mobile, bound, out=self.total)
        torch.mul(self.total, self.twice, out=self.excess)
        self.excess.sub_(bound, alpha=4.0)
        change = self._solve_free_fraction()
        torch.mul(self.gain, change, out=self.bottom)
        self.y.addcmul_(self.slope, self.bottom, value=-1.0)
        torch.sub(self.y, mobile, out=mobile)
        torch.sub(self.total, mobile, out=bound)

    def _solve_free_fraction(self) -> Tensor:
        """The last, tiny Newton step of f; leaves f in `free`, and y and y/(c + h f) of the f before that step."""
        free = (2.0 * self.free).sub_(self.previous).clamp_(0.0, 1.0)
        loaded = torch.bmm(self.weight, self.total).mul_(2.0).mul_(self.phat).sub_(1.0)
        for _ in range(NEWTON_LIMIT):
            torch.addcmul(self.base, self.gain, free, out=self.bottom)
            torch.div(self.excess, self.bottom, out=self.y)
            torch.div(self.y, self.bottom, out=self.slope)
            change = torch.bmm(self.weight, self.y).mul_(self.phat).sub_(loaded).sub_(free)
            change.div_(torch.bmm(self.weight_gain, self.slope).mul_(self.phat).add_(1.0))
            free.add_(change)
            if float(torch.dot(change.view(-1), change.view(-1))) < CLOSE**2:
                self.previous, self.free = self.free, free
                return change
        raise ValueError("the free fraction did not converge: rates, capacities or concentrations are out of range.")


def cell_pressures(pressure_ratio: float, *, cells: int, like: Tensor) -> Tensor:
    """phat at the middle (in transit time) of each cell (cell,), from inlet to outlet."""
    middle = (torch.arange(cells, dtype=torch.float64) + 0.5).numpy() / cells * hold_up_factor(pressure_ratio)
    phat = relative_pressure(
        position_of(middle, length=1.0, pressure_ratio=pressure_ratio), length=1.0, pressure_ratio=pressure_ratio
    )
    return torch.as_tensor(phat, dtype=like.dtype, device=like.device)


def _elute_tile(column: LangmuirColumn, inlet: Tensor, cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Outlet history, C and Q of a few columns, all steps.

    Shifting costs nothing: C is a window of a longer buffer that moves back by one cell each step.
    """
    batch, components, steps = inlet.shape
    kinetics = MidpointKinetics(column, cells, column.hold_up / cells)
    buffer = inlet.new_zeros((batch, components, 2 * cells))
    bound, outlet = inlet.new_zeros((batch, components, cells)), torch.empty_like(inlet)
    first = cells
    for index in range(steps):
        outlet[..., index] = buffer[..., first + cells - 1]
        if first == 0:
            buffer[..., cells + 1 :] = buffer[..., : cells - 1]
            first = cells + 1
        first -= 1
        buffer[..., first] = inlet[..., index]
        kinetics.advance(buffer[..., first : first + cells], bound)
    return outlet, buffer[..., first : first + cells].clone(), bound


def _rows(column: LangmuirColumn, rows: slice) -> LangmuirColumn:
    """Some of the columns."""
    return LangmuirColumn(
        column.adsorption[rows], column.desorption[rows], column.capacity[rows], column.hold_up[rows], column.pressure_ratio
    )
