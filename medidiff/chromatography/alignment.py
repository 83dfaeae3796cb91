"""Chromatograms of one method on one time axis."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from medidiff.chromatography.preparation import crop
from medidiff.chromatography.refusals import JITTER, saturated
from medidiff.chromatography.settings import ReadingSettings
from medidiff.errors import DataError
from medidiff.io.chromatogram.trace import Chromatogram

SAME_STEP = 0.1  # relative difference of sampling intervals up to which traces are of one method
SAME_ENDS = 0.1  # of a trace's length, by which its ends may differ


def on_one_axis(traces: Mapping[str, Chromatogram], reading: ReadingSettings) -> tuple[dict[str, Chromatogram], list[str]]:
    """Every trace within the window on the times of the first that all have, and a sentence on those interpolated for it.

    traces   by the name of their file

    Times within 1e-3 of a step count as equal; others are read off the cubic spline of their samples, which keeps white noise
    nearly white. Raises DataError, which names the file, for another sampling interval or stretch of time (by more than
    10 %), or a saturated trace on other times, whose flat top a spline would not keep.
    """
    cropped = {}
    for name, trace in traces.items():
        try:
            cropped[name] = crop(trace, reading)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
    first = next(iter(cropped))
    reference = cropped[first]
    for name, trace in cropped.items():
        _check_method(name, trace, first=(first, reference))
    margin = JITTER * reference.step
    low = max(trace.times[0] for trace in cropped.values()) - margin
    high = min(trace.times[-1] for trace in cropped.values()) + margin
    axis = reference.times[(reference.times >= low) & (reference.times <= high)]
    found, moved = {}, []
    for name, trace in cropped.items():
        begin = int(np.argmin(np.abs(trace.times - axis[0])))
        own = slice(begin, begin + len(axis))
        if len(trace.times[own]) == len(axis) and np.abs(trace.times[own] - axis).max() <= margin:
            signal = trace.signal[own]
        else:
            moved.append(name)
            signal = _interpolated(name, trace, axis=axis)
        found[name] = replace(trace, times=axis, signal=signal)
    said = f"{len(moved)} of {len(cropped)} traces were interpolated to the times of {first}: {', '.join(moved)}."
    return found, [said] if moved else []


def _check_method(name: str, trace: Chromatogram, *, first: tuple[str, Chromatogram]) -> None:
    other, reference = first
    ends = np.abs(trace.times[[0, -1]] - reference.times[[0, -1]]).max()
    if abs(trace.step / reference.step - 1) > SAME_STEP or ends > SAME_ENDS * np.ptp(reference.times):
        raise DataError(
            f"{name}: {trace.times[0]:g} to {trace.times[-1]:g} s every {trace.step:.4g} s, but {other}: {reference.times[0]:g} "
            f"to {reference.times[-1]:g} s every {reference.step:.4g} s; expected traces of one method. Leave it out, or set "
            "reading.from_s and reading.until_s."
        )


def _interpolated(name: str, trace: Chromatogram, *, axis: np.ndarray) -> np.ndarray:
    if bool(saturated(torch.from_numpy(trace.signal)).any()):
        raise DataError(f"{name}: is saturated and on other times than the rest; its flat top cannot be moved. Fit it alone.")
    return CubicSpline(trace.times, trace.signal)(axis)
