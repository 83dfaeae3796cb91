"""Names, numbers and random streams of a digital patient: all follow from a text, so that a rerun repeats every byte."""

import uuid
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

_NAMESPACE = uuid.UUID("5d0ff6ce-3b0b-5c5b-9d5e-0f5a4b8f7a11")


def make_uid(*parts: object) -> UID:
    """The DICOM UID 2.25.<UUIDv5> of the parts; the same parts give the same UID."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}")


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """An independent generator for one purpose, so that one more draw here changes nothing elsewhere."""
    return np.random.default_rng([seed, *purpose.encode()])


@dataclass(frozen=True)
class Study:
    """Whom and when a series shows; the person is fictitious and says so."""

    key: str  # determines study and frame-of-reference UID
    started: datetime
    weight_kg: float = 70.0
    height_m: float = 1.75
    sex: str = "F"  # F or M

    @property
    def uid(self) -> UID:
        """StudyInstanceUID."""
        return make_uid(self.key, "study")

    @property
    def frame_uid(self) -> UID:
        """FrameOfReferenceUID, shared by all series of the study."""
        return make_uid(self.key, "frame")

    def header(self) -> Dataset:
        """Patient, patient study and general study modules."""
        header = Dataset()
        header.PatientName = "Phantom^Digital"
        header.PatientID = f"PHANTOM-{make_uid(self.key)[-12:]}"
        header.PatientBirthDate = ""
        header.PatientSex = self.sex
        header.PatientComments = "Artificial data, computed; no human being was imaged."
        header.PatientIdentityRemoved = "YES"
        header.DeidentificationMethod = "Never identified: a digital phantom"
        header.PatientWeight = f"{self.weight_kg:.1f}"
        header.PatientSize = f"{self.height_m:.2f}"
        header.StudyInstanceUID = self.uid
        header.StudyDate, header.StudyTime = dicom_date(self.started), dicom_time(self.started)
        header.StudyID = "1"
        header.StudyDescription = "Digital phantom"
        header.AccessionNumber = ""
        header.ReferringPhysicianName = ""
        return header


def dicom_date(moment: datetime) -> str:
    """YYYYMMDD."""
    return f"{moment:%Y%m%d}"


def dicom_time(moment: datetime) -> str:
    """HHMMSS.ffffff."""
    return f"{moment:%H%M%S.%f}"
