"""What the headers of a PET series say that matters for SUV, each value with its unit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import ConfigError, DataError
from medidiff.io.dicom.clock import date_seconds, datetime_seconds, time_seconds, zone_seconds
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.nuclide import HALF_LIVES_S, nuclide_of
from medidiff.io.dicom.private import private_text
from medidiff.io.dicom.suv_fields import SeriesFields

OVERRIDES = ("weight_kg", "height_m", "dose_bq", "half_life_s", "delay_s")


@dataclass(frozen=True)
class PetHeader:
    """Values of one PET series in SI units; n slices in the order of the headers, NaN where the header says nothing."""

    units: str  # BQML, CNTS, GML, CM2ML ...
    suv_type: str  # BW, LBM ... or ""
    decay_correction: str  # START, ADMIN, NONE or ""
    corrections: tuple[str, ...]  # CorrectedImage
    sex: str  # M, F, O or ""
    weight_kg: float
    height_m: float
    dose_bq: float  # as administered
    half_life_s: float
    nuclide: str  # F-18 ... or ""
    delay_s: float  # stated by the user: administration to reference of decay
    series_s: float  # SeriesDate and SeriesTime; all times are on the clock of the series
    acquisition_s: np.ndarray  # (n,) AcquisitionDate and AcquisitionTime, or AcquisitionDateTime
    frame_reference_s: np.ndarray  # (n,) FrameReferenceTime
    duration_s: np.ndarray  # (n,) ActualFrameDuration
    start_s: float  # RadiopharmaceuticalStartDateTime
    start_clock_s: float  # RadiopharmaceuticalStartTime, since midnight
    is_ge: bool
    ge_scan_s: float  # GE private scan datetime (0009,100D)
    siemens_decay_s: float  # Siemens private decay correction datetime (0071,1022)
    decay_datetime_s: float  # DecayCorrectionDateTime (0018,9701)
    suv_factor: np.ndarray  # (n,) Philips (7053,1000)
    activity_factor: np.ndarray  # (n,) Philips (7053,1009)
    intercept: np.ndarray  # (n,) RescaleIntercept
    written: dict[str, str | float]  # the numbers as the header gave them
    overrides: dict[str, float]
    warnings: tuple[str, ...]

    def need(self, name: str, keyword: str) -> float:
        """The value of this name. Raises DataError where neither header nor user gives one above 0."""
        value = getattr(self, name)
        if not value > 0:
            raise DataError(
                f"PET series: {keyword} is {self.written.get(keyword, 'absent')}, expected a value above 0; SUV needs it and "
                f"it is never guessed. Correct the header, or state it as the SUV override {name}."
            )
        return value


def read_pet_header(headers: Sequence[Dataset], overrides: Mapping[str, float] | None = None) -> PetHeader:
    """The SUV tags of one series in SI units.

    headers      in the order of the slices
    overrides    values stated by the user: weight_kg, height_m, dose_bq, half_life_s, delay_s

    A dose below 1e5 is taken as MBq, a weight above 1000 as g, a height above 3 as cm, each with a warning.
    Raises DataError where slices contradict each other or a number cannot be read; ConfigError for an unknown override.
    """
    overrides = _checked(overrides or {})
    fields = SeriesFields(headers, overrides)
    half_life_s, nuclide = _half_life(fields, overrides)
    times = _times(fields, headers)
    return PetHeader(
        is_ge=fields.text("Manufacturer").upper().startswith("GE"),
        units=fields.text("Units").upper(),
        suv_type=fields.text("SUVType").upper(),
        decay_correction=fields.text("DecayCorrection").upper(),
        corrections=fields.texts("CorrectedImage"),
        sex=fields.text("PatientSex").upper(),
        weight_kg=fields.scaled("PatientWeight", "weight_kg", small=(0, 1), large=(1000, 1e-3)),
        height_m=fields.scaled("PatientSize", "height_m", small=(0, 1), large=(3, 1e-2)),
        dose_bq=fields.scaled("RadionuclideTotalDose", "dose_bq", small=(1e5, 1e6), large=(math.inf, 1)),
        half_life_s=half_life_s,
        nuclide=nuclide,
        delay_s=overrides.get("delay_s", math.nan),
        frame_reference_s=fields.each("FrameReferenceTime") / 1000,
        duration_s=fields.each("ActualFrameDuration") / 1000,
        suv_factor=_philips(headers, 0x00),
        activity_factor=_philips(headers, 0x09),
        intercept=fields.each("RescaleIntercept"),
        written=fields.written,
        overrides=overrides,
        warnings=tuple(fields.warnings),
        **times,
    )


def _times(fields: SeriesFields, headers: Sequence[Dataset]) -> dict[str, float | np.ndarray]:
    zone = zone_seconds(fields.text("TimezoneOffsetFromUTC"))
    stamps = {
        "ge_scan_s": ("the GE scan datetime (0009,100D)", private_text(headers[0], 0x0009, "GEMS_PETD_01", 0x0D)),
        "siemens_decay_s": ("the Siemens decay datetime (0071,1022)", private_text(headers[0], 0x0071, "SIEMENS MED PT", 0x22)),
        "start_s": ("RadiopharmaceuticalStartDateTime", fields.text("RadiopharmaceuticalStartDateTime")),
        "decay_datetime_s": ("DecayCorrectionDateTime", fields.text("DecayCorrectionDateTime")),
    }
    seconds = {}
    for name, (keyword, stamp) in stamps.items():
        seconds[name] = _or_nan(datetime_seconds(stamp, zone))
        if stamp and math.isnan(seconds[name]):
            fields.warnings.append(f"{keyword} has no date and hour that can be read; taken as absent")
    series_day = date_seconds(fields.text("SeriesDate"))
    return seconds | {
        "series_s": _moment(series_day, time_seconds(fields.text("SeriesTime"))),
        "acquisition_s": np.array([_acquisition(header, series_day, zone) for header in headers]),
        "start_clock_s": _or_nan(time_seconds(fields.text("RadiopharmaceuticalStartTime"))),
    }


def _acquisition(header: Dataset, series_day: float | None, zone: float | None) -> float:
    time = time_seconds(text(header, "AcquisitionTime"))
    if time is None:
        return _or_nan(datetime_seconds(text(header, "AcquisitionDateTime"), zone))
    day = date_seconds(text(header, "AcquisitionDate"))
    return _moment(series_day if day is None else day, time)


def _half_life(fields: SeriesFields, overrides: Mapping[str, float]) -> tuple[float, str]:
    nuclide = nuclide_of(fields.tracers[0])
    known = HALF_LIVES_S.get(nuclide, math.nan)
    value = fields.scaled("RadionuclideHalfLife", "half_life_s", small=(0, 1), large=(math.inf, 1))
    if not value > 0:
        if nuclide:
            fields.warnings.append(
                f"RadionuclideHalfLife is absent; {known:g} s of {nuclide}, the nuclide in the header, is used"
            )
        return known, nuclide
    if abs(value / known - 1) > 0.02 and "half_life_s" not in overrides:
        fields.warnings.append(f"RadionuclideHalfLife is {value:g} s, but {nuclide} has {known:g} s; the header's value is used")
    return value, nuclide


def _philips(headers: Sequence[Dataset], element: int) -> np.ndarray:
    texts = [private_text(header, 0x7053, "Philips PET Private Group", element) for header in headers]
    try:
        factors = np.array([float(text or "nan") for text in texts])
    except ValueError:
        factors = np.full(len(texts), math.inf)
    if np.isinf(factors).any():
        raise DataError(f"PET series: the Philips factor (7053,10{element:02X}) is not a number. Correct the header.")
    return np.where(factors == 0, math.nan, factors)


def _checked(overrides: Mapping[str, float]) -> dict[str, float]:
    wrong = [f"{name}: unknown" for name in overrides if name not in OVERRIDES]
    wrong += [f"{name}: {value!r}, expected more than 0" for name, value in overrides.items() if not float(value) > 0]
    if wrong:
        raise ConfigError(f"SUV overrides: {'; '.join(wrong)}. Known are {', '.join(OVERRIDES)}.")
    return {name: float(value) for name, value in overrides.items()}


def _moment(day: float | None, time: float | None) -> float:
    return math.nan if day is None or time is None else day + time


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
