"""The SUV report: every value used and every candidate, without dates and identifiers; and its text for readers."""

import math

import numpy as np

from medidiff.io.dicom.nuclide import HALF_LIVES_S
from medidiff.io.dicom.suv_header import PetHeader
from medidiff.io.dicom.suv_reference import Candidate, suv_deviation


def header_summary(header: PetHeader) -> dict:
    """The values of the header that SUV may use, for the report; absent ones are None."""
    return {
        "unit": header.units,
        "suv_type": header.suv_type,
        "decay_correction": header.decay_correction,
        "corrected_image": list(header.corrections),
        "sex": header.sex,
        "weight_kg": _or_none(header.weight_kg),
        "height_m": _or_none(header.height_m),
        "dose_bq": _or_none(header.dose_bq),
        "half_life_s": _or_none(header.half_life_s),
        "nuclide": header.nuclide,
        "as_written": dict(header.written),
        "overrides": dict(header.overrides),
        "frame_duration_s": _range(header.duration_s),
        "frame_reference_s": _range(header.frame_reference_s),
        "philips_suv_factor": _range(header.suv_factor),
        "philips_activity_factor": _range(header.activity_factor),
    }


def candidate_summary(candidate: Candidate, chosen: Candidate, *, start_s: float, half_life_s: float) -> dict:
    """One candidate of the decay reference: its delay after administration and what it would do to SUV."""
    return {
        "name": candidate.name,
        "delay_s": float(np.mean(candidate.seconds - start_s)),
        "suv_change": suv_deviation(candidate, chosen, half_life_s),
        "objection": candidate.objection,
    }


def implausible_values(header: PetHeader, delay_s: float | None) -> list[str]:
    """Warnings about a dose outside 20-1500 MBq, a weight outside 2-350 kg, and for F-18 a delay outside 0-6 h."""
    warnings = []
    if header.dose_bq > 0 and not 20e6 <= header.dose_bq <= 1500e6:
        warnings.append(f"RadionuclideTotalDose is {header.dose_bq / 1e6:g} MBq, usually between 20 and 1500")
    if header.weight_kg > 0 and not 2 <= header.weight_kg <= 350:
        warnings.append(f"PatientWeight is {header.weight_kg:g} kg, usually between 2 and 350")
    is_f18 = abs(header.half_life_s / HALF_LIVES_S["F-18"] - 1) < 0.02
    if delay_s is not None and is_f18 and not 0 <= delay_s <= 6 * 3600:
        warnings.append(f"{delay_s / 3600:.2f} h from administration to the reference of decay, usually between 0 and 6")
    return warnings


def explain_suv(report: dict) -> str:
    """How SUV was computed, as text of several lines: the values, every candidate, the factor, the warnings."""
    lines = [f"Units {report['unit']}, DecayCorrection {report['decay_correction'] or 'absent'}"]
    lines += [
        f"  {label:<12}{report[key]:>12.6g} {unit}{_origin(report, keyword)}"
        for label, key, unit, keyword in _ROWS
        if report[key]
    ]
    if "body" in report:
        lines.append("body: " + ", ".join(f"{key} {_short(value)}" for key, value in report["body"].items()))
    if "vendor" in report:
        lines.append(f"vendor: {report['vendor']}")
    decay = report.get("decay", {})
    if decay:
        lines.append(
            f"decay reference: {decay['reference']}"
            + (f", {decay['delay_s']:.1f} s after administration" if "delay_s" in decay else "")
        )
    for candidate in decay.get("candidates", []):
        mark = "*" if candidate["name"] == decay["reference"] else " "
        change = f"{candidate['delay_s']:>10.1f} s   SUV {100 * candidate['suv_change']:+.2f} %"
        lines.append(
            f"  {mark} {candidate['name']:<15}{change}" + (f"   ({candidate['objection']})" if candidate["objection"] else "")
        )
    if "dose_at_reference_bq" in decay:
        lines.append(f"dose at the reference: {decay['dose_at_reference_bq']:.6g} Bq")
    factor = report["factor"]
    same = math.isclose(factor["smallest"], factor["largest"], rel_tol=1e-12)
    lines.append(f"SUVbw = value x {factor['smallest']:.8g}" + ("" if same else f" ... {factor['largest']:.8g} by slice"))
    return "\n".join(lines + [f"warning: {warning}" for warning in report["warnings"]])


_ROWS = (
    ("weight", "weight_kg", "kg", "PatientWeight"),
    ("height", "height_m", "m", "PatientSize"),
    ("dose", "dose_bq", "Bq", "RadionuclideTotalDose"),
    ("half-life", "half_life_s", "s", "RadionuclideHalfLife"),
)


def _origin(report: dict, keyword: str) -> str:
    written = report["as_written"].get(keyword)
    return f"  ({keyword}: {_short(written)})" if written is not None else ""


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _range(values: np.ndarray) -> list[float] | None:
    known = values[~np.isnan(values)]
    return [float(known.min()), float(known.max())] if known.size else None
