"""Retention times of a temperature programme: predicted from published parameters, and compared with what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medidiff.chromatography.detection import Detection, detect_peaks
from medidiff.chromatography.measurements import Measurements, Run, read_measurements
from medidiff.chromatography.refusals import late_sentences
from medidiff.chromatography.settings import ProgrammeSettings
from medidiff.errors import DataError
from medidiff.io.chromatogram.trace import Chromatogram, TablePeak
from physics.chromatography.gas import diffusion_constant
from physics.chromatography.programme import Elution, Oven, ProgrammedColumn, calibrate, elute_programmed

NEAR = 8.0  # standard deviations of a published peak within which its apex is looked for in a trace
REACH = 0.45  # of the distance to the nearest other prediction, where nothing was published
SAMPLES = 16384  # of predicted curves without a trace
LEAST_AREA = 0.2  # of the median area of the matched peaks: what is smaller is no solute


@dataclass(frozen=True, eq=False)
class Programmed:
    """One programme: what was predicted, with and without corrections, and what was measured."""

    times: np.ndarray  # (sample,)   s
    curves: Mapping[str, np.ndarray]  # predicted (sample,), and signal where there is a trace
    numbers: Mapping[str, Any]  # for the record
    warnings: tuple[str, ...]


def elute(settings: ProgrammeSettings, *, trace: Chromatogram | None = None, table: Sequence[TablePeak] = ()) -> Programmed:
    """Predicted retention times and widths of every published solute, beside the measured ones.

    trace   the programme's chromatogram, in which the solutes' apexes are looked for
    table   measured retention times by the solutes' names; instead of a trace

    Two predictions: with the published constants alone, and with a temperature offset and a hold-up scale fitted on the other
    published programmes of the same column (never on this one). Without a trace or a table the published times are taken.
    """
    source = read_measurements(settings.constants)
    oven = source.runs[settings.published].oven if settings.published else _oven(settings)
    others = [run for name, run in source.runs.items() if name != settings.published]
    diffusion = diffusion_constant(source.column.carrier, list(source.formulas))
    corrected = calibrate(source.column, [(run.oven, run.times) for run in others], retention=source.retention)
    plain, better = (
        elute_programmed(column, oven, retention=source.retention, diffusion=diffusion) for column in (source.column, corrected)
    )
    published = source.runs.get(settings.published)
    detection = None if trace is None else detect_peaks(trace.times, trace.signal)
    measured, origin = _measured(source, published, detection=detection, table=table, predicted=better)
    numbers = {
        "citation": source.citation,
        "measured_from": origin,
        "corrections": _corrections(corrected, [name for name in source.runs if name != settings.published]),
        "predicted": _misses(plain, measured, published=published),
        "corrected": _misses(better, measured, published=published),
        "solutes": _solutes(source.names, plain, better=better, measured=measured, published=published),
    }
    above = None if trace is None else trace.signal - detection.baseline
    times, curves = _simulated(better, measured, above=above, times=None if trace is None else trace.times)
    return Programmed(times, curves, numbers, tuple(late_sentences(better.is_beyond, source.names)))


def _simulated(
    elution: Elution, measured: np.ndarray, *, above: np.ndarray | None, times: np.ndarray | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Gaussian peaks at the predicted times and widths, as high as the trace above its baseline; without a trace, of height 1."""
    if above is None:
        times, known, heights = np.linspace(0.0, 1.03 * elution.times.max(), SAMPLES), {}, np.ones(len(elution.times))
    else:
        known, heights = {"signal": above}, np.interp(np.where(np.isfinite(measured), measured, elution.times), times, above)
    predicted = np.zeros(len(times))
    for centre, width, height in zip(elution.times, elution.widths, heights):
        near = slice(*np.searchsorted(times, [centre - 8 * width, centre + 8 * width]))
        predicted[near] += height * np.exp(-0.5 * ((times[near] - centre) / width) ** 2)
    return times, known | {"predicted": predicted}


def _oven(settings: ProgrammeSettings) -> Oven:
    times, temperatures = np.array(settings.oven, dtype=float).T
    return Oven(times, temperatures)


def _corrections(column: ProgrammedColumn, names: Sequence[str]) -> dict[str, Any]:
    return {
        "temperature_offset_k": column.temperature_offset,
        "hold_up_scale": column.hold_up_scale,
        "fitted_on": f"programme {' and '.join(names)}",
    }


def _measured(
    source: Measurements, published: Run | None, *, detection: Detection | None, table: Sequence[TablePeak], predicted: Elution
) -> tuple[np.ndarray, str]:
    """Measured retention times (solute,), s, NaN where there is none, and where they come from."""
    if detection is not None:
        if published is not None:
            return _apexes(detection, published.times, reach=NEAR * published.widths), "apexes of the trace"
        gaps = np.diff(predicted.times, prepend=-np.inf, append=np.inf)
        return _apexes(detection, predicted.times, reach=REACH * np.minimum(gaps[:-1], gaps[1:])), "apexes of the trace"
    if table:
        times = {peak.name: peak.time for peak in table}
        known = np.array([times.get(name, np.nan) for name in source.names])
        if np.isnan(known).all():
            raise DataError(f"the table names {', '.join(sorted(times)[:6])}; expected some of {', '.join(source.names)}.")
        return known, "the given table"
    if published is not None:
        return published.times, "the published table"
    return np.full(len(source.names), np.nan), "nothing: only predicted"


def _apexes(detection: Detection, expected: np.ndarray, *, reach: np.ndarray) -> np.ndarray:
    """Apex (solute,) of the largest peak within reach of each expected time; NaN where there is none."""
    times, areas = (np.array([getattr(peak, name) for peak in detection.peaks]) for name in ("time", "area"))
    near = np.abs(times - expected[:, None]) <= reach[:, None]
    largest = np.argmax(np.where(near, areas, -np.inf), axis=1)
    found = np.where(near.any(axis=1), times[largest], np.nan)
    small = areas[largest] < LEAST_AREA * np.median(areas[largest][near.any(axis=1)]) if near.any() else False
    repeated = np.array([np.sum(found == time) > 1 for time in found])
    return np.where(repeated | small, np.nan, found)


def _misses(elution: Elution, measured: np.ndarray, *, published: Run | None) -> dict[str, float]:
    """How far a prediction is from the measurement."""
    known = np.isfinite(measured)
    if not known.any():
        return {}
    miss = (elution.times - measured)[known]
    relative = 100 * np.abs(miss) / measured[known]
    found = {
        "rms_s": float(np.sqrt(np.mean(miss**2))),
        "median_percent": float(np.median(relative)),
        "largest_percent": float(relative.max()),
        "compared": int(known.sum()),
    }
    return found | ({"width_ratio": float(np.median(elution.widths / published.widths))} if published is not None else {})


def _solutes(
    names: Sequence[str], plain: Elution, *, better: Elution, measured: np.ndarray, published: Run | None
) -> dict[str, dict[str, float]]:
    columns = {
        "measured_s": measured,
        "predicted_s": plain.times,
        "corrected_s": better.times,
        "predicted_width_s": plain.widths,
        "retention_at_elution": plain.factors,
    }
    if published is not None:
        columns |= {"published_s": published.times, "published_width_s": published.widths}
    return {name: {key: float(values[i]) for key, values in columns.items()} for i, name in enumerate(names)}
