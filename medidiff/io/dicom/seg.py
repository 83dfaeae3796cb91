"""Masks as DICOM segmentations (SEG) on the planes of the images they were made from."""

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import highdicom
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medidiff.io.atomic import atomic_path
from medidiff.io.dicom.derived import (
    MAY_BE_EMPTY,
    NO_MOMENT,
    check_words,
    derived_uid,
    frames_of,
    load_sources,
    moment_of,
    refusals_of_highdicom,
    set_dimension_uid,
    set_moment,
)
from medidiff.io.dicom.fields import text
from medidiff.io.volume import Volume


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
    check_words(label=label, algorithm=algorithm, version=version)
    sources, planes = load_sources([Path(path) for path in source_paths])
    frames = (frames_of(mask, planes, name="mask") > 0).astype(np.uint8)
    content = hashlib.sha256(np.packbits(frames)).hexdigest()
    seed = "|".join([*(text(source, "SOPInstanceUID") for source in sources), label, algorithm, version, content])
    segmentation = _compose(sources, frames, seed, _description(label, algorithm, version))
    set_moment(segmentation, *moment_of(sources[0]))
    set_dimension_uid(segmentation, derived_uid("dimensions", seed))
    return segmentation


def pseudonymised(segmentation: Dataset, pseudonym: str) -> Dataset:
    """A copy of a SEG of `build_seg` without name, identifiers, birth date, sex, dates and descriptions of the patient.

    pseudonym   takes the place of PatientName and PatientID

    The UIDs of study, source images and frame of reference stay, since they tie the mask to its images; whoever has
    those images can still tell whose mask it is.
    """
    check_words(pseudonym=pseudonym)
    copy = deepcopy(segmentation)
    for element in list(copy):
        if element.tag.group == 0x0010 or element.keyword in ("StudyDescription", "ContributingEquipmentSequence"):
            del copy[element.tag]
    for keyword in MAY_BE_EMPTY:
        setattr(copy, keyword, None)
    copy.PatientName = copy.PatientID = pseudonym
    copy.PatientIdentityRemoved, copy.DeidentificationMethod = "YES", "medidiff: patient module and dates"
    set_moment(copy, *NO_MOMENT)
    copy.SeriesInstanceUID = derived_uid("series", f"{segmentation.SeriesInstanceUID}|{pseudonym}")
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = derived_uid(
        "instance", f"{segmentation.SOPInstanceUID}|{pseudonym}"
    )
    return copy


def _compose(
    sources: Sequence[Dataset], frames: np.ndarray, seed: str, segment: highdicom.seg.SegmentDescription
) -> highdicom.seg.Segmentation:
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    with refusals_of_highdicom():
        return highdicom.seg.Segmentation(
            sources,
            frames,
            highdicom.seg.SegmentationTypeValues.BINARY,
            [segment],
            series_instance_uid=derived_uid("series", seed),
            series_number=900,
            sop_instance_uid=derived_uid("instance", seed),
            instance_number=1,
            manufacturer="medidiff",
            manufacturer_model_name="medidiff",
            software_versions=algorithm.AlgorithmVersion,
            device_serial_number="0",
            content_label="LESIONS",
            series_description=f"medidiff {algorithm.AlgorithmName}"[:64],
            omit_empty_frames=False,
        )


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
