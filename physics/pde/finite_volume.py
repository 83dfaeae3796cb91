"""Convection, diffusion and reaction in one dimension: Koren's limiter, Runge-Kutta, Strang splitting, mass balance.

    U_t + (u U)_x = (D U_x)_x + S(U, t)        u >= 0 from the inlet at x = 0 to the outlet at x = L

One step is S(dt/2) T(dt) S(dt/2) (Strang): the source L-stable, T the transport with its diffusion implicit, so that only
convection limits the step. The scheme conserves to rounding; the run fails where the books do not balance.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from physics.pde.diffusion import ImplicitDiffusion
from physics.pde.inlet import Inlet
from physics.pde.source import NoSource, Source
from physics.pde.transport import convect, convect_and_diffuse

COURANT_LIMIT = 1.0
IMBALANCE_LIMIT = 1e-8
Velocity = Callable[[float], Tensor]  # time -> m/s at the faces, broadcasting to (b, component, cell + 1)


@dataclass(frozen=True)
class Model:
    """A row of equal cells per (batch, component); immobile components have velocity 0."""

    length: float  # L, m
    velocity: Velocity  # u at the faces at a time, m/s, >= 0
    inlet: Inlet  # mean value entering during a step, (b, component)
    diffusion: Tensor | None = None  # D at the faces, m^2/s, broadcasting to (b, component, cell + 1)
    source: Source = field(default_factory=NoSource)
    conserved: Tensor | None = None  # (invariant, component): sums that S keeps; None is every component by itself
    is_dirichlet: bool = False  # inlet value held at x = 0; otherwise Danckwerts: the total flux is u · inlet


@dataclass(frozen=True)
class Run:
    """What a model did."""

    times: Tensor  # (step + 1,)                s
    outlet: Tensor  # (b, component, step + 1)   value at x = L
    eluted: Tensor  # (b, component, step + 1)   cumulative outflow, value · m
    final: Tensor  # (b, component, cell)       cell means at the end
    profiles: Tensor  # (b, component, cell, saved)   at the saved steps
    imbalance: Tensor  # (b, invariant)             (in - out - gain)/scale


def march(model: Model, start: Tensor, *, step: float, steps: int, save: tuple[int, ...] = ()) -> Run:
    """The solution of a model after equal time steps, second order in step and width.

    start     (b, component, cell)   cell means at t = 0, float64
    step                             dt, s; u dt/dx <= 1 everywhere, <= 1/2 where no value may fall below zero
    steps                            their number
    save                             steps after which the whole profile is kept
    returns                          raises ValueError where the Courant number or the imbalance exceeds its limit
    """
    width = model.length / start.shape[-1]
    diffusion = None if model.diffusion is None else ImplicitDiffusion(model.diffusion, width, model.is_dirichlet)
    values, left, entered = start, torch.zeros_like(start[..., 0]), torch.zeros_like(start[..., 0])
    outlets, eluted, profiles = [start[..., -1]], [left], [start] if 0 in save else []
    for index in range(steps):
        values, inflow, outflow = _strang(model, diffusion, values, index * step, step)
        entered, left = entered + inflow, left + outflow
        outlets.append(values[..., -1])
        eluted.append(left)
        if index + 1 in save:
            profiles.append(values)
    imbalance = _balance(model, values - start, entered - left, start.abs().sum(dim=-1) * width + entered.abs() + left.abs())
    times = step * torch.arange(steps + 1, dtype=start.dtype, device=start.device)
    kept = torch.stack(profiles, dim=-1) if profiles else start.new_empty((*start.shape, 0))
    return Run(times, torch.stack(outlets, dim=-1), torch.stack(eluted, dim=-1), values, kept, imbalance)


def _strang(
    model: Model, diffusion: ImplicitDiffusion | None, values: Tensor, time: float, step: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Values after one split step, with what entered and left (b, component), value · m."""
    width = model.length / values.shape[-1]
    velocity = model.velocity(time + 0.5 * step)
    courant = float(velocity.max()) * step / width
    if not courant <= COURANT_LIMIT * (1 + 1e-9) or float(velocity.min()) < 0:
        raise ValueError(
            f"the Courant number u dt/dx is {courant:.3g} at t = {time:g} s (or a velocity is negative); expected 0 to "
            f"{COURANT_LIMIT:g}. Take time steps of at most {step / max(courant, 1e-300):.3g} s, or fewer cells."
        )
    inlet = model.inlet(time, time + step)
    values = model.source.advance(values, time, 0.5 * step)
    if diffusion is None:
        values, inflow, outflow = convect(values, velocity, inlet=inlet, number=step / width)
    else:
        values, inflow, outflow = convect_and_diffuse(values, velocity, inlet=inlet, number=step / width, diffusion=diffusion)
    values = model.source.advance(values, time + 0.5 * step, 0.5 * step)
    return values, width * inflow, width * outflow


def _balance(model: Model, change: Tensor, net: Tensor, scale: Tensor) -> Tensor:
    """Relative imbalance (b, invariant) of every conserved sum; raises ValueError above the limit.

    change   (b, component, cell)   of the cell means during the run
    net      (b, component)         entered minus left, value · m
    scale    (b, component)         all that took part, value · m
    """
    weights = model.conserved
    if weights is None:
        weights = torch.eye(change.shape[1], dtype=change.dtype, device=change.device)
    width = model.length / change.shape[-1]
    missing = (net - width * change.sum(dim=-1)) @ weights.T
    imbalance = missing / (scale @ weights.abs().T).clamp_min(torch.finfo(change.dtype).tiny)
    if not bool((imbalance.abs() < IMBALANCE_LIMIT).all()):
        raise ValueError(
            f"mass is out of balance by {float(imbalance.abs().max()):.2g} of the total. The source does not keep the sums in "
            "`conserved` (a reaction keeps none of the components it changes), or values are not finite."
        )
    return imbalance
