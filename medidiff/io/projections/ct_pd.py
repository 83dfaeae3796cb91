"""DICOM-CT-PD, the open format of CT projections (Chen et al. 2015): a folder with one file for each view."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.fields import number as public_number
from medidiff.io.dicom.fields import text, value, whole
from medidiff.io.dicom.index import Instance, index_folder
from medidiff.io.dicom.pixels import stored_frames
from medidiff.io.projections.ct_pd_fields import has_field, number, numbers, words
from medidiff.io.projections.ct_pd_scan import SUBSCANS, Scan

LARGEST_BYTES = 1 << 34  # of the views of one scan in memory
FEWEST_COLUMNS = 4  # from which a curved detector can be resampled
POSITIONS = ("HFS", "FFS", "HFP", "FFP")
_SAME = 1e-5  # relative, between views of one scan
_COPY = "Copy or download the series again."


def read_scan(folder: Path) -> Scan:
    """How the views of one folder were measured; their pixels are not read.

    folder    of one series, in any tree and under any names; the views are in the order of InstanceNumber

    Raises DataError, which names file, field, found and expected: no view or several series, missing views, a geometry that
    changes on the way or makes no sense, intensities before the logarithm, a mode of the focal spot that is not known.
    """
    folder = Path(folder)
    instances = _in_order(folder)
    first, name = instances[0].header, instances[0].name
    _check_kind(first, name=name)
    elements = _elements(first, name=name)
    _check_constant(instances, elements)
    per_view = [_trajectory(one.header, name=one.name) for one in instances]
    phi_rad, rho_mm, z_mm, *shift = np.array(per_view).T
    column, row = numbers(first, "DetectorCentralElement", name=name, count=2)
    spacing = ("DetectorElementAxialSpacing", "DetectorElementTransverseSpacing")
    scan = Scan(
        phi_rad=phi_rad,
        rho_mm=rho_mm,
        z_mm=z_mm,
        shift=np.stack(shift, axis=1),
        elements=elements,
        element_mm=tuple(_positive(first, field, name=name) for field in spacing),
        central=(row, column),
        focal_mm=_positive(first, "ConstantRadialDistance", name=name),
        shape=words(first, "DetectorShape", default="CYLINDRICAL"),
        focal_spot=words(first, "FlyingFocalSpotMode", default="FFSNONE"),
        photons=_photons(instances, elements[1]),
        water_per_mm=number(first, "WaterAttenuationCoefficient", name=name, default=0.0192),
        position=text(first, "PatientPosition") or "HFS",
        field_mm=public_number(first, "DataCollectionDiameter", name=name) if value(first, "DataCollectionDiameter") else 0.0,
        rescale=np.array([_rescale(one.header, name=one.name) for one in instances]),
        paths=tuple(one.path for one in instances),
    )
    _check_distances(scan, name=name)
    return scan


def read_views(scan: Scan, views: Sequence[int]) -> np.ndarray:
    """Line integrals (view, row, column) float32 of these views, rows and columns in the order of the format.

        line integral = RescaleSlope · stored + RescaleIntercept

    The published files store columns along DICOM rows; which way a file has them follows from its two sizes. Raises DataError
    where a file is damaged.
    """
    rows, columns = scan.elements
    if 4 * len(views) * rows * columns > LARGEST_BYTES:
        raise DataError(
            f"{scan.paths[0].parent.name}: found {len(views)} views of {rows} x {columns}, expected at most "
            f"{LARGEST_BYTES >> 30} GB of them. Split the series by table position."
        )
    found = np.empty((len(views), rows, columns), dtype=np.float32)
    for place, view in enumerate(views):
        path, (slope, intercept) = scan.paths[view], scan.rescale[view]
        frames = list(stored_frames(path, name=path.name))
        if len(frames) != 1:
            raise DataError(f"{path.name}: NumberOfFrames: found {len(frames)}, expected one view in each file. {_COPY}")
        values = slope * frames[0] + intercept
        if not np.isfinite(values).all():
            raise DataError(f"{path.name}: found line integrals that are not finite, expected numbers. {_COPY}")
        found[place] = values.T if values.shape == (columns, rows) else values
    return found


def _in_order(folder: Path) -> list[Instance]:
    instances, skipped = index_folder(folder)
    damaged = [entry for entry in skipped if entry.is_damaged_dicom]
    if damaged:
        raise DataError(f"{damaged[0].path}: {damaged[0].reason}. {len(damaged)} such files; {_COPY}")
    instances = [one for one in instances if has_field(one.header, "DetectorFocalCenterAngularPosition")]
    if len(instances) < 2:
        raise DataError(f"{folder.name}: found {len(instances)} DICOM-CT-PD files, expected at least 2. Name the series' folder.")
    series = sorted({text(one.header, "SeriesInstanceUID") for one in instances})
    if len(series) > 1:
        places = sorted({Path(one.name).parent.as_posix() for one in instances})[:4]
        raise DataError(
            f"{folder.name}: found {len(series)} series of projections, expected one. Name one of {', '.join(places)}."
        )
    for one in instances:
        if one.problem:
            raise DataError(one.problem)
    order = [whole(one.header, "InstanceNumber", name=one.name) for one in instances]
    if max(order) - min(order) >= 2 * len(order):
        found = f"{len(order)} views numbered {min(order)} to {max(order)}"
        raise DataError(f"{folder.name}: InstanceNumber: found {found}, expected one after the other. {_COPY}")
    if missing := sorted(set(range(min(order), max(order) + 1)) - set(order)):
        listed = ", ".join(map(str, missing[:6]))
        raise DataError(f"{folder.name}: InstanceNumber: found {len(order)} views without {listed}, expected all. {_COPY}")
    if len(set(order)) < len(order):
        twice = next(number for number in sorted(order) if order.count(number) > 1)
        raise DataError(f"{folder.name}: InstanceNumber: found {twice} twice, expected every view once. Name one series' folder.")
    return [one for _, one in sorted(zip(order, instances), key=lambda pair: pair[0])]


def _check_kind(header: Dataset, *, name: str) -> None:
    for field, default, known, advice in (
        ("LogFlag", "YES", ("YES",), "These are intensities: convert to -log(I / I0) first."),
        ("DetectorShape", "CYLINDRICAL", ("CYLINDRICAL", "FLAT", "SPHERICAL"), "The rays cannot be known without it."),
        ("FlyingFocalSpotMode", "FFSNONE", tuple(SUBSCANS), "The rays cannot be known without it."),
    ):
        found = words(header, field, default=default)
        if found not in known:
            raise DataError(f"{name}: {field}: found {found[:16]!r}, expected {' or '.join(known)}. {advice}")
    if (position := text(header, "PatientPosition") or "HFS") not in POSITIONS:
        raise DataError(f"{name}: PatientPosition: found {position[:16]!r}, expected {', '.join(POSITIONS)}. Correct the header.")


def _elements(header: Dataset, *, name: str) -> tuple[int, int]:
    """Rows and columns of the detector: by their own fields, else as the published files store them."""
    stored = whole(header, "Rows", name=name), whole(header, "Columns", name=name)
    rows, columns = stored[::-1]
    if has_field(header, "NumberofDetectorRows"):
        rows, columns = (int(number(header, f"NumberofDetector{side}", name=name)) for side in ("Rows", "Columns"))
    if columns < FEWEST_COLUMNS or stored not in ((columns, rows), (rows, columns)):
        found = f"{stored[0]} x {stored[1]} pixels for {columns} columns and {rows} rows of the detector"
        raise DataError(f"{name}: Rows, Columns: found {found}, expected the same, and {FEWEST_COLUMNS} columns. {_COPY}")
    return rows, columns


def _check_constant(instances: Sequence[Instance], elements: tuple[int, int]) -> None:
    fields = ("DetectorElementTransverseSpacing", "DetectorElementAxialSpacing", "ConstantRadialDistance")
    first = instances[0]
    expected = {field: number(first.header, field, name=first.name) for field in fields}
    for one in instances:
        if _elements(one.header, name=one.name) != elements:
            rows, columns = elements
            raise DataError(f"{one.name}: Rows, Columns: found another detector than {rows} x {columns}, expected one. {_COPY}")
        for field, wanted in expected.items():
            found = number(one.header, field, name=one.name)
            if abs(found - wanted) > _SAME * abs(wanted):
                raise DataError(f"{one.name}: {field}: found {found:g}, expected {wanted:g} as in {first.name}. {_COPY}")


def _trajectory(header: Dataset, *, name: str) -> tuple[float, ...]:
    centre = ("AngularPosition", "RadialDistance", "AxialPosition")
    shifts = ("SourceAngularPositionShift", "SourceAxialPositionShift", "SourceRadialDistanceShift")
    where = [number(header, f"DetectorFocalCenter{field}", name=name) for field in centre]
    return *where, *(number(header, field, name=name, default=0.0) for field in shifts)


def _rescale(header: Dataset, *, name: str) -> tuple[float, float]:
    return public_number(header, "RescaleSlope", name=name), public_number(header, "RescaleIntercept", name=name)


def _photons(instances: Sequence[Instance], columns: int) -> np.ndarray | None:
    if not all(has_field(one.header, "PhotonStatistics") for one in instances):
        return None
    found = np.array([numbers(one.header, "PhotonStatistics", name=one.name, count=columns) for one in instances])
    if found.min() < 0:
        name = instances[int(np.argwhere(found < 0)[0, 0])].name
        raise DataError(f"{name}: PhotonStatistics: found {found.min():g}, expected numbers of photons from 0. {_COPY}")
    return found.astype(np.float32)


def _positive(header: Dataset, field: str, *, name: str) -> float:
    found = number(header, field, name=name)
    if not 1e-3 < found < 1e4:
        raise DataError(f"{name}: {field}: found {found:g}, expected mm between 0.001 and 10000. {_COPY}")
    return found


def _check_distances(scan: Scan, *, name: str) -> None:
    rho_mm = float(scan.rho_mm[0])
    if not 1 < rho_mm < scan.focal_mm or np.ptp(scan.rho_mm) > _SAME * rho_mm:
        found = f"{scan.rho_mm.min():g} to {scan.rho_mm.max():g}"
        expected = f"one distance below ConstantRadialDistance, {scan.focal_mm:g}"
        raise DataError(f"{name}: DetectorFocalCenterRadialDistance: found {found}, expected {expected}. {_COPY}")
    if not scan.is_helical and np.abs(scan.phi_rad).max() > 4 * math.pi:
        found = f"{np.abs(scan.phi_rad).max():g}"
        raise DataError(f"{name}: DetectorFocalCenterAngularPosition: found {found}, expected rad up to 4 pi. Convert degrees.")
