"""Linear chromatograms in time: peak shapes, their exact gradients, and weighted sums with a baseline."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from physics.chromatography.inversion import DAMPING, choose_grid, invert, invert_at, needs_kernel
from physics.chromatography.kernel import pulse_response
from physics.chromatography.peaks import Peaks
from physics.chromatography.transfer import transfer, transfer_with_slopes

UNIFORM = 1e-6  # times off the uniform grid by less than this part of a step go through the FFT
CHUNK = 1 << 18  # complex numbers in one temporary, 4 MB: what stays in a cache


def peak_shapes(times: Tensor, peaks: Peaks) -> Tensor:
    """Detector signal of every peak at unit area.

    times     (time,)                increasing, s; uniform ones take one FFT, others a direct sum
    peaks     (b, component)
    returns   (b, component, time)   1/s, differentiable in every parameter by torch

    Its unit area is in time: ∫ y dt = 1. A mass-flow detector sees c0 t1 y (flux concentration), a concentration
    detector c0 t1 (pL/p0) y. Few transfer units without diffusion leave edges that no FFT resolves: then a box injection
    goes through the Bessel kernel instead.
    """
    if needs_kernel(peaks):
        return _by_kernel(times, peaks)
    s, to_time, parts = _plan(times, peaks)
    return torch.cat([to_time(transfer(s, part)) for part in parts])


def peak_gradients(times: Tensor, peaks: Peaks, names: tuple[str, ...]) -> tuple[Tensor, dict[str, Tensor]]:
    """Peak shapes with their exact derivatives by the named parameters: one FFT per parameter, no tape.

    times     (time,)                increasing, s
    names                            of `transfer.GRADIENTS`
    returns   (b, component, time)   1/s, as `peak_shapes`
              name -> (b, component, time)   the shape's derivative by that parameter of the same peak; the derivative of
                                             a chromatogram by a shared parameter is the area-weighted sum over peaks

        dy/dtheta = inverse transform of  Y · d ln Y/dtheta
    """
    s, to_time, parts = _plan(times, peaks)
    results = []
    for part in parts:
        spectrum, slopes = transfer_with_slopes(s, part, names)
        results.append(to_time(torch.stack([spectrum, *(spectrum * slopes[name] for name in names)])))
    shapes, *slopes = torch.cat(results, dim=1)
    return shapes, dict(zip(names, slopes))


def chromatogram(times: Tensor, peaks: Peaks, areas: Tensor) -> Tensor:
    """Sum of all peaks of each chromatogram: added in frequency, so one FFT each.

    times     (time,)          increasing, s
    areas     (b, component)   signal unit · s
    returns   (b, time)        signal unit, differentiable
    """
    areas = torch.as_tensor(areas, dtype=peaks.retention.dtype, device=peaks.retention.device)
    if areas.shape != peaks.shape:
        raise ValueError(f"areas have shape {tuple(areas.shape)}, expected {tuple(peaks.shape)} like the retention factors.")
    if needs_kernel(peaks):
        return (areas[..., None] * _by_kernel(times, peaks)).sum(dim=1)
    s, to_time, parts = _plan(times, peaks)
    weights = torch.split(areas[..., None], [part.shape[0] for part in parts])
    return torch.cat([to_time((transfer(s, part) * weight).sum(dim=1)) for part, weight in zip(parts, weights)])


def breakthrough(times: Tensor, peaks: Peaks) -> Tensor:
    """Outlet over feed concentration of a linear column that is fed from t = `delay` on, with all its broadening.

    times     (time,)                increasing, s
    peaks     (b, component)         their injection must be 0
    returns   (b, component, time)   from 0 to 1, differentiable

        inverse transform of Y/s, less the step's own aliases: 1/(e^damping - 1), known because the curve ends at 1
    """
    if bool((peaks.injection.detach() != 0).any()):
        raise ValueError("a breakthrough curve is the answer to a step: give peaks with injection=0.")
    s, to_time, parts = _plan(times, peaks)
    aliases = 1 / math.expm1(DAMPING[peaks.retention.dtype])
    return torch.cat([to_time(transfer(s, part) / s) for part in parts]) - aliases


def _by_kernel(times: Tensor, peaks: Peaks) -> Tensor:
    """Peak shapes of box injections by the Bessel kernel."""
    times = torch.as_tensor(times, dtype=peaks.retention.dtype, device=peaks.retention.device)
    injection = peaks.injection.unsqueeze(-1)
    rest = (peaks.tailing.detach(), peaks.mixing.detach(), 1.0 * (peaks.injection.detach() == 0))
    if peaks.filters or any(bool((value != 0).any()) for value in rest):
        raise ValueError(
            "a peak has 36 transfer units (k kd tM) or fewer and no diffusion: its edges never decay in frequency, and the "
            "kernel that serves then knows only a box injection. Give its dispersion."
        )
    clock = times - peaks.delay.unsqueeze(-1)
    return (
        pulse_response(clock, retention=peaks.retention, desorption=peaks.desorption, hold_up=peaks.hold_up, injection=injection)
        / injection
    )


def _plan(times: Tensor, peaks: Peaks) -> tuple[Tensor, Callable[[Tensor], Tensor], list[Peaks]]:
    """The frequencies that resolve every peak, the inverse transform to the times, and the batch in bounded pieces."""
    times = torch.as_tensor(times, dtype=peaks.retention.dtype, device=peaks.retention.device)
    if times.ndim != 1 or len(times) == 0 or not bool(torch.isfinite(times).all()):
        raise ValueError(f"times have shape {tuple(times.shape)}, expected one axis of finite seconds.")
    steps = torch.diff(times)
    if bool((steps <= 0).any()):
        first = int(torch.nonzero(steps <= 0)[0])
        raise ValueError(f"times do not increase after sample {first}. Sort them and remove repeated ones.")
    grid, count = choose_grid(times, peaks), len(times)
    size = max(1, CHUNK // (peaks.shape[1] * max(grid.bins, grid.count // 2)))
    parts = [peaks.rows(slice(start, start + size)) for start in range(0, peaks.shape[0], size)]
    if count > 1 and _is_uniform(times):
        return grid.frequencies(times), lambda spectrum: invert(spectrum, grid, count=count), parts
    return grid.frequencies(times), lambda spectrum: invert_at(spectrum, grid, times=times), parts


def _is_uniform(times: Tensor) -> bool:
    """Whether every time is on the straight line between the ends, to `UNIFORM` of a step."""
    step = (times[-1] - times[0]) / (len(times) - 1)
    line = times[0] + step * torch.arange(len(times), dtype=times.dtype, device=times.device)
    return bool((times - line).abs().max() <= UNIFORM * step)
