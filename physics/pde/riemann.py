"""Exact solution of the Riemann problem of an ideal gas: the oracle of the compressible solvers.

Primitive states are (density, velocity, pressure) along the field axis.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

NEWTON_STEPS = 60


@dataclass(frozen=True)
class Star:
    """The two states between the waves, (b,) each."""

    pressure: Tensor  # p*
    velocity: Tensor  # u*, speed of the contact
    density_left: Tensor  # rho*L
    density_right: Tensor  # rho*R


@dataclass(frozen=True)
class _Side:
    """One outer state (b, 1) each; velocities are counted away from the contact (mirrored on the right)."""

    density: Tensor
    velocity: Tensor
    pressure: Tensor
    sound: Tensor


def exact_riemann(left: Tensor, right: Tensor, gamma: float, xi: Tensor) -> tuple[Tensor, Star]:
    """Primitive states along rays xi = x/t, and the star states.

    left      (b, 3)            density, velocity, pressure for x < 0 at t = 0
    right     (b, 3)            for x > 0
    gamma                       ratio of heat capacities, > 1
    xi        (x,) or (b, x)    m/s
    returns   (b, 3, x), Star   raises ValueError for vacuum, densities or pressures that are not positive

        f(p; left) + f(p; right) + u_R - u_L = 0,  f by shock or rarefaction      (Toro 2009, eqs. 4.5-4.7)

    Newton's method from the two-rarefaction guess: f is increasing and concave, so it cannot cycle.
    """
    sides = _side(left, gamma, 1.0), _side(right, gamma, -1.0)
    gap = -(sides[0].velocity + sides[1].velocity)
    if bool((2 / (gamma - 1) * (sides[0].sound + sides[1].sound) <= gap).any()):
        raise ValueError("exact_riemann: the states separate into vacuum.")
    pressure = _star_pressure(sides, gamma, gap)
    shifts = [_velocity_change(pressure, side, gamma)[0] for side in sides]
    velocity = 0.5 * (sides[0].velocity - sides[1].velocity + shifts[1] - shifts[0])
    densities = [_star_density(pressure, side, gamma) for side in sides]
    rays = xi.expand(len(left), -1) if xi.ndim == 1 else xi
    near = _fan(rays, sides[0], Star(pressure, velocity, *densities), gamma)
    mirrored = _fan(-rays, sides[1], Star(pressure, -velocity, densities[1], densities[0]), gamma)
    mirrored = torch.stack([mirrored[:, 0], -mirrored[:, 1], mirrored[:, 2]], dim=1)
    state = torch.where((rays < velocity).unsqueeze(1), near, mirrored)
    return state, Star(*(value.squeeze(-1) for value in (pressure, velocity, *densities)))


def _side(state: Tensor, gamma: float, sign: float) -> _Side:
    """An outer state; raises ValueError unless it is a gas."""
    density, velocity, pressure = state.unsqueeze(-1).unbind(dim=1)
    if not (bool((density > 0).all()) and bool((pressure > 0).all()) and gamma > 1):
        raise ValueError("exact_riemann: densities and pressures must be positive and gamma above 1.")
    return _Side(density, sign * velocity, pressure, torch.sqrt(gamma * pressure / density))


def _velocity_change(pressure: Tensor, side: _Side, gamma: float) -> tuple[Tensor, Tensor]:
    """f(p) of one side and its derivative (Toro 2009, eqs. 4.6, 4.7, 4.37)."""
    a = 2 / ((gamma + 1) * side.density)
    b = (gamma - 1) / (gamma + 1) * side.pressure
    root = torch.sqrt(a / (pressure + b))
    shock = (pressure - side.pressure) * root
    shock_slope = root * (1 - 0.5 * (pressure - side.pressure) / (pressure + b))
    ratio = pressure / side.pressure
    fan = 2 * side.sound / (gamma - 1) * (ratio ** ((gamma - 1) / (2 * gamma)) - 1)
    fan_slope = ratio ** (-(gamma + 1) / (2 * gamma)) / (side.density * side.sound)
    is_shock = pressure > side.pressure
    return torch.where(is_shock, shock, fan), torch.where(is_shock, shock_slope, fan_slope)


def _star_pressure(sides: tuple[_Side, _Side], gamma: float, gap: Tensor) -> Tensor:
    """p* (b, 1)."""
    power = (gamma - 1) / (2 * gamma)
    left, right = sides
    guess = (left.sound + right.sound - 0.5 * (gamma - 1) * gap) / (
        left.sound / left.pressure**power + right.sound / right.pressure**power
    )
    pressure = guess ** (1 / power)
    for _ in range(NEWTON_STEPS):
        (first, first_slope), (second, second_slope) = (_velocity_change(pressure, side, gamma) for side in sides)
        new = (pressure - (first + second + gap) / (first_slope + second_slope)).clamp_min(1e-3 * pressure)
        if bool(((new - pressure).abs() <= 1e-15 * pressure).all()):
            break
        pressure = new
    return pressure


def _star_density(pressure: Tensor, side: _Side, gamma: float) -> Tensor:
    """Density between a side's wave and the contact (Toro 2009, eqs. 4.50, 4.53)."""
    ratio, step = pressure / side.pressure, (gamma - 1) / (gamma + 1)
    return side.density * torch.where(ratio > 1, (ratio + step) / (step * ratio + 1), ratio ** (1 / gamma))


def _fan(xi: Tensor, side: _Side, star: Star, gamma: float) -> Tensor:
    """States (b, 3, x) on the left of the contact (Toro 2009, section 4.5)."""
    ratio = star.pressure / side.pressure
    shock_speed = side.velocity - side.sound * torch.sqrt((gamma + 1) / (2 * gamma) * ratio + (gamma - 1) / (2 * gamma))
    head, tail = side.velocity - side.sound, star.velocity - side.sound * ratio ** ((gamma - 1) / (2 * gamma))
    is_shock = ratio > 1
    outer = xi < torch.where(is_shock, shock_speed, head)
    inside = ~is_shock & (xi < tail) & ~outer
    factor = (2 / (gamma + 1) + (gamma - 1) / ((gamma + 1) * side.sound) * (side.velocity - xi)).clamp_min(1e-12)
    fan = (
        side.density * factor ** (2 / (gamma - 1)),
        2 / (gamma + 1) * (side.sound + 0.5 * (gamma - 1) * side.velocity + xi),
        side.pressure * factor ** (2 * gamma / (gamma - 1)),
    )
    start, end = (side.density, side.velocity, side.pressure), (star.density_left, star.velocity, star.pressure)
    return torch.stack([torch.where(outer, o, torch.where(inside, f, s)) for o, f, s in zip(start, fan, end)], dim=1)
