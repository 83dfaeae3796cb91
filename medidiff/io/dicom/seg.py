"""Masks as DICOM segmentations (SEG) on the planes of the images they were made from."""

import hashlib
import re
import uuid
import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import highdicom
import nibabel
import numpy as np
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medidiff.errors import DataError
from medidiff.io.atomic import atomic_path
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.geometry import sorted_along_normal, stack_affine
from medidiff.io.dicom.multiframe import frame_planes, is_enhanced
from medidiff.io.dicom.planes import Plane, single_plane
from medidiff.io.dicom.source import read_source
from medidiff.io.volume import Grid, Volume

_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
_MAY_BE_EMPTY = (  # type 2 of the patient and study modules: must be present, may have no value
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_AT_MOST_16 = ("AccessionNumber", "StudyID")  # real files exceed it, and a SEG must be valid
_MOMENTS = ("Content", "Acquisition", "Series", "Study")  # whose date and time the SEG takes over, the first that is there
_NO_MOMENT = ("19000101", "000000")


def write_seg(mask: Volume, source_paths: Sequence[Path], path: Path, *, label: str, algorithm: str, version: str) -> None:
    """Write a mask as a binary DICOM SEG, all or nothing; arguments and errors as of `build_seg`."""
    save_seg(build_seg(mask, source_paths, label=label, algorithm=algorithm, version=version), path)


def save_seg(segmentation: Dataset, path: Path) -> None:
    """Write a data set of `build_seg` or `pseudonymised` under its final name, or nothing there."""
    with atomic_path(path) as temporary:
        segmentation.save_as(temporary, enforce_file_format=True)


def build_seg(mask: Volume, source_paths: Sequence[Path], *, label: str, algorithm: str, version: str) -> Dataset:
    """A DICOM SEG data set with one segment, one frame for each source image.

    mask           0 and 1 on the grid of the source series, voxel axes in any order and direction
    source_paths   files of one series, in any order: classic CT, PET or MR images, or one enhanced file
    label          of the segment, 1 to 64 characters
    algorithm      what made the mask
    version        of the algorithm, in words of DICOM: SoftwareVersions
    returns        data set with UIDs, dates and bytes that depend on nothing but the arguments and files

    All frames are kept, also empty ones, so that an empty mask is a valid object and a reader sees the whole grid. The
    patient and study modules are copied from the source, since viewers overlay by them: the result is as identified as
    its source (see `pseudonymised`). Raises DataError when the mask does not lie on the planes of the source to 0.001 mm
    or the sources are not one series with a frame of reference.
    """
    _check_words(label=label, algorithm=algorithm, version=version)
    sources, planes = _load_sources([Path(path) for path in source_paths])
    frames = _frames_of(mask, planes)
    content = hashlib.sha256(np.packbits(frames)).hexdigest()
    seed = "|".join([*(text(source, "SOPInstanceUID") for source in sources), label, algorithm, version, content])
    segmentation = _compose(sources, frames, seed, _description(label, algorithm, version))
    _set_moment(segmentation, *_moment_of(sources[0]))
    _set_dimension_uid(segmentation, _uid("dimensions", seed))
    return segmentation


def pseudonymised(segmentation: Dataset, pseudonym: str) -> Dataset:
    """A copy of a SEG of `build_seg` without name, identifiers, birth date, sex, dates and descriptions of the patient.

    pseudonym   takes the place of PatientName and PatientID

    The UIDs of study, source images and frame of reference stay, since they tie the mask to its images; whoever has
    those images can still tell whose mask it is.
    """
    _check_words(pseudonym=pseudonym)
    copy = deepcopy(segmentation)
    for element in list(copy):
        if element.tag.group == 0x0010 or element.keyword in ("StudyDescription", "ContributingEquipmentSequence"):
            del copy[element.tag]
    for keyword in _MAY_BE_EMPTY:
        setattr(copy, keyword, None)
    copy.PatientName = copy.PatientID = pseudonym
    copy.PatientIdentityRemoved, copy.DeidentificationMethod = "YES", "medidiff: patient module and dates"
    _set_moment(copy, *_NO_MOMENT)
    copy.SeriesInstanceUID = _uid("series", f"{segmentation.SeriesInstanceUID}|{pseudonym}")
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = _uid(
        "instance", f"{segmentation.SOPInstanceUID}|{pseudonym}"
    )
    return copy


def _compose(
    sources: Sequence[Dataset], frames: np.ndarray, seed: str, segment: highdicom.seg.SegmentDescription
) -> highdicom.seg.Segmentation:
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom shows the patient's name when its form is unusual
        return highdicom.seg.Segmentation(
            sources,
            frames,
            highdicom.seg.SegmentationTypeValues.BINARY,
            [segment],
            series_instance_uid=_uid("series", seed),
            series_number=900,
            sop_instance_uid=_uid("instance", seed),
            instance_number=1,
            manufacturer="medidiff",
            manufacturer_model_name="medidiff",
            software_versions=algorithm.AlgorithmVersion,
            device_serial_number="0",
            content_label="LESIONS",
            series_description=f"medidiff {algorithm.AlgorithmName}"[:64],
            omit_empty_frames=False,
        )


def _check_words(**words: str) -> None:
    for name, word in words.items():
        if not 1 <= len(word) <= 64 or re.search(r"[\\\x00-\x1f]", word):
            raise DataError(f"{name} of the DICOM SEG is {word!r}, expected 1 to 64 characters without backslash or control.")


def _load_sources(paths: Sequence[Path]) -> tuple[list[Dataset], list[Plane]]:
    headers = {path: read_source(path, name=path.name).header for path in paths}
    if not headers:
        raise DataError("a DICOM SEG needs the files of its source series, none were given.")
    for path, header in headers.items():
        missing = [keyword for keyword in _NEEDED if not text(header, keyword)]
        if missing:
            raise DataError(f"{path.name}: lacks {', '.join(missing)}, without which a DICOM SEG cannot refer to it.")
        _complete(header)
    series = {(header.SeriesInstanceUID, header.FrameOfReferenceUID) for header in headers.values()}
    if len(series) > 1:
        raise DataError(f"the source of a DICOM SEG must be one series in one frame of reference, found {len(series)}.")
    if len(paths) == 1 and is_enhanced(headers[paths[0]]):
        return list(headers.values()), frame_planes(headers[paths[0]], path=paths[0], name=paths[0].name)
    planes = sorted_along_normal([single_plane(header, path=path, name=path.name) for path, header in headers.items()])
    return [headers[plane.path] for plane in planes], planes


def _complete(header: Dataset) -> None:
    """Give the copied modules what they must have, and nothing longer than DICOM allows."""
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, None)
    with disable_value_validation():
        for keyword in _AT_MOST_16:
            if len(found := text(header, keyword)) > 16:
                setattr(header, keyword, found[:16])


def _frames_of(mask: Volume, planes: Sequence[Plane]) -> np.ndarray:
    """The mask as (frame, row, column), frames in the order of the planes."""
    ordered = sorted_along_normal(planes)
    rows, columns = ordered[0].shape
    grid = Grid((columns, rows, len(ordered)), stack_affine(ordered))
    aligned = _reoriented(mask, grid)
    if not aligned.grid.agrees_with(grid):
        raise DataError(
            f"the mask {mask.grid.shape} does not lie on the source images {grid.shape}, expected to 0.001 mm:\n"
            f"mask\n{_shown(aligned.affine)}\nsource\n{_shown(grid.affine)}\n"
            "Resample it onto their grid first (medidiff.io.resample.resample_mask)."
        )
    index = {id(plane): k for k, plane in enumerate(ordered)}
    return np.ascontiguousarray((aligned.array > 0).T[[index[id(plane)] for plane in planes]]).astype(np.uint8)


def _shown(affine: np.ndarray) -> str:
    return np.array2string(affine[:3], precision=4, suppress_small=True)


def _reoriented(mask: Volume, grid: Grid) -> Volume:
    """The same voxels with axes permuted and flipped to those of the grid."""
    turn = nibabel.io_orientation(np.linalg.inv(grid.affine) @ mask.affine)
    array = nibabel.apply_orientation(mask.array, turn)
    return Volume(array, mask.affine @ nibabel.orientations.inv_ornt_aff(turn, mask.array.shape))


def _description(label: str, algorithm: str, version: str) -> highdicom.seg.SegmentDescription:
    return highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=algorithm, version=version, family=codes.DCM.ArtificialIntelligence
        ),
    )


def _uid(role: str, seed: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medidiff|{role}|{seed}').int}"


def _moment_of(source: Dataset) -> tuple[str, str]:
    for name in _MOMENTS:
        date, time = text(source, f"{name}Date"), text(source, f"{name}Time")
        if re.fullmatch(r"\d{8}", date) and re.fullmatch(r"\d{6}(\.\d{1,6})?", time):
            return date, time
    return _NO_MOMENT


def _set_moment(segmentation: Dataset, date: str, time: str) -> None:
    """Put the images' date and time where highdicom writes the clock's, so that equal masks give equal bytes."""
    segmentation.ContentDate = segmentation.InstanceCreationDate = date
    segmentation.ContentTime = segmentation.InstanceCreationTime = time
    for equipment in segmentation.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = date + time


def _set_dimension_uid(segmentation: Dataset, uid: str) -> None:
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
