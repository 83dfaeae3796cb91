"""A volume of any oblique, anisotropic or leaning grid as a genuine DICOM series, one file per slice."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage

from medidiff.io.atomic import atomic_path
from medidiff.io.volume import Volume
from medidiff.phantoms.identity import Study, dicom_date, dicom_time, make_uid
from medidiff.phantoms.planes import Planes, planes_of
from medidiff.phantoms.storage import Stored, store_activity, store_hounsfield

CLASSES = {"CT": CTImageStorage, "PT": PositronEmissionTomographyImageStorage}
STORES = {"CT": store_hounsfield, "PT": store_activity}


@dataclass(frozen=True, eq=False)
class WrittenSeries:
    """What `write_series` left in the folder, slice by slice in the order of k."""

    uid: UID
    sop_class: UID
    study: Study
    planes: Planes
    files: tuple[Path, ...]
    sop_uids: tuple[UID, ...]
    half_units: tuple[float, ...]  # largest rounding error, unit of the values


def write_series(
    volume: Volume, folder: Path, *, modality: Literal["CT", "PT"], study: Study, header: Dataset, per_slice: Callable
) -> WrittenSeries:
    """A new CT or PET series in a folder; file names and instance numbers are in no order, as in the wild.

    volume      HU for CT, non-negative values in the header's Units for PT; i along columns, j along rows
    folder      made when missing
    modality    CT or PT
    study       patient, study and frame of reference
    header      elements of all slices beyond geometry and pixels: equipment, acquisition, units
    per_slice   k -> Dataset of elements of slice k, such as its time
    returns     UIDs, files and rounding errors

    Raises DataError when pixels are not rectangular, or values cannot be stored.
    """
    planes, stored = planes_of(volume.grid), STORES[modality](volume.array)
    count = volume.array.shape[2]
    series_uid = make_uid(study.key, modality, header.get("SeriesDescription", ""))
    numbers = np.random.default_rng(int(series_uid.rsplit(".")[-1]) % 2**63).permutation(count) + 1
    sop_uids = tuple(make_uid(series_uid, k) for k in range(count))
    files = tuple(folder / f"IM{number:05d}.dcm" for number in numbers)
    for k in range(count):
        image = _image(planes, stored, k=k)
        for part in (study.header(), _series_header(modality, study, uid=series_uid), header, per_slice(k)):
            image.update(part)
        image.InstanceNumber = int(numbers[count - 1 - k])
        image.SOPClassUID, image.SOPInstanceUID = CLASSES[modality], sop_uids[k]
        save_dicom(image, files[k])
    return WrittenSeries(series_uid, CLASSES[modality], study, planes, files, sop_uids, stored.half_units)


def save_dicom(dataset: Dataset, path: Path) -> None:
    """The data set as a DICOM file in explicit little endian, without a trace of the moment or the library."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = make_uid("medidiff")
    dataset.file_meta.ImplementationVersionName = "MEDIDIFF"
    with atomic_path(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)


def no_details(k: int) -> Dataset:
    """Nothing beyond geometry and pixels, for every slice k."""
    return Dataset()


def _image(planes: Planes, stored: Stored, *, k: int) -> Dataset:
    image = planes.header(k)
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    image.RescaleIntercept, image.RescaleSlope = str(stored.intercept), stored.slopes[k]
    image.PixelData = np.ascontiguousarray(stored.integers[:, :, k].T).astype("<u2").tobytes()
    return image


def _series_header(modality: str, study: Study, *, uid: UID) -> Dataset:
    header = Dataset()
    header.Modality = modality
    header.SeriesInstanceUID = uid
    header.SeriesNumber = {"CT": 2, "PT": 3}[modality]
    header.FrameOfReferenceUID, header.PositionReferenceIndicator = study.frame_uid, ""
    header.PatientPosition = "HFS"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if modality == "CT" else ["ORIGINAL", "PRIMARY"]
    header.SpecificCharacterSet = "ISO_IR 192"
    header.Manufacturer = "medidiff"
    header.AcquisitionNumber = 1
    header.SeriesDate = header.AcquisitionDate = header.ContentDate = dicom_date(study.started)
    header.SeriesTime = header.AcquisitionTime = header.ContentTime = dicom_time(study.started)
    if modality == "CT":
        header.RescaleType, header.KVP = "HU", "120"
    return header
