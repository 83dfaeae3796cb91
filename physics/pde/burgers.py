"""Burgers' equation with viscosity and forcing: spectral in space (default), or finite volumes where viscosity is small.

    u_t + (u^2/2)_x = viscosity · u_xx + force        on [0, 1], "walls" (u = 0 at both ends) or "periodic"

Cells are centred at x_i = (i + 1/2)/n. Another length L is the same problem in u/L, viscosity/L^2 and force/L.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from physics.pde.etdrk4 import IMAGINARY_LIMIT, Etdrk4, etdrk4
from physics.pde.explicit import march_frames
from physics.pde.faces import GHOSTS, RECONSTRUCTIONS, padded
from physics.pde.frames import Force, FrameForce, check_growth, check_state, frame_edges, per_member, replayed

MOST_SUBSTEPS = 20_000  # chosen for one frame; a force that needs more never ends
COURANT = 1.0  # max |u| dt/dx of the chosen sub-steps; the method allows 2.83/(2 pi/3) = 1.35
GHOST_CELLS = {"walls": "odd", "periodic": "periodic"}


def burgers(
    u0: Tensor,
    force: Force,
    *,
    viscosity: float | Tensor,
    times: Sequence[float] | Tensor,
    boundary: str = "walls",
    substeps: int | None = None,
) -> Tensor:
    """Frames of Burgers' equation by ETDRK4 in Fourier space; walls by odd extension to twice the points.

    u0          (b, 1, x)                     cell-centre values
    force       (b, 1, t, x), or a function   constant on (t_{i-1}, t_i]; or time -> (b, 1, x); or None
    viscosity   float or (b,)                 > 0
    times       (t,)                          increasing; t = 0 is u0
    boundary                                  "walls" or "periodic"
    substeps                                  per frame; None: chosen for each frame from the fastest trajectory of the batch
    returns     (b, 1, t, x)                  raises ValueError on bad input, unstable or too many sub-steps, or a blow-up

    Spectrally accurate in x until max|u|/viscosity meets the grid, fourth order in time; memory for gradients is the frames.
    """
    check_state("u0", u0, 1)
    edges, nu = frame_edges(times), per_member(viscosity, u0)
    _check_medium(nu, boundary, is_inviscid_allowed=False)
    force_at = FrameForce(force, u0, len(edges) - 1)
    cells, period = u0.shape[-1], 2.0 if boundary == "walls" else 1.0
    points = round(period) * cells
    steppers: dict[tuple[float, int], Etdrk4] = {}
    v, frames, size = _spectrum(u0, boundary), [], _size(u0)
    for frame, (start, end) in enumerate(pairwise(edges)):
        push = (end - start) * _largest_force(force_at, frame, start, end)
        count = substeps or _count(float((size + push).max()) * (end - start) * cells)
        if not substeps and count > MOST_SUBSTEPS:
            raise ValueError(f"the frame at t = {end:g} needs {count} sub-steps, at most {MOST_SUBSTEPS}. Lower the force.")
        key = (round(end - start, 12), count)
        if key not in steppers:
            steppers[key] = etdrk4(nu, points=points, period=period, step=(end - start) / count)
        if substeps and frame == 0:
            _check_substeps(nu, float(size.max()), cells=cells, boundary=boundary, duration=end - start, count=count)
        forcing = partial(_forcing, force_at, frame, boundary, u0)
        v = replayed(partial(_substeps, steppers[key], forcing, start, (end - start) / count, count), v)
        u = torch.fft.irfft(v, n=points)[..., :cells]
        check_growth(u, size + push, time=end, advice=partial(_advice, float(nu.detach().min()), cells))
        frames.append(u)
        size = _size(u)
    return torch.stack(frames, dim=2)


def burgers_fv(
    u0: Tensor,
    force: Force,
    *,
    viscosity: float | Tensor,
    times: Sequence[float] | Tensor,
    boundary: str = "walls",
    reconstruction: str = "muscl",
) -> Tensor:
    """Frames of Burgers' equation by finite volumes with Godunov's flux: conservative, and good without viscosity.

    u0               (b, 1, x)                     cell averages
    force            (b, 1, t, x), or a function   cell averages, as for `burgers`
    viscosity        float or (b,)                 >= 0
    times            (t,)                          increasing; t = 0 is u0
    boundary                                       "walls" or "periodic"
    reconstruction                                 "muscl" (order 2) or "weno" (order 4 with viscosity, else 5)
    returns          (b, 1, t, x)                  raises ValueError on bad input

        flux = max(max(u_left, 0)^2, min(u_right, 0)^2)/2 - viscosity (u_{i-1} - 15 u_i + 15 u_{i+1} - u_{i+2})/(12 dx)
        1/dt = |u|/(0.5 dx) + viscosity/(0.35 dx^2),   each trajectory its own dt

    The diffusive gradient is that of cell averages; the one of point values would lower the order to 2.
    """
    check_state("u0", u0, 1)
    edges, nu, width = frame_edges(times), per_member(viscosity, u0), 1.0 / u0.shape[-1]
    _check_medium(nu, boundary, is_inviscid_allowed=True)
    if reconstruction not in RECONSTRUCTIONS:
        raise ValueError(f"reconstruction {reconstruction!r} is not known; choose from {', '.join(RECONSTRUCTIONS)}.")
    force_at, faces = FrameForce(force, u0, len(edges) - 1), RECONSTRUCTIONS[reconstruction]

    def slope(u: Tensor, frame: int, time: Tensor) -> Tensor:
        row = padded(u, GHOST_CELLS[boundary])
        left, right = faces(row)
        flux = 0.5 * torch.maximum(left.clamp_min(0).square(), right.clamp_max(0).square())
        near = row[..., GHOSTS - 2 : row.shape[-1] - GHOSTS + 2]
        steep, wide = near[..., 2:-1] - near[..., 1:-2], near[..., 3:] - near[..., :-3]
        return -torch.diff(flux - nu * (15 * steep - wide) / (12 * width)) / width + force_at(frame, time)

    def limit(u: Tensor) -> Tensor:
        return 1 / (_size(u).reshape(-1, 1, 1) / (0.5 * width) + nu / (0.35 * width**2)).clamp_min(1e-12)

    frames, size = [], _size(u0)
    for u, (frame, (start, end)) in zip(march_frames(u0, edges, slope=slope, limit=limit), enumerate(pairwise(edges))):
        push = (end - start) * _largest_force(force_at, frame, start, end)
        check_growth(u, size + push, time=end, advice=partial(_advice, float(nu.detach().min()), u0.shape[-1]))
        frames.append(u)
        size = _size(u)
    return torch.stack(frames, dim=2)


def _substeps(
    stepper: Etdrk4, forcing: Callable[[], Callable[[float], Tensor]], start: float, step: float, count: int, v: Tensor
) -> Tensor:
    """Spectrum v after `count` steps from a start time."""
    spectrum_at = forcing()
    now = spectrum_at(start)
    for index in range(count):
        time = start + index * step
        after = spectrum_at(time + step)
        v = stepper.step(v, now, spectrum_at(time + 0.5 * step), after)
        now = after
    return v


def _forcing(force: FrameForce, frame: int, boundary: str, like: Tensor) -> Callable[[float], Tensor]:
    """The transformed force of one frame as a function of time; a constant one is transformed once."""
    if not force.is_constant:
        return lambda time: _spectrum(force(frame, like.new_tensor(time)), boundary)
    constant = _spectrum(force(frame, like.new_zeros(())), boundary)
    return lambda time: constant


def _spectrum(u: Tensor, boundary: str) -> Tensor:
    """Fourier coefficients (b, 1, mode) of one period; walls are continued oddly."""
    return torch.fft.rfft(torch.cat([u, -u.flip(-1)], dim=-1) if boundary == "walls" else u)


def _size(u: Tensor) -> Tensor:
    """max |u| (b,), without gradient."""
    return u.detach().abs().flatten(1).amax(dim=1)


def _largest_force(force: FrameForce, frame: int, start: float, end: float) -> Tensor:
    """max |force| (b,) within a frame, from its start, middle and end."""
    times = (start, 0.5 * (start + end), end) if not force.is_constant else (start,)
    return torch.stack([_size(force(frame, torch.tensor(time, dtype=torch.float64))) for time in times]).amax(dim=0)


def _count(crossings: float) -> int:
    """Sub-steps for a frame in which the fastest point crosses that many cells."""
    return max(2, math.ceil(crossings / COURANT)) if math.isfinite(crossings) else 1


def _check_medium(viscosity: Tensor, boundary: str, *, is_inviscid_allowed: bool) -> None:
    """Raises ValueError for viscosities or boundaries that a solver cannot treat."""
    if boundary not in GHOST_CELLS:
        raise ValueError(f"boundary {boundary!r} is not known; choose from {', '.join(GHOST_CELLS)}.")
    lowest = float(viscosity.detach().min())
    if not (lowest >= 0 if is_inviscid_allowed else lowest > 0):
        advice = "at least 0" if is_inviscid_allowed else "above 0; take burgers_fv for inviscid flow"
        raise ValueError(f"viscosity is {lowest:g}; expected {advice}.")


def _check_substeps(viscosity: Tensor, speed: float, *, cells: int, boundary: str, duration: float, count: int) -> None:
    """Raises ValueError, before the run, where the given sub-steps are linearly unstable at the initial speed."""
    period = 2.0 if boundary == "walls" else 1.0
    stepper = lambda number: etdrk4(viscosity, points=round(period) * cells, period=period, step=duration / number)
    if stepper(count).is_stable(speed):
        return
    needed = count + 1
    while not stepper(needed).is_stable(speed):
        needed += 1 + needed // 8
    limit, courant = IMAGINARY_LIMIT / (2 * math.pi / 3), speed * duration / count * cells
    raise ValueError(
        f"time step {duration / count:.2g} exceeds the stable {duration / needed:.2g} (CFL {courant:.2g}, safe is {limit:.3g}). "
        f"Raise substeps to {needed}."
    )


def _advice(viscosity: float, cells: int, largest: float) -> str:
    """What to do about a run that grew beyond the maximum principle."""
    layer = viscosity / largest * cells if math.isfinite(largest) else 0.0
    return f"Under-resolved: viscosity / max u is {layer:.2g} cells. Refine x, or raise substeps."
