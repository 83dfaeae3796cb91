"""The paper's own comparison rerun: the Laplace solution of every fitted peak against full numerical solutions."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from medidiff.chromatography.refusals import check_balance
from physics.chromatography.chromatogram import peak_shapes
from physics.chromatography.finite_column import compressible_model
from physics.chromatography.kernel import pulse_response
from physics.chromatography.langmuir import LangmuirColumn, box_inlet, elute
from physics.chromatography.peaks import Peaks
from physics.chromatography.reference import PaperColumn, double_integral, finite_differences
from physics.pde.finite_volume import march

POINTS = 200  # times from -5 to +6 standard deviations of a peak
INTEGRAL_POINTS = 24  # of those, by adaptive quadrature
COURANT = 0.8


@dataclass(frozen=True)
class Compared:
    """One solver at one analyte."""

    error: float  # largest distance from the Fourier inversion over the peak's height
    seconds: float  # wall time of this solver here
    fourier_seconds: float  # wall time of the Fourier inversion at the same times


def compare_solvers(column: PaperColumn, hold_up: float, *, solvers: tuple[str, ...], cells: int) -> Mapping[str, Compared]:
    """Largest differences of other solvers from the Fourier inversion, for one analyte without diffusion.

    column    the analyte's rates on the column; hold_up agrees with its length, velocity and pressures
    solvers   kernel, double_integral, finite_differences, finite_volumes, transit_grid
    cells     of the grids

    `finite_differences` and `double_integral` are the paper's own (Cabrera-Codony et al. 2024); grids of a second-order
    scheme divide their error by four when `cells` doubles. Raises NumericsError where a solver loses mass.
    """
    k, kd, t1 = column.retention, column.desorption, column.injection
    middle = hold_up * (1 + k) + t1 / 2
    sigma = math.sqrt(t1**2 / 12 + 2 * k * hold_up / kd)
    times = np.linspace(max(middle - 5 * sigma, 0.25 * middle), middle + 6 * sigma, POINTS)
    peaks = Peaks(torch.tensor([[k]], dtype=torch.float64), torch.tensor([[kd]], dtype=torch.float64), hold_up, t1)
    ours, fourier_seconds = _timed(lambda: t1 * peak_shapes(torch.from_numpy(times), peaks)[0, 0].numpy())
    found = {}
    for name in solvers:
        part = times[:: POINTS // INTEGRAL_POINTS] if name == "double_integral" else times
        values, seconds = _timed(partial(SOLVERS[name], column, part, cells=cells))
        error = float(np.abs(values - np.interp(part, times, ours)).max() / ours.max())
        found[name] = Compared(error, seconds, fourier_seconds)
    return found


def _kernel(column: PaperColumn, times: np.ndarray, *, cells: int) -> np.ndarray:
    k, kd, hold_up = (torch.tensor([v], dtype=torch.float64) for v in (column.retention, column.desorption, column.hold_up))
    found = pulse_response(torch.from_numpy(times), retention=k, desorption=kd, hold_up=hold_up, injection=column.injection)
    return found[0].numpy()


def _double_integral(column: PaperColumn, times: np.ndarray, *, cells: int) -> np.ndarray:
    return double_integral(column, times)


def _finite_volumes(column: PaperColumn, times: np.ndarray, *, cells: int) -> np.ndarray:
    k, kd = (torch.tensor([v], dtype=torch.float64) for v in (column.retention, column.desorption))
    model = compressible_model(
        k,
        kd,
        length=column.length,
        inlet_velocity=column.velocity,
        pressure_ratio=column.pressure_ratio,
        injection=column.injection,
    )(cells)
    longest = COURANT * column.length / cells * column.pressure_ratio / column.velocity
    step = column.injection / math.ceil(column.injection / longest)  # the box ends with a step
    run = march(model, torch.zeros((1, 2, cells), dtype=torch.float64), step=step, steps=math.ceil(times[-1] / step))
    check_balance(float(run.imbalance.abs().max()), source="comparison.finite_volumes")
    return np.interp(times, run.times.numpy(), run.outlet[0, 0].numpy()) / column.pressure_ratio


def _transit_grid(column: PaperColumn, times: np.ndarray, *, cells: int) -> np.ndarray:
    one, hold_up = torch.ones((1, 1), dtype=torch.float64), torch.tensor([column.hold_up], dtype=torch.float64)
    rates = column.retention * column.desorption * one, column.desorption * one
    langmuir = LangmuirColumn(*rates, math.inf * one, hold_up, column.pressure_ratio)
    step = hold_up / cells
    inlet = box_inlet(one, duration=column.injection * one[0], step=step, count=math.ceil(times[-1] / float(step[0])) + 1)
    run = elute(langmuir, inlet, cells=cells)
    return np.interp(times, run.times[0].numpy(), run.outlet[0, 0].numpy())


SOLVERS: Mapping[str, Callable[..., np.ndarray]] = {
    "kernel": _kernel,
    "double_integral": _double_integral,
    "finite_differences": finite_differences,
    "finite_volumes": _finite_volumes,
    "transit_grid": _transit_grid,
}


def _timed(solve: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    return solve(), time.perf_counter() - start
