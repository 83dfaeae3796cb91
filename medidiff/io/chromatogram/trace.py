"""One detector signal over time, in SI, and the checks that every file must pass before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from medidiff.errors import DataError

FEWEST = 16  # samples
SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "ms": 1e-3,
    "milliseconds": 1e-3,
}


@dataclass(frozen=True)
class TablePeak:
    """One line of the peak table that a vendor's software wrote into the file."""

    time: float  # retention time, s
    area: float  # in the vendor's unit; NaN when the file has none
    name: str = ""


@dataclass(frozen=True, eq=False)
class Chromatogram:
    """A signal over time, as one detector saw it."""

    times: np.ndarray  # (sample,)   s, strictly increasing, float64
    signal: np.ndarray  # (sample,)   in `unit`, float64
    unit: str = ""  # of the signal, as the file or the settings say; empty: arbitrary
    detector: str = ""  # as the file says
    injection_time: str = ""  # as the file says
    metadata: Mapping[str, str] = field(default_factory=dict)  # technical facts alone: no names of people or samples
    table: tuple[TablePeak, ...] = ()

    @property
    def step(self) -> float:
        """Mean sampling interval, s."""
        return float(self.times[-1] - self.times[0]) / (len(self.times) - 1)

    @property
    def unevenness(self) -> float:
        """Largest distance of a time from the uniform grid between the ends, in steps."""
        line = np.linspace(self.times[0], self.times[-1], len(self.times))
        return float(np.abs(self.times - line).max() / self.step)


def checked(file: str, chromatogram: Chromatogram) -> Chromatogram:
    """The same chromatogram as float64, or a DataError that names the file, what was found and what to do.

    file   name as it may be shown
    """
    with np.errstate(invalid="ignore", over="ignore"):  # what does not fit becomes infinite and is refused below
        times, signal = (np.asarray(value, dtype=float) for value in (chromatogram.times, chromatogram.signal))
    if times.ndim != 1 or times.shape != signal.shape:
        raise DataError(
            f"{file}: times of shape {times.shape}, signal of shape {signal.shape}; expected one value per time. Export it again."
        )
    if len(times) < FEWEST:
        raise DataError(f"{file}: {len(times)} samples, expected at least {FEWEST}. Export the whole trace.")
    for name, values in (("time", times), ("signal", signal)):
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DataError(f"{file}: {name} {values[first]} at sample {first}, expected finite numbers. Remove or repair it.")
    falls = np.flatnonzero(np.diff(times) <= 0)
    if len(falls):
        at = int(falls[0])
        raise DataError(
            f"{file}: time goes from {times[at]:g} s to {times[at + 1]:g} s after sample {at}, expected increasing times. "
            "Sort the samples and remove repeated ones."
        )
    if np.ptp(signal) == 0:
        raise DataError(f"{file}: the signal is {signal[0]:g} everywhere, expected peaks. Choose another trace or detector.")
    return Chromatogram(
        times,
        signal,
        chromatogram.unit,
        chromatogram.detector,
        chromatogram.injection_time,
        chromatogram.metadata,
        chromatogram.table,
    )


def seconds_per(file: str, unit: str) -> float:
    """Seconds in one unit of time. Raises DataError for an unknown or missing unit: minutes are never guessed."""
    known = unit.strip().strip(".").lower()
    if known not in SECONDS:
        found = f"time unit {unit!r}" if unit.strip() else "no time unit"
        raise DataError(f"{file}: {found}, expected s or min. Say it in the header or in chromatograph.reading.time_unit.")
    return SECONDS[known]
