"""What DICOM objects made from a series take over from it: planes, patient, study, moment, and names that can be repeated."""

import re
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
from pydicom.charset import python_encoding
from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from medidiff.errors import DataError
from medidiff.io.dicom.clock import date_seconds, time_seconds
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.geometry import sorted_along_normal, stack_affine
from medidiff.io.dicom.multiframe import frame_planes, is_enhanced
from medidiff.io.dicom.planes import Plane, single_plane
from medidiff.io.dicom.source import read_source
from medidiff.io.volume import Grid, Volume

_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
MAY_BE_EMPTY = (  # type 2 of the patient and study modules: must be present, may have no value
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
_OF_THE_STUDY = (  # of the modules that are copied: words of the hospital, its places and machines, and codes of its people
    "StudyDescription",
    "RequestingService",
    "ProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "ServiceEpisodeID",
    "ServiceEpisodeDescription",
    "ReferringPhysicianIdentificationSequence",
    "PhysiciansOfRecordIdentificationSequence",
    "PhysiciansReadingStudyIdentificationSequence",
    "ConsultingPhysicianIdentificationSequence",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "InstitutionCodeSequence",
    "StationName",
    "DeviceSerialNumber",
)
_FORMS = {  # of values that are copied; one of another form is left empty
    "PatientBirthDate": lambda found: date_seconds(found) is not None,
    "StudyDate": lambda found: date_seconds(found) is not None,
    "StudyTime": lambda found: time_seconds(found) is not None,
    "PatientSex": lambda found: found in ("M", "F", "O"),
    "SpecificCharacterSet": lambda found: set(found.split("\\")) <= python_encoding.keys(),
}
_AT_MOST_16 = ("AccessionNumber", "StudyID")  # real files exceed it, and what is written must be valid
_MOMENTS = ("Content", "Acquisition", "Series", "Study")  # whose date and time is taken over, the first that is there
NO_MOMENT = ("19000101", "000000")


def load_sources(paths: Sequence[Path]) -> tuple[list[Dataset], list[Plane]]:
    """Headers and planes of the files of one series, slices along their normal; DataError where they are not one series."""
    headers = {path: read_source(path, name=path.name).header for path in paths}
    if not headers:
        raise DataError("a DICOM object needs the files of its source series, none were given.")
    for path, header in headers.items():
        missing = [keyword for keyword in _NEEDED if not text(header, keyword)]
        if missing:
            raise DataError(f"{path.name}: lacks {', '.join(missing)}, without which no DICOM object can refer to it.")
        _complete(header)
    series = {(header.SeriesInstanceUID, header.FrameOfReferenceUID) for header in headers.values()}
    if len(series) > 1:
        raise DataError(f"the source of a DICOM object must be one series in one frame of reference, found {len(series)}.")
    if len(paths) == 1 and is_enhanced(headers[paths[0]]):
        return list(headers.values()), frame_planes(headers[paths[0]], path=paths[0], name=paths[0].name)
    planes = sorted_along_normal([single_plane(header, path=path, name=path.name) for path, header in headers.items()])
    return [headers[plane.path] for plane in planes], planes


def frames_of(volume: Volume, planes: Sequence[Plane], *, name: str) -> np.ndarray:
    """The voxels as (frame, row, column), frames in the order of the planes; DataError where they lie elsewhere."""
    ordered = sorted_along_normal(planes)
    rows, columns = ordered[0].shape
    grid = Grid((columns, rows, len(ordered)), stack_affine(ordered))
    aligned = _reoriented(volume, grid)
    if not aligned.grid.agrees_with(grid):
        raise DataError(
            f"the {name} {volume.grid.shape} does not lie on the source images {grid.shape}, expected to 0.001 mm:\n"
            f"{name}\n{_shown(aligned.affine)}\nsource\n{_shown(grid.affine)}\n"
            "Resample it onto their grid first (medidiff.io.resample)."
        )
    index = {id(plane): k for k, plane in enumerate(ordered)}
    return np.ascontiguousarray(aligned.array.T[[index[id(plane)] for plane in planes]])


def derived_uid(role: str, seed: str) -> str:
    """A UID that depends on nothing but what it is for and what it was made from."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medidiff|{role}|{seed}').int}"


def moment_of(source: Dataset) -> tuple[str, str]:
    """Date and time of the images, the first pair that is whole."""
    for name in _MOMENTS:
        date, time = text(source, f"{name}Date"), text(source, f"{name}Time")
        if re.fullmatch(r"\d{8}", date) and re.fullmatch(r"\d{6}(\.\d{1,6})?", time):
            return date, time
    return NO_MOMENT


def set_moment(made: Dataset, date: str, time: str) -> None:
    """Put the images' date and time where highdicom writes the clock's, so that equal content gives equal bytes."""
    made.ContentDate = made.InstanceCreationDate = date
    made.ContentTime = made.InstanceCreationTime = time
    for equipment in made.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = date + time


def set_dimension_uid(made: Dataset, uid: str) -> None:
    """Replace the random UID that highdicom gives to the dimensions of frames."""
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


@contextmanager
def refusals_of_highdicom() -> Iterator[None]:
    """DataError for whatever it raises, without its words, which may be those of the patient; its warnings are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, NotImplementedError) as error:
            raise DataError(
                f"the headers of the source series are not fit for a DICOM object ({type(error).__name__} in highdicom): a value "
                "of the patient or study module, the character set or the geometry is not legal. Export the series again."
            ) from None


def check_words(**words: str) -> None:
    """DataError for a text that DICOM cannot hold."""
    for name, word in words.items():
        if not 1 <= len(word) <= 64 or re.search(r"[\\\x00-\x1f]", word):
            raise DataError(f"{name} of the DICOM object is {word!r}, expected 1 to 64 characters without backslash or control.")


def tells_of_people(tag: BaseTag) -> bool:
    """Whether an element names or describes the patient or those who cared, or is private."""
    if tag.is_private or not dictionary_has_tag(tag):
        return tag.is_private
    keyword = keyword_for_tag(tag)
    return keyword not in MAY_BE_EMPTY and (tag.group == 0x0010 or dictionary_VR(tag) == "PN" or keyword in _OF_THE_STUDY)


def _complete(header: Dataset) -> None:
    """Give the copied modules what they must have, nothing that only describes people, and nothing longer than DICOM allows."""
    told = [tag for tag in header.keys() if tells_of_people(tag)]  # noqa: SIM118  (a data set iterates over elements)
    for tag in told:
        del header[tag]
    for keyword in MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, None)
    with disable_value_validation():
        for keyword, is_good in _FORMS.items():
            if (found := text(header, keyword)) and not is_good(found):
                setattr(header, keyword, None)
        for keyword in _AT_MOST_16:
            if len(found := text(header, keyword)) > 16:
                setattr(header, keyword, found[:16])


def _reoriented(mask: Volume, grid: Grid) -> Volume:
    """The same voxels with axes permuted and flipped to those of the grid."""
    turn = nibabel.io_orientation(np.linalg.inv(grid.affine) @ mask.affine)
    array = nibabel.apply_orientation(mask.array, turn)
    return Volume(array, mask.affine @ nibabel.orientations.inv_ornt_aff(turn, mask.array.shape))


def _shown(affine: np.ndarray) -> str:
    return np.array2string(affine[:3], precision=4, suppress_small=True)
