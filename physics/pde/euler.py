"""Compressible flow of an ideal gas in one dimension, with viscosity and heat conduction, by finite volumes.

    rho_t + (rho u)_x = 0
    (rho u)_t + (rho u^2 + p - tau)_x = 0
    E_t + (u (E + p) - u tau - conductivity T_x)_x = 0
    E = p/(gamma - 1) + rho u^2/2,   tau = (4/3 shear + bulk) u_x,   T = p/rho

Primitive states are (density, velocity, pressure), conserved ones (density, momentum, energy) along the field axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from physics.pde.explicit import march_frames
from physics.pde.faces import GHOSTS, RECONSTRUCTIONS, padded
from physics.pde.frames import check_state, frame_edges
from physics.pde.hllc import hllc_flux

COURANT = 0.5
DIFFUSION_NUMBER = 0.35
BOUNDARIES = {"outflow": "copied", "periodic": "periodic", "reflecting": "even"}
VISCOSITIES = ("physical", "pdebench")


@dataclass(frozen=True)
class Gas:
    """An ideal gas in the units of the run; the gas constant is 1."""

    gamma: float = 1.4  # ratio of heat capacities
    shear: float = 0.0  # dynamic viscosity eta
    bulk: float = 0.0  # bulk viscosity zeta
    conductivity: float = 0.0  # of heat, kappa
    viscosity: str = "physical"  # eta, zeta as they are; "pdebench" multiplies both by the density


@dataclass(frozen=True)
class Tube:
    """The discrete right-hand side of a row of equal cells."""

    gas: Gas
    width: float  # of a cell, m
    boundary: str = "outflow"  # "outflow" (zero gradient), "periodic" or "reflecting"
    reconstruction: str = "muscl"  # or "weno", both of primitive variables

    def slope(self, conserved: Tensor) -> Tensor:
        """Rate of change (b, 3, x) of conserved cell averages; faces fall back to first order where a gas would not exist."""
        row = padded(primitive(conserved, self.gas.gamma), BOUNDARIES[self.boundary])
        if self.boundary == "reflecting":
            row = _mirrored(row)
        left, right = RECONSTRUCTIONS[self.reconstruction](row)
        cells = row[..., GHOSTS - 1 : row.shape[-1] - GHOSTS + 1]
        left, right = _where_gas(left, cells[..., :-1]), _where_gas(right, cells[..., 1:])
        flux = hllc_flux(left, right, self.gas.gamma)
        if self.gas.shear or self.gas.bulk or self.gas.conductivity:
            flux = flux - self._diffusive_flux(cells)
        return -torch.diff(flux) / self.width

    def limit(self, conserved: Tensor) -> Tensor:
        """Longest stable step (b, 1, 1):  1/dt = (|u| + c)/(0.5 dx) + diffusivity/(0.35 dx^2)."""
        density, velocity, pressure = primitive(conserved, self.gas.gamma).unbind(dim=1)
        speed = (velocity.abs() + torch.sqrt(self.gas.gamma * pressure / density)).amax(dim=-1)
        viscous = (4 / 3 * self.gas.shear + self.gas.bulk) / (density if self.gas.viscosity == "physical" else 1.0)
        thermal = self.gas.conductivity * (self.gas.gamma - 1) / density
        spread = torch.maximum(viscous + 0 * density, thermal).amax(dim=-1)
        return 1 / (speed / (COURANT * self.width) + spread / (DIFFUSION_NUMBER * self.width**2)).reshape(-1, 1, 1)

    def _diffusive_flux(self, cells: Tensor) -> Tensor:
        """Viscous stress, its work and conducted heat at the faces (b, 3, x + 1), from primitive cells (b, 3, x + 2)."""
        density, velocity, pressure = cells.unbind(dim=1)
        stress = (4 / 3 * self.gas.shear + self.gas.bulk) * torch.diff(velocity) / self.width
        if self.gas.viscosity == "pdebench":
            stress = stress * _midway(density)
        heat = self.gas.conductivity * torch.diff(pressure / density) / self.width
        return torch.stack([torch.zeros_like(stress), stress, _midway(velocity) * stress + heat], dim=1)


def compressible(
    state: Tensor,
    times: Sequence[float] | Tensor,
    *,
    gas: Gas,
    boundary: str = "outflow",
    reconstruction: str = "muscl",
    length: float = 1.0,
) -> Tensor:
    """Frames of a compressible flow: HLLC fluxes, SSP-RK3, each trajectory its own time step.

    state            (b, 3, x)      density, velocity, pressure: cell averages
    times            (t,)           s, increasing; t = 0 is the state
    gas
    boundary                        "outflow", "periodic" or "reflecting"
    reconstruction                  "muscl" (order 2) or "weno" (order 5 for density waves; 1.75 times the work)
    length                          of the domain, m
    returns          (b, 3, t, x)   raises ValueError on bad input and where the gas ceases to exist
    """
    check_state("state", state, 3)
    if boundary not in BOUNDARIES or reconstruction not in RECONSTRUCTIONS or gas.viscosity not in VISCOSITIES:
        raise ValueError(
            f"boundary {boundary!r}, reconstruction {reconstruction!r}, viscosity {gas.viscosity!r}; choose from "
            f"{', '.join(BOUNDARIES)}; {', '.join(RECONSTRUCTIONS)}; {', '.join(VISCOSITIES)}."
        )
    _check_gas(state, 0.0)
    edges = frame_edges(times)
    tube = Tube(gas, length / state.shape[-1], boundary, reconstruction)
    frames = []
    march = march_frames(conserved(state, gas.gamma), edges, slope=partial(_unforced, tube), limit=tube.limit)
    for values, time in zip(march, edges[1:]):
        frames.append(primitive(values, gas.gamma))
        _check_gas(frames[-1], time)
    return torch.stack(frames, dim=2)


def primitive(state: Tensor, gamma: float) -> Tensor:
    """Density, velocity, pressure (b, 3, ...) of density, momentum, energy."""
    density, momentum, energy = state.unbind(dim=1)
    velocity = momentum / density
    return torch.stack([density, velocity, (gamma - 1) * (energy - 0.5 * momentum * velocity)], dim=1)


def conserved(state: Tensor, gamma: float) -> Tensor:
    """Density, momentum, energy (b, 3, ...) of density, velocity, pressure."""
    density, velocity, pressure = state.unbind(dim=1)
    return torch.stack([density, density * velocity, pressure / (gamma - 1) + 0.5 * density * velocity.square()], dim=1)


def _unforced(tube: Tube, state: Tensor, frame: int, time: Tensor) -> Tensor:
    return tube.slope(state)


def _mirrored(row: Tensor) -> Tensor:
    """The padded row with the velocity's sign changed behind both walls."""
    sign = torch.ones_like(row[:1, :, :])
    sign[:, 1, :GHOSTS] = sign[:, 1, -GHOSTS:] = -1
    return row * sign


def _where_gas(face: Tensor, cell: Tensor) -> Tensor:
    """Face states, those of the cell where density or pressure would not be positive."""
    return torch.where((torch.minimum(face[:, 0], face[:, 2]) > 0).unsqueeze(1), face, cell)


def _midway(values: Tensor) -> Tensor:
    return 0.5 * (values[..., 1:] + values[..., :-1])


def _check_gas(state: Tensor, time: float) -> None:
    """Raises ValueError unless every density and pressure is positive."""
    bad = (~((state[:, 0] > 0) & (state[:, 2] > 0))).nonzero()
    if len(bad):
        trajectory, cell = bad[0].tolist()
        raise ValueError(
            f"trajectory {trajectory}: density or pressure is not positive at t = {time:g}, cell {cell}. "
            "Refine x, or start from states that do not separate into vacuum."
        )
