"""From a trace to the start of its fit: window, peaks, which analyte each is, and what is refused before anything moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medidiff.chromatography.detection import Detection, detect_peaks
from medidiff.chromatography.refusals import check_injection, check_loading, check_retention
from medidiff.chromatography.search import Search
from medidiff.chromatography.settings import ChromatographSettings, FitSettings, ReadingSettings
from medidiff.chromatography.start import Expected, assign, column_times
from medidiff.errors import DataError
from medidiff.io.chromatogram.trace import FEWEST, Chromatogram
from physics.chromatography.linearity import loading


@dataclass(frozen=True, eq=False)
class Prepared:
    """One trace, ready to be fitted."""

    trace: Chromatogram  # within the window
    detection: Detection
    expected: tuple[Expected, ...]  # in order of elution
    warnings: tuple[str, ...]


def prepare(trace: Chromatogram, *, settings: ChromatographSettings) -> Prepared:
    """The trace within its window, with its peaks and their analytes.

    Raises DataError for traces that cannot be used (no peak, fewer peaks than analytes, a peak before the hold-up time),
    ConfigError for an injection as long as the first retention time.
    """
    trace = crop(trace, settings.reading)
    options = settings.detection
    detection = detect_peaks(
        trace.times,
        trace.signal,
        least_signal_to_noise=options.least_signal_to_noise,
        least_share=options.least_share,
        widest=options.widest_s,
    )
    hold_up, _ = column_times(settings.column)
    expected, warnings = assign(detection.peaks, settings.analytes, hold_up=hold_up, injection=settings.injection)
    _check(expected, settings, hold_up=hold_up)
    return Prepared(trace, detection, tuple(expected), (*detection.warnings, *warnings))


def crop(trace: Chromatogram, reading: ReadingSettings) -> Chromatogram:
    """The trace within the window of the settings. Raises DataError where fewer than 16 samples are left."""
    low = -np.inf if reading.from_s is None else reading.from_s
    high = np.inf if reading.until_s is None else reading.until_s
    inside = (trace.times >= low) & (trace.times <= high)
    if inside.sum() < FEWEST:
        raise DataError(
            f"{int(inside.sum())} samples between {low:g} and {high:g} s of a trace from {trace.times[0]:g} to "
            f"{trace.times[-1]:g} s, expected at least {FEWEST}. Correct reading.from_s and reading.until_s."
        )
    return Chromatogram(trace.times[inside], trace.signal[inside], trace.unit, trace.detector, table=trace.table)


def search_of(fit: FitSettings, *, noise: float = 0.0) -> Search:
    """How the settings want the fit to search; a noise of 0 is estimated from each signal."""
    priors = {name: (prior.mean_s, prior.deviation_s) for name, prior in fit.priors.items()}
    return Search(priors=priors, noise=noise, baseline=fit.baseline_degree, loss=fit.loss)


def film_loading(
    expected: Sequence[Expected], retention: Tensor, *, settings: ChromatographSettings
) -> tuple[float | None, list[str]]:
    """theta0 and its sentence at fitted k (component,); None where an analyte's amount or capacity is not known.

    Raises DataError above 0.1 unless the settings force the linear model.
    """
    known = [each.analyte for each in expected if each.analyte.injected_mol_m3 and each.analyte.capacity_mol_m3]
    if len(known) < len(expected):
        return None, ["Whether the column is linear is not checked: give injected_mol_m3 and capacity_mol_m3 of every analyte."]
    equilibrium = retention * settings.column.radius_m / (2 * settings.column.film_m)
    injected, capacity = (
        torch.tensor([getattr(analyte, name) for analyte in known], dtype=torch.float64)
        for name in ("injected_mol_m3", "capacity_mol_m3")
    )
    theta0 = float(loading(equilibrium, concentration=injected, capacity=capacity))
    return theta0, check_loading(theta0, is_forced=settings.fit.force_linear)


def _check(expected: Sequence[Expected], settings: ChromatographSettings, *, hold_up: float) -> None:
    names, times = [each.analyte.name for each in expected], [each.found.time for each in expected]
    delay = settings.injection.delay_s
    check_retention(times, names, hold_up=hold_up + delay, source="the trace")
    if settings.injection.duration_s:
        check_injection(settings.injection.duration_s, [time - delay for time in times])
