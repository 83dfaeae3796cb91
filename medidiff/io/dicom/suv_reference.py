"""The moment to which a PET series was corrected for decay, and the moment of administration."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medidiff.errors import DataError
from medidiff.io.dicom.clock import DAY_S
from medidiff.io.dicom.suv_header import PetHeader

Reference = Literal["auto", "ge", "series", "backcompute", "acquisition"]

_SERIES_SLACK_S = 1.0  # a series may be stamped microseconds after its first frame
_WARN, _REFUSE = 0.01, 0.10  # of SUV
_BY_DEFINITION = ("decay_datetime", "siemens", "ge")  # elements made to hold the reference
_LONG_LIVED_S = 41400.0  # half-lives from which on uptake may last days, so that a time of day does not tell (IBSI manual)
_LONGEST_UPTAKE_S = 6 * 3600.0  # beyond it, a date is not repaired


@dataclass(frozen=True, eq=False)
class Candidate:
    """One reading of the reference of decay, for every slice; `objection` says why it is not taken by itself."""

    name: str
    seconds: np.ndarray  # (n,)
    objection: str  # "" where it may be taken


def mean_activity_time_s(duration_s: np.ndarray, *, half_life_s: float) -> np.ndarray:
    """Seconds after the start of a frame when the activity equals its mean over the frame.

    duration_s     (n,) T
    half_life_s    ln 2 / λ

        T_ave = ln( λT / (1 - exp(-λT)) ) / λ            DICOM PS3.3 C.8.9.4.1.5, example 2
    """
    exponent = math.log(2) / half_life_s * duration_s
    return np.log(exponent / -np.expm1(-exponent)) * half_life_s / math.log(2)


def reference_candidates(header: PetHeader) -> list[Candidate]:
    """Every reading of the reference of decay that the header allows, in the order of preference.

    decay_datetime   DecayCorrectionDateTime (0018,9701), the definition itself where it exists
    siemens          Siemens private decay correction datetime (0071,1022)
    ge               GE private scan datetime (0009,100D): kept when a series is processed again (QIBA 2018)
    series           SeriesDate and SeriesTime, unless later than the earliest acquisition by more than 1 s
    backcompute      t_acq + T_ave - FrameReferenceTime per slice; GE counts to the start of the frame: t_acq - FrameReferenceTime
    acquisition      the earliest AcquisitionTime
    """
    n = len(header.acquisition_s)
    first = _earliest(header)
    found = [
        Candidate("decay_datetime", np.full(n, header.decay_datetime_s), ""),
        Candidate("siemens", np.full(n, header.siemens_decay_s), ""),
        Candidate("ge", np.full(n, header.ge_scan_s), ""),
        Candidate("series", np.full(n, header.series_s), _objection_to_series(header, first)),
        Candidate("backcompute", _back_computed(header), _objection_to_back_computation(header)),
        Candidate("acquisition", np.full(n, first), ""),
    ]
    return [candidate for candidate in found if not np.isnan(candidate.seconds).any()]


def choose_reference(candidates: list[Candidate], reference: Reference) -> Candidate:
    """The candidate of this name, or for "auto" the first without objection. Raises DataError where there is none."""
    if reference == "auto":
        fitting = [candidate for candidate in candidates if not candidate.objection]
    else:
        fitting = [candidate for candidate in candidates if candidate.name == reference]
    if not fitting:
        names = ", ".join(candidate.name for candidate in candidates) or "none"
        raise DataError(
            f"PET series: no time of the decay reference `{reference}` (SeriesTime, AcquisitionTime, FrameReferenceTime or the "
            f"GE scan datetime are absent); it is never guessed. References that this header allows: {names}. "
            "Correct the header, choose another reference, or state the SUV override delay_s."
        )
    return fitting[0]


def suv_deviation(candidate: Candidate, chosen: Candidate, half_life_s: float) -> float:
    """Relative change of the mean SUV factor if the other candidate were taken: exp(λ(t - t_chosen)) - 1."""
    # e^709 is the largest float64; candidates years apart (a wrong date) mean "beyond any tolerance"
    exponent = math.log(2) / half_life_s * float(np.mean(candidate.seconds - chosen.seconds))
    return math.expm1(min(exponent, 700.0))


def judge_candidates(candidates: list[Candidate], chosen: Candidate, *, half_life_s: float, by_user: bool) -> list[str]:
    """Warnings where the candidates disagree by more than 1 % of SUV.

    Raises DataError where a candidate that nothing speaks against is more than 10 % away and the user did not choose.
    DecayCorrectionDateTime and the vendors' private datetimes are made for this purpose and stand against all others; the
    acquisition does not contradict a series time that the frame reference times confirm.
    """
    deviations = {c.name: suv_deviation(c, chosen, half_life_s) for c in candidates if c is not chosen}
    listed = "; ".join(
        f"{c.name} {100 * deviations[c.name]:+.1f} %" + (f" ({c.objection})" if c.objection else "")
        for c in candidates
        if c is not chosen
    )
    if all(abs(deviation) <= _WARN for deviation in deviations.values()):
        return []
    message = f"decay reference `{chosen.name}` is used; SUV would change with the others: {listed}"
    voices = [c for c in candidates if c is not chosen and not c.objection]
    if any(c.name == "backcompute" and abs(deviations[c.name]) <= _WARN for c in voices):
        voices = []
    is_free = chosen.name in _BY_DEFINITION or by_user
    if not is_free and any(abs(deviations[c.name]) > _REFUSE for c in voices):
        raise DataError(
            f"PET series: the times of the decay reference contradict each other by more than 10 % of SUV: {message}. "
            "Choose one of them explicitly as the SUV reference."
        )
    return [message]


def administration_s(header: PetHeader, reference_s: float) -> tuple[float, list[str]]:
    """Seconds of administration on the clock of the series, and warnings.

    reference_s    earliest moment to which the activity refers

    RadiopharmaceuticalStartDateTime, else RadiopharmaceuticalStartTime on the date of acquisition, a day earlier where that lies
    after the reference. Raises DataError where both are absent, where the date contradicts the scan, or where the date of a
    long-lived nuclide is absent.
    """
    clock = _from_clock(header, reference_s)
    if math.isnan(header.start_s) and math.isnan(clock):
        raise DataError(
            "PET series: RadiopharmaceuticalStartDateTime and RadiopharmaceuticalStartTime are absent; SUV needs the time of "
            "administration and it is never guessed. Correct the header, or state the SUV override delay_s."
        )
    if math.isnan(header.start_s) and header.half_life_s >= _LONG_LIVED_S:
        raise DataError(
            f"PET series: RadiopharmaceuticalStartDateTime is absent; with a half-life of {header.half_life_s / 3600:.1f} h the "
            "administration may be days before the scan and a time of day does not tell. State the SUV override delay_s."
        )
    if math.isnan(header.start_s):
        return clock, _midnight_warning(header, clock, reference_s)
    return _from_datetime(header, clock, reference_s)


def _from_clock(header: PetHeader, reference_s: float) -> float:
    day = _earliest(header) if not np.isnan(header.acquisition_s).all() else reference_s
    on_day = day - day % DAY_S + header.start_clock_s
    return on_day - DAY_S if on_day > reference_s else on_day


def _midnight_warning(header: PetHeader, start_s: float, reference_s: float) -> list[str]:
    if start_s - start_s % DAY_S == reference_s - reference_s % DAY_S:
        return []
    delay = reference_s - start_s
    if delay > 5 * header.half_life_s:
        raise DataError(
            f"PET series: RadiopharmaceuticalStartTime lies after the scan, and a day earlier {delay / 3600:.1f} h or "
            f"{delay / header.half_life_s:.1f} half-lives pass before the scan; expected less than 5. Correct the header, or "
            "state the SUV override delay_s."
        )
    return [f"RadiopharmaceuticalStartTime lies after the scan: taken as the day before, {delay / 60:.1f} min earlier"]


def _from_datetime(header: PetHeader, clock: float, reference_s: float) -> tuple[float, list[str]]:
    delay = reference_s - header.start_s
    other_clock = not math.isnan(header.start_clock_s) and abs(header.start_s % DAY_S - header.start_clock_s) >= 1
    is_short = header.half_life_s < _LONG_LIVED_S
    if delay < 0 and is_short and not other_clock and 0 < delay + DAY_S <= _LONGEST_UPTAKE_S:
        warning = "RadiopharmaceuticalStartDateTime lies after the scan by its date only: taken as the day before"
        return header.start_s - DAY_S, [warning]
    disagrees = math.isnan(clock) or abs(clock - header.start_s) > 60
    if delay < 0 or (delay > DAY_S and is_short and disagrees):
        other = "absent" if math.isnan(clock) else f"{(reference_s - clock) / 60:.1f} min before it"
        raise DataError(
            f"PET series: RadiopharmaceuticalStartDateTime is {delay / 60:.1f} min before the scan, RadiopharmaceuticalStartTime "
            f"is {other}; expected an administration within the day before the scan. Correct the header, or state the SUV "
            "override delay_s."
        )
    return header.start_s, []


def _objection_to_series(header: PetHeader, first: float) -> str:
    if header.series_s > first + _SERIES_SLACK_S:
        return f"SeriesTime is {header.series_s - first:.0f} s after the earliest acquisition"
    return ""


def _has_frame_times(header: PetHeader) -> np.ndarray:
    counted = header.frame_reference_s > 0
    if header.is_ge and counted.any():
        counted = header.frame_reference_s >= 0  # from the start of the first frame on: 0 is a time
    return counted & (header.duration_s > 0) & ~np.isnan(header.acquisition_s)


def _back_computed(header: PetHeader) -> np.ndarray:
    usable = _has_frame_times(header)
    if not usable.any():
        return np.full(len(usable), math.nan)
    average = mean_activity_time_s(np.where(usable, header.duration_s, 1.0), half_life_s=header.half_life_s)
    seconds = header.acquisition_s + (0.0 if header.is_ge else average) - header.frame_reference_s
    return np.where(usable, seconds, np.median(seconds[usable]))


def _objection_to_back_computation(header: PetHeader) -> str:
    usable = _has_frame_times(header)
    if not usable.any():
        return "FrameReferenceTime is 0 or absent"
    reference, duration, acquisition = header.frame_reference_s, header.duration_s, header.acquisition_s
    if np.ptp(acquisition) == 0 and np.nanmax(reference) - np.nanmin(reference) > np.nanmax(duration):
        return "AcquisitionTime is the same for frames of different FrameReferenceTime"
    begins_with_series = (acquisition - header.series_s >= -_SERIES_SLACK_S) & (acquisition - header.series_s <= 2)
    if begins_with_series.all() and (reference[usable] > duration[usable] + 2).all():
        return "AcquisitionTime is the start of the series, not of the frame"
    return ""


def _earliest(header: PetHeader) -> float:
    known = header.acquisition_s[~np.isnan(header.acquisition_s)]
    return float(known.min()) if known.size else math.nan
