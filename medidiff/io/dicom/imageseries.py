"""Images that may form one volume, and what must agree among them."""

from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.dataset import FileDataset

from medidiff.io.dicom.fields import text
from medidiff.io.dicom.planes import Plane

# Images of one SeriesInstanceUID belong together when all of these agree (and spacing and orientation to 1e-4).
KEY = (
    "StudyInstanceUID",
    "SeriesNumber",
    "Modality",
    "SOPClassUID",
    "FrameOfReferenceUID",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "ImageType",  # its third value only
    "ConvolutionKernel",
    "Units",
    "CorrectedImage",
)


@dataclass(frozen=True, eq=False)
class Series:
    """Images that may form one volume, in the order of their planes along the normal."""

    uid: str  # SeriesInstanceUID
    modality: str
    study_uid: str
    frame_of_reference_uid: str
    paths: tuple[Path, ...]  # each file once
    headers: tuple[FileDataset, ...]  # of the same files, without pixels
    planes: tuple[Plane, ...] = ()  # one for each slice; empty when the files have no readable geometry
    usable: bool = False
    reason: str = ""  # why it is not usable: which slices, what is wrong, what to do
    is_tilted: bool = False  # a gantry tilt is its only fault
    notes: tuple[str, ...] = ()

    @property
    def is_stack(self) -> bool:
        """Whether the planes are complete and regular, upright or tilted."""
        return self.usable or self.is_tilted

    def refuse(self, reason: str) -> "Series":
        """The same series, not usable for this reason."""
        return replace(self, usable=False, reason=reason, is_tilted=False)


def key_of(header: FileDataset) -> tuple[str, ...]:
    """The texts of `KEY` in one header."""
    return tuple(_key_text(header, keyword) for keyword in KEY)


def _key_text(header: FileDataset, keyword: str) -> str:
    found = text(header, keyword)
    return "\\".join(found.split("\\")[2:3]) if keyword == "ImageType" else found
