"""Navier-Stokes with smoke on a staggered grid: SSP-RK3, every stage projected.

u_t + div(u u) = -grad p + viscosity lap u + buoyancy · smoke · e_y + force,   div u = 0
smoke_t + div(u smoke) = 0
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from physics.pde.mac import Box, to_faces
from physics.pde.pressure import Projection

COURANT = 0.5  # (max |u| + max |v|) dt/width: keeps smoke between its extremes
DIFFUSION_NUMBER = 0.2

State = tuple[Tensor, Tensor, Tensor]  # u (b, x + 1, y), v (b, x, y + 1), smoke (b, x, y)


@dataclass(frozen=True)
class Flow:
    """The discrete equations in one box."""

    box: Box
    projection: Projection
    viscosity: float = 0.0  # kinematic, m^2/s
    buoyancy: float = 0.0  # upward acceleration per unit of smoke, m/s^2

    def step(self, state: State, force: Tensor, dt: float) -> tuple[State, Tensor]:
        """State after one step under a force (b, 2, x, y), m/s^2, and the smoke that left by each side (b, 4), times m^2.

        Smoke lost through the sides left, right, bottom, top is counted by the fluxes of the step: the balance is exact.
        """
        push = to_faces(force, self.box)
        first, lost_a = self._euler(state, push, dt)
        second, lost_b = self._euler(first, push, dt)
        second = tuple(0.75 * old + 0.25 * new for old, new in zip(state, second))
        third, lost_c = self._euler(second, push, dt)
        third = tuple((old + 2 * new) / 3 for old, new in zip(state, third))
        return third, (lost_a + lost_b + 4 * lost_c) / 6

    def carry(self, state: State, dt: float) -> tuple[State, Tensor]:
        """The same for smoke alone, in a flow that stays as it is."""
        u, v, smoke = state
        first, lost_a = self._advected(u, v, smoke, dt)
        second, lost_b = self._advected(u, v, first, dt)
        third, lost_c = self._advected(u, v, 0.75 * smoke + 0.25 * second, dt)
        return (u, v, (smoke + 2 * third) / 3), (lost_a + lost_b + 4 * lost_c) / 6

    def limit(self, state: State, force: Tensor | None = None) -> float:
        """Longest stable step of the fastest member, s; smoke alone moves where no force (b, 2, x, y) is given."""
        u, v, smoke = (part.detach().abs().flatten(1).amax(1) for part in state)
        reach = COURANT * self.box.width
        inverse = float((u + v).max()) / reach
        if force is not None:
            push = float(force.detach().abs().max()) + abs(self.buoyancy) * float(smoke.max())
            inverse += (push / reach) ** 0.5 + self.viscosity / (DIFFUSION_NUMBER * self.box.width**2)
        return 1 / max(inverse, 1e-12)

    def _euler(self, state: State, push: tuple[Tensor, Tensor], dt: float) -> tuple[State, Tensor]:
        u, v, smoke = state
        by_u, by_v = momentum_slopes(u, v, self.box, self.viscosity)
        lift = torch.stack([torch.zeros_like(smoke), self.buoyancy * smoke], dim=1)
        lift_v = to_faces(lift, self.box)[1] if self.buoyancy else 0.0
        carried, lost = self._advected(u, v, smoke, dt)
        u, v = self.projection(u + dt * (by_u + push[0]), v + dt * (by_v + push[1] + lift_v))
        return (u, v, carried), lost

    def _advected(self, u: Tensor, v: Tensor, smoke: Tensor, dt: float) -> tuple[Tensor, Tensor]:
        """Smoke after an Euler step, and what left by the four sides."""
        open_u, open_v = (mask.to(u) for mask in self.projection.open)
        flux_x = upwind_flux(smoke, u, open_u, is_periodic=self.box.is_periodic)
        flux_y = upwind_flux(smoke.mT, v.mT, open_v.T, is_periodic=self.box.is_periodic).mT
        if self.box.is_periodic:
            lost = smoke.new_zeros((len(smoke), 4))
        else:
            ends = (-flux_x[:, 0], flux_x[:, -1], -flux_y[..., 0], flux_y[..., -1])
            lost = torch.stack([side.sum(dim=-1) for side in ends], dim=1) * dt * self.box.width
        return smoke - dt / self.box.width * (torch.diff(flux_x, dim=1) + torch.diff(flux_y, dim=2)), lost


def momentum_slopes(u: Tensor, v: Tensor, box: Box, viscosity: float) -> tuple[Tensor, Tensor]:
    """Convection in divergence form, which keeps momentum and energy, and viscosity, on the faces (Harlow and Welch 1965).

    u, v      (b, x + 1, y), (b, x, y + 1)   m/s; no slip along closed sides and obstacles, zero gradient at open sides
    returns   (b, x + 1, y), (b, x, y + 1)   m/s^2, before projection
    """
    wide_u = _framed(u, box, sides=("left", "right", "bottom", "top"))
    wide_v = _framed(v.mT, box, sides=("bottom", "top", "left", "right")).mT
    corner_u = 0.5 * (wide_u[:, 1:-1, 1:] + wide_u[:, 1:-1, :-1])
    corner_v = 0.5 * (wide_v[:, 1:, 1:-1] + wide_v[:, :-1, 1:-1])
    centre_u = 0.5 * (wide_u[:, 1:, 1:-1] + wide_u[:, :-1, 1:-1])
    centre_v = 0.5 * (wide_v[:, 1:-1, 1:] + wide_v[:, 1:-1, :-1])
    corner = corner_u * corner_v
    by_u = -(torch.diff(centre_u.square(), dim=1) + torch.diff(corner, dim=2)) / box.width
    by_v = -(torch.diff(corner, dim=1) + torch.diff(centre_v.square(), dim=2)) / box.width
    if not viscosity:
        return by_u, by_v
    scale = viscosity / box.width**2
    return by_u + scale * _five_point(wide_u), by_v + scale * _five_point(wide_v)


def upwind_flux(smoke: Tensor, velocity: Tensor, is_open: Tensor, *, is_periodic: bool) -> Tensor:
    """Smoke through the faces across x (b, x + 1, y), second order upwind with the monotonised-central limiter.

    smoke      (b, x, y)
    velocity   (b, x + 1, y)   m/s
    is_open    (x + 1, y)      faces that count in slopes, so that nothing is drawn from an obstacle
    """
    if is_periodic:
        row = torch.cat([smoke[:, -2:], smoke, smoke[:, :2]], dim=1)
        passable = torch.cat([is_open[-2:-1], is_open, is_open[1:2]])
    else:
        outside = torch.zeros_like(smoke[:, :1])  # clean air flows in
        row = torch.cat([outside, outside, smoke, outside, outside], dim=1)
        closed = torch.zeros_like(is_open[:2])
        passable = torch.cat([closed, is_open[1:-1], closed])
    step = torch.diff(row, dim=1) * passable
    before, after = step[:, :-1], step[:, 1:]
    size = torch.minimum(2 * torch.minimum(before.abs(), after.abs()), 0.5 * (before + after).abs())
    half = torch.where(before * after > 0, 0.5 * size * torch.sign(before), torch.zeros_like(size))
    cells = row[:, 1:-1]
    return velocity.clamp_min(0) * (cells + half)[:, :-1] + velocity.clamp_max(0) * (cells - half)[:, 1:]


def _framed(u: Tensor, box: Box, *, sides: tuple[str, str, str, str]) -> Tensor:
    """Velocities across the first axis (b, x + 1, y) with a ghost on every side (b, x + 3, y + 2)."""
    if box.is_periodic:
        u = torch.cat([u[:, -2:-1], u, u[:, 1:2]], dim=1)
        return torch.cat([u[..., -1:], u, u[..., :1]], dim=2)
    u = torch.cat([u[:, :1], u, u[:, -1:]], dim=1)
    signs = [1.0 if side in box.open_sides else -1.0 for side in sides[2:]]
    return torch.cat([signs[0] * u[..., :1], u, signs[1] * u[..., -1:]], dim=2)


def _five_point(wide: Tensor) -> Tensor:
    """Sum of the four neighbours minus four times the middle."""
    middle = wide[:, 1:-1, 1:-1]
    return wide[:, 2:, 1:-1] + wide[:, :-2, 1:-1] + wide[:, 1:-1, 2:] + wide[:, 1:-1, :-2] - 4 * middle
