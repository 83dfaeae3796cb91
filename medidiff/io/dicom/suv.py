"""SUV by body weight from the headers of a PET series."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.enhanced_pet import classic_headers
from medidiff.io.dicom.suv_header import PetHeader, read_pet_header
from medidiff.io.dicom.suv_reference import (
    Reference,
    administration_s,
    choose_reference,
    judge_candidates,
    mean_activity_time_s,
    reference_candidates,
)
from medidiff.io.dicom.suv_report import candidate_summary, header_summary, implausible_values
from medidiff.io.dicom.suv_units import body_mass_kg, body_surface_m2, needs_sex, suv_types


@dataclass(frozen=True, eq=False)
class Suv:
    """Factors that turn the rescaled values of each slice into SUV by body weight, and how they came about."""

    factors: np.ndarray  # (n,) float64: SUVbw = (stored · slope + intercept) · factor
    unit: str  # of the values in the file: BQML, CNTS, GML, CM2ML
    report: dict  # JSON: every value used, every candidate; differences of time only, no dates, no identifiers
    warnings: tuple[str, ...]


def suv_factors(
    headers: Sequence[Dataset], *, reference: Reference = "auto", overrides: Mapping[str, float] | None = None
) -> Suv:
    """Factors per slice from rescaled PET values to SUV by body weight.

    headers      of one series in the order of its slices, or the one header of an enhanced multi-frame object
    reference    which time the activity refers to: auto | ge | series | backcompute | acquisition (`reference_candidates`)
    overrides    values stated by the user: weight_kg, height_m, dose_bq, half_life_s, delay_s
    returns      factors (n,), g/ml

        SUVbw = A · W / D         A  activity concentration, Bq/ml      W  body weight, g
        D = dose                                      DecayCorrection ADMIN
        D = dose · exp(-λ (t_ref - t_adm))            DecayCorrection START
        SUVbw = A W/dose · λT/(1 - exp(-λT)) · exp(λ (t_acq - t_adm))         DecayCorrection NONE, per slice

    QIBA vendor-neutral SUV pseudo-code (2018); Vácha et al. 2026, IBSI manual for SUV computation. Values already in SUV by lean
    mass, ideal mass or body surface are turned into SUV by body weight; Philips counts by the private factors.
    Raises DataError where a needed value is absent, contradicts another, or the unit has no validated conversion.
    """
    header = read_pet_header(classic_headers(headers), overrides)
    _check_conditions(header)
    report, warnings = header_summary(header), list(header.warnings)
    factors = _direct_factors(header, report)
    if factors is None:
        factors = _to_activity(header) * _activity_factors(header, reference, report, warnings)
    report["factor"] = {"smallest": float(factors.min()), "largest": float(factors.max())}
    warnings += implausible_values(header, report.get("decay", {}).get("delay_s"))
    report["warnings"] = warnings
    return Suv(factors, header.units, report, tuple(warnings))


def _check_conditions(header: PetHeader) -> None:
    needed = {"ATTN", "DECY"} - ({"DECY"} if header.decay_correction == "NONE" else set())
    missing = needed - set(header.corrections)
    if missing:
        found = ", ".join(header.corrections) or "absent"
        raise DataError(
            f"PET series: CorrectedImage (0028,0051) lacks {' and '.join(sorted(missing))}, found {found}. SUV is defined for "
            "images corrected for attenuation and decay; choose the attenuation-corrected series of the study."
        )
    if np.any(np.nan_to_num(header.intercept) != 0):
        raise DataError(
            f"PET series: RescaleIntercept is {np.nanmax(np.abs(header.intercept)):g}, expected 0 in PET. "
            "The values are not proportional to activity; export the series again."
        )


def _direct_factors(header: PetHeader, report: dict) -> np.ndarray | None:
    """Factors (n,) where the values are SUV up to the size of the body; None where they are activity."""
    n = len(header.acquisition_s)
    if header.units == "GML":
        return np.full(n, _body_factor(header, report))
    if header.units == "CM2ML":
        if header.suv_type not in ("", "BSA"):
            raise DataError(f"PET series: Units CM2ML with SUVType {header.suv_type}, expected BSA. Correct the header.")
        weight, height = header.need("weight_kg", "PatientWeight"), header.need("height_m", "PatientSize")
        surface = body_surface_m2(weight_kg=weight, height_m=height)
        report["body"] = {"suv_type": "BSA", "surface_m2": surface}
        return np.full(n, 1000 * weight / (1e4 * surface))
    if header.units == "CNTS" and not np.isnan(header.suv_factor).any():
        report["vendor"] = "Philips SUV scale factor (7053,1000)"
        return header.suv_factor
    return None


def _body_factor(header: PetHeader, report: dict) -> float:
    suv_type = header.suv_type or "BW"
    if suv_type not in suv_types():
        raise DataError(
            f"PET series: Units GML with SUVType {suv_type}, expected one of {', '.join(suv_types())}. Correct the header."
        )
    report["body"] = {"suv_type": suv_type}
    if not needs_sex(suv_type):
        return 1.0
    weight, height = header.need("weight_kg", "PatientWeight"), header.need("height_m", "PatientSize")
    if header.sex not in ("M", "F", "O"):
        raise DataError(
            f"PET series: PatientSex is absent or unknown, expected M, F or O; SUV by {suv_type} needs it. Correct the header."
        )
    mass = body_mass_kg(suv_type, weight_kg=weight, height_m=height, sex=header.sex)
    report["body"]["mass_kg"] = mass
    return weight / mass


def _to_activity(header: PetHeader) -> np.ndarray:
    """Bq/ml per unit of the file (n,)."""
    if header.units == "BQML":
        return np.ones(len(header.acquisition_s))
    if header.units == "CNTS" and not np.isnan(header.activity_factor).any():
        return header.activity_factor
    reason = "without the Philips factors (7053,1000) or (7053,1009)" if header.units == "CNTS" else "has no validated conversion"
    raise DataError(
        f"PET series: Units {header.units or 'absent'} {reason}; expected BQML, GML, CM2ML, or CNTS with a Philips factor. "
        "Export the series in Bq/ml."
    )


def _activity_factors(header: PetHeader, reference: Reference, report: dict, warnings: list[str]) -> np.ndarray:
    weight_g = 1000 * header.need("weight_kg", "PatientWeight")
    dose = header.need("dose_bq", "RadionuclideTotalDose")
    n = len(header.acquisition_s)
    if header.decay_correction == "ADMIN":
        report["decay"] = {"reference": "administration", "dose_at_reference_bq": dose}
        return np.full(n, weight_g / dose)
    header.need("half_life_s", "RadionuclideHalfLife")
    if header.decay_correction == "START":
        delay_s = _delay_to_reference(header, reference, report, warnings)
        at_reference = dose * np.exp(-math.log(2) / header.half_life_s * delay_s)
        report["decay"]["dose_at_reference_bq"] = float(at_reference.mean())
        return weight_g / at_reference
    if header.decay_correction == "NONE":
        return weight_g / dose * _undecayed(header, report, warnings)
    raise DataError(
        f"PET series: DecayCorrection (0054,1102) is {header.decay_correction or 'absent'}, expected START, ADMIN or NONE; it "
        "is never guessed. Correct the header."
    )


def _delay_to_reference(header: PetHeader, reference: Reference, report: dict, warnings: list[str]) -> np.ndarray:
    """Seconds (n,) from administration to the reference of decay, as START has it."""
    n = len(header.acquisition_s)
    if not math.isnan(header.delay_s):
        report["decay"] = {"reference": "stated by the user", "delay_s": header.delay_s}
        return np.full(n, header.delay_s)
    candidates = reference_candidates(header)
    chosen = choose_reference(candidates, reference)
    start_s, notes = administration_s(header, float(chosen.seconds.min()))
    report["decay"] = {
        "reference": chosen.name,
        "chosen_by": "rule" if reference == "auto" else "user",
        "delay_s": float(np.mean(chosen.seconds - start_s)),
        "candidates": [
            candidate_summary(candidate, chosen, start_s=start_s, half_life_s=header.half_life_s) for candidate in candidates
        ],
    }
    warnings += notes + judge_candidates(candidates, chosen, half_life_s=header.half_life_s, by_user=reference != "auto")
    return chosen.seconds - start_s


def _undecayed(header: PetHeader, report: dict, warnings: list[str]) -> np.ndarray:
    """Growth (n,) of uncorrected activity back to the administration: mean over the frame, then from its start."""
    if not (header.duration_s > 0).all():
        raise DataError(
            "PET series: ActualFrameDuration is absent or 0 in some slices; SUV of images without decay correction needs it. "
            "Correct the header."
        )
    if np.isnan(header.acquisition_s).any():
        raise DataError(
            "PET series: AcquisitionTime is absent in some slices; SUV of images without decay correction needs it and it is "
            "never guessed. Correct the header."
        )
    first = float(header.acquisition_s.min())
    if math.isnan(header.delay_s):
        start_s, notes = administration_s(header, first)
        warnings += notes
    else:
        start_s = first - header.delay_s
    delay_s = header.acquisition_s - start_s
    report["decay"] = {"reference": "acquisition of each slice", "delay_s": float(delay_s.mean())}
    centre = mean_activity_time_s(header.duration_s, half_life_s=header.half_life_s)
    return np.exp(math.log(2) / header.half_life_s * (delay_s + centre))
