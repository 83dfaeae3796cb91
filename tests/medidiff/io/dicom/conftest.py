"""PET headers to test SUV on: one default series whose tags each test changes."""

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

TRACER = {
    "RadionuclideTotalDose": 368.08e6,
    "RadionuclideHalfLife": 6586.2,
    "RadiopharmaceuticalStartTime": "100000.000000",
    "RadiopharmaceuticalStartDateTime": "20250101100000.000000",
}
SERIES = {
    "Modality": "PT",
    "SeriesDate": "20250101",
    "SeriesTime": "110000.000000",
    "AcquisitionDate": "20250101",
    "AcquisitionTime": "110000.000000",
    "PatientSex": "O",
    "PatientSize": 1.75,
    "PatientWeight": 70.0,
    "ActualFrameDuration": 300000,
    "FrameReferenceTime": 150000.0,
    "CorrectedImage": ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"],
    "Units": "BQML",
    "DecayCorrection": "START",
    "RescaleSlope": 1.0,
    "RescaleIntercept": 0.0,
}


@pytest.fixture(scope="session")
def pet_headers() -> Callable[..., list[Dataset]]:
    """A maker of PET headers: the default IBSI object with changed tags; None removes one, a list gives one per slice."""

    def make(*, slices: int = 1, **changes: object) -> list[Dataset]:
        headers = []
        for k in range(slices):
            header, tracer = Dataset(), Dataset()
            for keyword, value in (SERIES | TRACER | changes).items():
                per_slice = isinstance(value, list) and keyword != "CorrectedImage"
                value = value[k] if per_slice else value
                if value is not None:
                    setattr(tracer if keyword.startswith("Radio") else header, keyword, value)
            header.RadiopharmaceuticalInformationSequence = [tracer]
            headers.append(header)
        return headers

    return make
