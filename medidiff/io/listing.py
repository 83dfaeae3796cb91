"""NIfTI files of a folder tree as studies: which belong together, which cannot be read."""

import gzip
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import nibabel
import numpy as np

from medidiff.errors import DataError
from medidiff.io.nifti import read_nifti
from medidiff.studies import Study

_LABEL = re.compile(r"(gtv|mask|seg|label|roi|lesion|tumou?r)", re.IGNORECASE)
_PET = re.compile(r"(^|[_.-])(pet|pt|suv)([_.-]|$)", re.IGNORECASE)
_CT = re.compile(r"(^|[_.-])ct([_.-]|$)", re.IGNORECASE)
_MR = re.compile(r"(^|[_.-])(mr|mri|t1|t2|t1w|t2w|flair|dwi|adc|pd)([_.-]|$)", re.IGNORECASE)


def is_nifti_name(name: str) -> bool:
    """Whether the file calls itself NIfTI: .nii or .nii.gz."""
    return name.lower().endswith((".nii", ".nii.gz"))


def nifti_studies(folder: Path, names: Sequence[str], *, deep: bool) -> list[Study]:
    """One study for each folder with one CT and one PET volume, one for each other CT or MR volume; labels become its truth.

    folder    scanned folder
    names     NIfTI files relative to it
    deep      read the voxels too: cut or altered gzip streams, NaN
    """
    by_folder = defaultdict(list)
    for name in names:
        by_folder[PurePosixPath(name).parent].append(PurePosixPath(name).name)
    rows = []
    for parent in sorted(by_folder):
        rows += _folder_studies(folder, parent, sorted(by_folder[parent]), deep=deep)
    return rows


def _folder_studies(folder: Path, parent: PurePosixPath, names: Sequence[str], *, deep: bool) -> list[Study]:
    labels = [name for name in names if _LABEL.search(_stem(name))]
    images = [name for name in names if name not in labels]
    pets = [name for name in images if _PET.search(_stem(name))]
    cts = [name for name in images if name not in pets and _CT.search(_stem(name))]
    if len(pets) == 1 and len(cts) == 1:
        row = Study(study="", kind="petct", path=str(parent), ct=cts[0], pet=pets[0], truth=_pick_truth(labels))
        return [_judged(row, [folder / parent / name for name in (cts[0], pets[0], *labels)], deep=deep)]
    rows = []
    for name in images:
        kind = "ct" if name in cts else "mr"
        row = Study(study="", kind=kind, path=str(parent / name))
        if name not in cts and not _MR.search(_stem(name)):
            reason = f"{parent / name}: the name does not say whether this is CT, PET or MR. Call it ct, pet or mr and .nii.gz."
            rows.append(Study(**{**row.__dict__, "status": "reject", "reason": reason}))
        else:
            rows.append(_judged(row, [folder / parent / name], deep=deep))
    return rows


def _stem(name: str) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)


def _pick_truth(labels: Sequence[str]) -> str:
    """The label file on the CT grid where several are there, since it has the finer grid."""
    on_ct = [name for name in labels if _CT.search(_stem(name))]
    return (on_ct or list(labels) or [""])[0]


def _judged(row: Study, paths: Sequence[Path], *, deep: bool) -> Study:
    try:
        for path in paths:
            read_nifti(path) if deep else _check_header(path)
    except DataError as error:
        return Study(**{**row.__dict__, "status": "reject", "reason": str(error)})
    return row


def _check_header(path: Path) -> None:
    """Raises DataError unless the header describes one volume with a usable affine that an uncompressed file can hold."""
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
            start = file.read(4)
        if {int.from_bytes(start, order) for order in ("little", "big")}.isdisjoint((348, 540)):
            raise ValueError(f"its first bytes are {start.hex()}")
        image = nibabel.load(path)
        shape, affine, itemsize = image.shape, image.affine, image.get_data_dtype().itemsize
        offset = image.dataobj.offset
    except Exception as error:  # a damaged header makes nibabel fail in many ways
        raise DataError(f"{path.name}: the NIfTI header is damaged ({str(error)[:120]}). Copy the file again.") from error
    if len(shape) < 3 or int(np.prod(shape[3:], dtype=np.int64)) != 1:
        raise DataError(f"{path.name}: the shape is {shape}, expected one volume of three axes. Split it first.")
    if affine is None or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise DataError(f"{path.name}: the affine is singular or not finite, so that voxels have no place. Convert it again.")
    size, promised = path.stat().st_size, offset + int(np.prod(shape, dtype=np.int64)) * itemsize
    if path.suffix.lower() == ".nii" and size < promised:
        raise DataError(f"{path.name}: {size} bytes, expected {promised} for {shape}: the file is cut. Copy it again.")
