"""SUV of real and published objects, against the values their authors state."""

import json
import tarfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medidiff.io.dicom.suv import suv_factors

pytestmark = pytest.mark.realdata

# published factors, see VENDORS in test_suv.py; the two last are direct Philips factors
HEADERS = {
    "SIEMENS": 0.00042748316187,
    "GE_MEDICAL_AND_BQML": 0.00053673876818,
    "PHILIPS_BQML": 0.00074637470139,
    "RADIOPHARM_DATETIME_UNDEFINED": 0.00037210892028,
    "BQML_AC_DT_lessThan_S_DT_SIEMENS": 0.00040691568540,
    "CPS_AND_BQML_AC_DT_-_S_DT": 0.00026503312764,
    "PHILIPS_CNTS_AND_BQML_SUV": 0.000551,
    "PHILIPS_CNTS_AND_SUV": 0.000728,
}
PHILIPS = {"SUVScaleFactor": 0x00, "ActivityConcentrationScaleFactor": 0x09}


@pytest.fixture(scope="module")
def unpacked(mirror, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("suv")
    for name in ("suv_dro_4of17", "suv_headers_json", "sts001_raw_pet_dicom"):
        with tarfile.open(mirror / "archives" / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return folder


def sorted_slices(folder: Path) -> list[Dataset]:
    return sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda header: float(header.ImagePositionPatient[2]))


def suv_volume(headers: list[Dataset]) -> np.ndarray:
    values = np.stack([header.pixel_array * float(header.RescaleSlope) for header in headers])
    return values * suv_factors(headers).factors[:, None, None]


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize("name", ["DRO_0_0", "DRO_1_0", "DRO_3_1", "DRO_4_1"])
def test_published_object_has_its_published_values_up_to_its_stored_integers(name, unpacked):
    headers = sorted_slices(unpacked / name / "PT")
    mask = np.asarray(nibabel.load(unpacked / name / "mask" / "DRO_mask.nii.gz").dataobj).T > 0
    values = suv_volume(headers)[mask]
    found, published = np.array([values.min(), np.median(values), values.max()]), np.array([0.20, 1.00, 4.00])
    unit = float(headers[0].RescaleSlope) * suv_factors(headers).factors[0]
    # the objects were cut, not rounded, to integers: DRO_3_1 holds 1051 where 1051.66 would be 0.20
    np.testing.assert_allclose(found / unit, np.floor(published / unit + 0.05), rtol=1e-9)


@pytest.mark.parametrize("name", HEADERS)
def test_factor_of_a_real_vendor_header_is_the_published_one(name, unpacked):
    headers = []
    for values in json.loads((unpacked / "suv_headers_json" / f"{name}-instances.json").read_text()):
        header, tracer = Dataset(), Dataset()
        for keyword, value in values.items():
            if keyword != "PhilipsPETPrivateGroup":
                setattr(tracer if keyword.startswith("Radio") else header, keyword, value)
        for keyword, value in values["PhilipsPETPrivateGroup"].items():
            block = header.private_block(0x7053, "Philips PET Private Group", create=True)
            block.add_new(PHILIPS[keyword], "UN", value.encode())
        header.RadiopharmaceuticalInformationSequence = [tracer]
        headers.append(header)
    assert suv_factors(headers).factors == pytest.approx([HEADERS[name]] * len(headers), rel=1e-6)


def test_raw_activity_of_a_patient_becomes_the_published_suv_volume(mirror, unpacked):
    suv = suv_volume(sorted_slices(unpacked / "STS_001" / "FDG_PET" / "image"))
    published = nibabel.load(mirror / "petct_sts" / "nifti" / "STS_001" / "pet_suv.nii.gz")
    reference = np.asarray(published.dataobj)
    first = float(sorted_slices(unpacked / "STS_001" / "FDG_PET" / "image")[0].ImagePositionPatient[2])
    k = round((published.affine[2, 3] - first) / 3.27)
    i, j, n = 59, 45, reference.shape
    crop = suv[k : k + n[2], j : j + n[1], i : i + n[0]].T
    inside = reference > 0.01 * reference.max()
    assert np.abs(crop - reference).max() < 1e-4 * reference.max()
    assert np.mean(crop[inside] / reference[inside]) == pytest.approx(1, abs=1e-4)
