"""Linear chromatograms in time: peak shapes, their exact gradients, and weighted sums with a baseline."""

import torch
from torch import Tensor

from physics.chromatography.inversion import Grid, choose_grid, invert, invert_at
from physics.chromatography.peaks import Peaks
from physics.chromatography.transfer import log_derivatives, transfer

UNIFORM = 1e-6  # times off the uniform grid by less than this part of a step go through the FFT
CHUNK = 1 << 21  # complex numbers in one temporary, 32 MB


def peak_shapes(times: Tensor, peaks: Peaks) -> Tensor:
    """Detector signal of every peak at unit area.

    times     (time,)                increasing, s; uniform ones take one FFT, others a direct sum
    peaks     (b, component)
    returns   (b, component, time)   1/s, differentiable in every parameter by torch

    Its unit area is in time: ∫ y dt = 1. A mass-flow detector sees c0 t1 y (flux concentration), a concentration
    detector c0 t1 (pL/p0) y.
    """
    times, grid = _plan(times, peaks)
    parts = [_to_time(transfer(grid.frequencies(times), part), grid, times) for part in _chunks(peaks, grid)]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def peak_gradients(times: Tensor, peaks: Peaks, names: tuple[str, ...]) -> tuple[Tensor, dict[str, Tensor]]:
    """Peak shapes with their exact derivatives by the named parameters: one FFT per parameter, no tape.

    times     (time,)                increasing, s
    names                            of `transfer.GRADIENTS`
    returns   (b, component, time)   1/s, as `peak_shapes`
              name -> (b, component, time)   the shape's derivative by that parameter of the same peak; the derivative of
                                             a chromatogram by a shared parameter is the area-weighted sum over peaks

        dy/dtheta = inverse transform of  Y · d ln Y/dtheta
    """
    times, grid = _plan(times, peaks)
    s = grid.frequencies(times)
    shapes, slopes = [], {name: [] for name in names}
    for part in _chunks(peaks, grid):
        spectrum = transfer(s, part)
        shapes.append(_to_time(spectrum, grid, times))
        for name, derivative in log_derivatives(s, part, names).items():
            slopes[name].append(_to_time(spectrum * derivative, grid, times))
    return torch.cat(shapes), {name: torch.cat(parts) for name, parts in slopes.items()}


def chromatogram(times: Tensor, peaks: Peaks, areas: Tensor) -> Tensor:
    """Sum of all peaks of each chromatogram: added in frequency, so one FFT each.

    times     (time,)          increasing, s
    areas     (b, component)   signal unit · s
    returns   (b, time)        signal unit, differentiable
    """
    areas = torch.as_tensor(areas, dtype=peaks.retention.dtype, device=peaks.retention.device)
    if areas.shape != peaks.shape:
        raise ValueError(f"areas have shape {tuple(areas.shape)}, expected {tuple(peaks.shape)} like the retention factors.")
    times, grid = _plan(times, peaks)
    s, start, parts = grid.frequencies(times), 0, []
    for part in _chunks(peaks, grid):
        weights = areas[start : start + part.shape[0], :, None]
        parts.append(_to_time((transfer(s, part) * weights).sum(dim=1), grid, times))
        start += part.shape[0]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _plan(times: Tensor, peaks: Peaks) -> tuple[Tensor, Grid]:
    """The times as a checked tensor, and the frequencies that resolve every peak on them."""
    times = torch.as_tensor(times, dtype=peaks.retention.dtype, device=peaks.retention.device)
    if times.ndim != 1 or len(times) == 0 or not bool(torch.isfinite(times).all()):
        raise ValueError(f"times have shape {tuple(times.shape)}, expected one axis of finite seconds.")
    if bool(torch.any(torch.diff(times) <= 0)):
        first = int(torch.nonzero(torch.diff(times) <= 0)[0])
        raise ValueError(f"times do not increase after sample {first}. Sort them and remove repeated ones.")
    return times, choose_grid(times, peaks)


def _to_time(spectrum: Tensor, grid: Grid, times: Tensor) -> Tensor:
    """The inverse transform at the times, by FFT where they are uniform."""
    step = (times[-1] - times[0]) / max(1, len(times) - 1)
    uniform = times[0] + step * torch.arange(len(times), dtype=times.dtype, device=times.device)
    if len(times) > 1 and bool((times - uniform).abs().max() <= UNIFORM * step):
        return invert(spectrum, grid, len(times))
    return invert_at(spectrum, grid, times)


def _chunks(peaks: Peaks, grid: Grid) -> list[Peaks]:
    """The batch in pieces whose spectra fit a bounded temporary."""
    batch, components = peaks.shape
    size = max(1, CHUNK // (components * max(grid.bins, grid.count // 2)))
    return [peaks.rows(slice(start, start + size)) for start in range(0, batch, size)]
