"""How fast are columns: transfer functions by FFT against the paper's solvers and finite volumes, Langmuir against BDF?

python -m benchmarks.chromatography [--quick]
"""

import argparse
import math
from functools import partial

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor

from benchmarks.record import Row, faster, interleaved, line, write
from medidiff.chromatography.batch import fit_many
from medidiff.chromatography.fit import fit_chromatogram
from physics.chromatography.chromatogram import chromatogram, peak_shapes
from physics.chromatography.finite_column import compressible_model
from physics.chromatography.kernel import pulse_response
from physics.chromatography.langmuir import LangmuirColumn, box_inlet, elute
from physics.chromatography.peaks import Peaks
from physics.chromatography.reference import PaperColumn, double_integral, finite_differences
from physics.pde.finite_volume import march
from physics.pde.limiter import koren_faces
from physics.pde.method_of_lines import solve_lines

BENZENE = PaperColumn(2.4281, 5.299, velocity=0.41, length=20.0, pressure_ratio=1.013 / 4.01, injection=4.0)
RETENTION = torch.tensor([[15.811, 13.030, 12.073, 5.705, 2.428]], dtype=torch.float64)
DESORPTION = torch.tensor([[14.291, 11.057, 16.940, 11.502, 5.299]], dtype=torch.float64)
TIMES = torch.arange(60.0, 200.0, 0.35, dtype=torch.float64)  # 400 samples of the benzene peak
PAPER_CELLS, VOLUME_CELLS, SHIFT_CELLS = 900, 400, 200  # the coarsest that stay within 1 % of the peak's height
VOLUME_BATCH, SHIFT_BATCH = 8, 64  # sets that the batched peers march together
FEED = 0.05  # of the competing analytes: it fills a quarter of the film at equilibrium
FITS = 64  # chromatograms of one batch of fits
BYTES_PER_STEP = 32  # C and Q of one cell, read and written
PACKAGES = ("torch", "numpy", "scipy")


def parameters(sets: int) -> tuple[Tensor, Tensor]:
    """k and kd (sets,) of columns that differ by up to 20 %, benzene first."""
    spread = 1 + 0.2 * torch.rand(sets, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spread[0] = 1.0
    return BENZENE.retention * spread, BENZENE.desorption / spread


def fourier(sets: int) -> Tensor:
    """Benzene peaks by Fourier inversion, C/c0 (sets, time)."""
    retention, desorption = parameters(sets)
    peaks = Peaks(retention[:, None], desorption[:, None], BENZENE.hold_up, BENZENE.injection)
    return BENZENE.injection * peak_shapes(TIMES, peaks)[:, 0]


def finite_volumes(cells: int, sets: int) -> np.ndarray:
    """Benzene peaks by Koren's limiter and SSP-RK3, C/c0 of the first (time,)."""
    column = {"length": BENZENE.length, "inlet_velocity": BENZENE.velocity, "pressure_ratio": BENZENE.pressure_ratio}
    model = compressible_model(*parameters(sets), injection=BENZENE.injection, **column)(cells)
    step = 0.8 * BENZENE.length / cells * BENZENE.pressure_ratio / BENZENE.velocity
    step = BENZENE.injection / math.ceil(BENZENE.injection / step)
    start = torch.zeros((sets, 2, cells), dtype=torch.float64)
    run = march(model, start, step=step, steps=math.ceil(200.0 / step))
    return np.interp(TIMES, run.times, run.outlet[0, 0]) / BENZENE.pressure_ratio


def transit_grid(cells: int, sets: int) -> np.ndarray:
    """Benzene peaks by the transit grid and the midpoint rule, C/c0 of the first (time,)."""
    retention, desorption = (value[:, None] for value in parameters(sets))
    hold_up = torch.full((sets,), BENZENE.hold_up, dtype=torch.float64)
    ones = torch.ones((sets, 1), dtype=torch.float64)
    column = LangmuirColumn(retention * desorption, desorption, ones * math.inf, hold_up, BENZENE.pressure_ratio)
    step = hold_up / cells
    run = elute(
        column,
        box_inlet(ones, duration=BENZENE.injection * ones[:, 0], step=step, count=math.ceil(200.0 / float(step[0]))),
        cells=cells,
    )
    return np.interp(TIMES, run.times[0], run.outlet[0, 0])


def linear_rows(repeats: int) -> list[Row]:
    """One chromatogram and sweeps of parameter sets, by every solver."""
    paper, integral = f"paper's finite differences, {PAPER_CELLS} cells", "paper's double integral, dblquad"
    volumes, grid = f"our finite volumes, {VOLUME_CELLS} cells", f"our transit grid, {SHIFT_CELLS} cells"
    single = {
        "fft": partial(fourier, 1),
        paper: partial(finite_differences, BENZENE, TIMES.numpy(), cells=PAPER_CELLS),
        integral: partial(double_integral, BENZENE, TIMES.numpy()),
        volumes: partial(finite_volumes, VOLUME_CELLS, 1),
        grid: partial(transit_grid, SHIFT_CELLS, 1),
    }
    batches = {
        "fft, 1000": partial(fourier, 1000),
        "fft, 10000": partial(fourier, 10000),
        f"{volumes}, batch": partial(finite_volumes, VOLUME_CELLS, VOLUME_BATCH),
        f"{grid}, batch": partial(transit_grid, SHIFT_CELLS, SHIFT_BATCH),
    }
    k, kd, hold_up = (
        torch.tensor([value], dtype=torch.float64) for value in (BENZENE.retention, BENZENE.desorption, BENZENE.hold_up)
    )
    exact = pulse_response(TIMES, retention=k, desorption=kd, hold_up=hold_up, injection=BENZENE.injection)[0].numpy()
    errors = {
        name: np.abs(np.asarray(run()).reshape(-1, len(TIMES))[0] - exact).max() / exact.max() for name, run in single.items()
    }
    notes = {peer: f"error of peak height: ours {errors['fft']:.1e}, theirs {errors[peer]:.1e}" for peer in single}
    seconds = interleaved(single | batches, repeats)
    case = "benzene, 400 samples, within 1 % of the kernel"
    rows = [faster("chromatogram", case, seconds["fft"], seconds[peer], peer=peer, note=notes[peer]) for peer in list(single)[1:]]
    each = {paper: seconds[paper], integral: seconds[integral]}
    each[volumes] = seconds[f"{volumes}, batch"] / VOLUME_BATCH
    each[grid] = seconds[f"{grid}, batch"] / SHIFT_BATCH
    measured = {paper: 1, integral: 1, volumes: VOLUME_BATCH, grid: SHIFT_BATCH}
    for sets in (1000, 10000):
        for peer, time in each.items():
            note = f"{notes[peer]}; theirs measured on {measured[peer]} in one batch, scaled"
            rows.append(
                faster(f"sweep_{sets}", f"{sets} sets, {case}", seconds[f"fft, {sets}"], sets * time, peer=peer, note=note)
            )
    return rows


def five_analytes(repeats: int) -> Row:
    """The whole chromatogram of five aromatics with diffusion, compressible carrier and 2048 samples: a fit's inner step."""
    times = 0.4 * torch.arange(2048, dtype=torch.float64)
    areas = torch.ones_like(RETENTION)
    peaks = Peaks(RETENTION, DESORPTION, BENZENE.hold_up, 4.0, dispersion=3.5e-7, pressure_ratio=BENZENE.pressure_ratio)
    seconds = interleaved({"ours": lambda: chromatogram(times, peaks, areas)}, 5 * repeats)
    return Row("chromatogram", "5 aromatics, diffusion, compressible, 2048 samples", seconds["ours"], "s")


def fit_rows(repeats: int) -> list[Row]:
    """Fits of five overlapping peaks, with covariance and statements, beside the same model by differences."""
    generator = torch.Generator().manual_seed(0)
    close = RETENTION * torch.tensor([[0.96, 1.04, 1.08, 1.0, 1.0]], dtype=torch.float64)
    truth = Peaks(close, DESORPTION, hold_up=BENZENE.hold_up, injection=4.0)
    times, areas = 0.4 * torch.arange(2048, dtype=torch.float64), torch.tensor([[1.0, 1.5, 1.2, 2.0, 1.7]], dtype=torch.float64)
    clean = chromatogram(times, truth, areas=areas)
    signals = clean + 0.01 * clean.max() * torch.randn((FITS, len(times)), dtype=torch.float64, generator=generator)
    start = Peaks(1.002 * close, 1.2 * DESORPTION, hold_up=BENZENE.hold_up, injection=4.0)
    runs = {
        "ours": partial(fit_chromatogram, times, signals[0], start),
        "batch": partial(fit_many, times, signals, start),
        "differences": partial(fit_by_differences, times, signals[0], start),
    }
    ours, peer = runs["ours"](), runs["differences"]()
    deviations = ours.uncertainty.deviations[0, :10].numpy()
    note = f"largest distance of the two fits {np.abs(ours.theta[0].numpy() - peer).max() / deviations.max():.1e} deviations"
    seconds = interleaved(runs, repeats)
    case = "5 overlapping aromatics, 2048 samples, 1 % noise"
    name = "scipy least_squares, differences, 17 nonlinear parameters"
    return [
        faster(
            "fit_five_peaks",
            f"{case}, with covariance and statements",
            seconds["ours"],
            seconds["differences"],
            peer=name,
            note=note,
        ),
        faster("fit_many", f"{case}, each of {FITS}", seconds["batch"] / FITS, seconds["ours"], peer="ours, one at a time"),
    ]


def fit_by_differences(times: Tensor, signal: Tensor, start: Peaks) -> np.ndarray:
    """ln k and ln kd (10,) of the same least squares without elimination and without a Jacobian."""
    height, scaled = float(signal.max()), (times / times[-1]).numpy()

    def residual(parameters: np.ndarray) -> np.ndarray:
        rates = torch.from_numpy(np.exp(parameters[:10].reshape(2, 1, 5)))
        peaks = Peaks(rates[0], rates[1], hold_up=start.hold_up, injection=start.injection)
        curve = chromatogram(times, peaks, areas=torch.from_numpy(parameters[None, 10:15]))[0].numpy()
        return (curve + parameters[15] + parameters[16] * scaled - signal.numpy()) / height

    rates = torch.cat([start.retention, start.desorption], dim=1)[0].log().numpy()
    first = np.concatenate([rates, np.full(5, 1.5), np.zeros(2)])
    return least_squares(residual, first, x_scale="jac", ftol=1e-8, xtol=1e-8, gtol=None).x[:10]


def competing(batch: int) -> LangmuirColumn:
    """Two analytes that compete on `batch` columns."""
    ones = torch.ones((batch, 1), dtype=torch.float64)
    rates = (ones * torch.tensor([value], dtype=torch.float64) for value in ([12.0, 30.0], [5.0, 8.0], [0.8, 1.5]))
    return LangmuirColumn(*rates, torch.full((batch,), 10.0, dtype=torch.float64))


def elution(batch: int, cells: int, seconds: float) -> np.ndarray:
    """Outlet history of competing analytes after a 4 s box."""
    column, step = competing(batch), torch.full((batch,), 10.0 / cells, dtype=torch.float64)
    height, duration = torch.full((batch, 2), FEED, dtype=torch.float64), torch.full((batch,), 4.0, dtype=torch.float64)
    run = elute(column, box_inlet(height, duration=duration, step=step, count=math.ceil(seconds / float(step[0]))), cells=cells)
    return np.stack([np.interp(np.arange(10.0, seconds, 0.25), run.times[0], each) for each in run.outlet[0]])


def backward_differences(cells: int, seconds: float) -> np.ndarray:
    """The same outlet history by Koren's finite volumes and scipy's BDF with a banded Jacobian."""
    column = competing(1)
    rate, back, capacity = (value[0].numpy()[:, None] for value in (column.adsorption, column.desorption, column.capacity))

    def slope(time: float, state: np.ndarray) -> np.ndarray:
        feed = torch.full((2,), FEED if time < 4.0 else 0.0, dtype=torch.float64)
        faces = koren_faces(torch.from_numpy(np.ascontiguousarray(state[:2])), feed).numpy()
        exchange = rate * state[:2] * (1 - (state[2:] / capacity).sum(axis=0)) - back * state[2:]
        return np.concatenate([-np.diff(faces) * cells / 10.0 - exchange, exchange])

    times = np.concatenate([[0.0, 4.0], np.arange(10.0, seconds, 0.25)])
    first = solve_lines(slope, np.zeros((4, cells)), times[:2], bandwidth=2, relative=1e-5)[..., -1]
    return solve_lines(slope, first, times[1:], bandwidth=2, relative=1e-5)[:2, -1, 1:]


def langmuir_rows(repeats: int, quick: bool) -> list[Row]:
    """Rate of the transit grid beside the memory bandwidth, and one nonlinear elution beside BDF."""
    batch, cells, seconds = (8, 500, 8.0) if quick else (64, 1000, 8.0)
    source, target = torch.ones(1 << 24, dtype=torch.float64), torch.empty(1 << 24, dtype=torch.float64)
    runs = {
        "grid": partial(elution, batch, cells, seconds),
        "copy": lambda: target.copy_(source),
        "ours": partial(elution, 1, 100, 60.0),
        "bdf": partial(backward_differences, 100, 60.0),
    }
    exact = elution(1, 800, 60.0)
    errors = {name: np.abs(runs[name]() - exact).max() / exact.max() for name in ("ours", "bdf")}
    times = interleaved(runs, repeats)
    bandwidth = 16 * source.numel() / times["copy"]
    rate = 2 * batch * cells * math.ceil(seconds * cells / 10.0) / times["grid"]
    case = f"2 competing analytes, {cells} cells, {batch} columns, float64"
    limit = bandwidth / BYTES_PER_STEP
    rows = [
        Row(
            "langmuir_cells_per_second",
            case,
            rate,
            "cells/s",
            limit,
            "memory bandwidth / 32 bytes",
            ratio=rate / limit,
            floor=limit,
            note=f"cells x components x steps; one thread; measured bandwidth {bandwidth / 1e9:.1f} GB/s",
        )
    ]
    note = f"error of peak height: ours {errors['ours']:.1e} (100 cells), theirs {errors['bdf']:.1e} (100 cells)"
    rows.append(
        faster("langmuir_elution", "2 competing analytes, 60 s", times["ours"], times["bdf"], peer="scipy BDF, banded", note=note)
    )
    return rows


def main() -> None:
    """Measures, prints the table and writes `results/chromatography.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats and a smaller Langmuir batch; nothing is written")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    repeats = 1 if quick else 5
    rows = []
    for measure in (
        partial(linear_rows, repeats),
        lambda: [five_analytes(repeats)],
        partial(fit_rows, repeats),
        partial(langmuir_rows, repeats, quick),
    ):
        for row in measure():
            rows.append(row)
            print(line(row), flush=True)
    if not quick:
        print(write("chromatography", rows, PACKAGES))


if __name__ == "__main__":
    main()
