"""Public DICOM series against the NIfTI volumes that other programs made of them."""

import tarfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medidiff.io.dicom.grouping import group_series
from medidiff.io.dicom.index import index_folder
from medidiff.io.dicom.series import read_series
from medidiff.io.scan import find_petct, scan

pytestmark = pytest.mark.realdata

SYNTAXES = {  # of the nine files of dcm_qa_ts
    1: "1.2.840.10008.1.2.1",
    2: "1.2.840.10008.1.2",
    3: "1.2.840.10008.1.2.2",
    4: "1.2.840.10008.1.2.5",
    5: "1.2.840.10008.1.2.4.70",
    6: "1.2.840.10008.1.2.4.70",
    7: "1.2.840.10008.1.2.4.80",
    8: "1.2.840.10008.1.2.4.80",
    9: "1.2.840.10008.1.2.4.90",
}


@pytest.fixture(scope="session")
def unpacked(mirror, tmp_path_factory):
    """A function that gives the folder into which an archive of the mirror was unpacked, once."""
    folders = {}

    def unpack(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            with tarfile.open(mirror / "archives" / f"{name}.tar.xz") as archive:
                archive.extractall(folders[name], filter="data")
        return folders[name]

    return unpack


@pytest.mark.parametrize("number", SYNTAXES)
def test_one_image_in_nine_encodings_equals_its_reference(unpacked, number):
    folder = unpacked("dcm_qa_ts") / "dcm_qa_ts"
    instances, _ = index_folder(folder / "In")
    (instance,) = [one for one in instances if one.name == f"{number}.dcm"]
    (series,) = group_series([instance])
    reference = nibabel.as_closest_canonical(nibabel.load(folder / "Ref" / f"{number}.nii"))

    volume = read_series(series).canonical()

    assert instance.transfer_syntax == SYNTAXES[number]
    np.testing.assert_allclose(volume.affine, reference.affine, atol=1e-4)
    assert np.array_equal(volume.array, reference.get_fdata())


@pytest.mark.parametrize("study", ["STS_002", "STS_008", "STS_019"])
@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_patients_equal_their_published_volumes(mirror, study, modality):
    found = find_petct(mirror / "petct_sts" / "dicom" / study)
    image = nibabel.load(mirror / "petct_sts" / "nifti_native" / study / f"{modality}_image.nii.gz")
    published = image.get_fdata()

    volume = read_series(found.ct if modality == "CT" else found.pet)

    np.testing.assert_allclose(volume.affine, image.affine, atol=1e-3)
    assert np.abs(volume.array - published).max() <= (0 if modality == "CT" else 1e-5 * published.max())
    assert {path.parent.parent.name for path in found.structures} == {"CT", "PET"}


def test_all_patients_are_scanned_as_usable_studies(mirror):
    found = scan(mirror / "petct_sts" / "dicom")
    assert [(row.study, row.kind, row.status, row.truth) for row in found.studies] == [
        (study, "petct", "ok", "RTSTRUCT") for study in ("STS-002", "STS-008", "STS-019")
    ]
    assert all(one.usable for one in found.series) and found.skipped == ()


@pytest.mark.parametrize(
    "name, shape, spacing, corner",
    [
        ("philips_ct_phantom_1mm_140sl", (512, 512, 140), (0.451171875, 0.451171875, 1.0), (115.5, 1.85, 694.21)),
        ("crlm_ct_1004_dicom", (512, 512, 41), (0.796875, 0.796875, 5.0), (198.2, 204.0, -375.0)),
    ],
)
def test_ct_archives_are_usable_series_in_hounsfield_units(unpacked, name, shape, spacing, corner):
    found = scan(unpacked(name))
    (series,) = found.series
    volume = read_series(series)

    assert [row.status for row in found.studies] == ["ok"] and series.modality == "CT"
    assert volume.array.shape == shape
    np.testing.assert_allclose(volume.grid.spacing_mm, spacing, atol=1e-6)
    np.testing.assert_allclose(volume.affine[:3, 3], corner, atol=1e-3)
    assert volume.array.min() == -1024 and 1000 < volume.array.max() < 3072
    assert np.median(volume.array[:20, :20]) == pytest.approx(-1000, abs=30)  # air, or padding outside the circle


def test_padding_of_a_real_ct_becomes_air(unpacked):
    instances, _ = index_folder(unpacked("crlm_ct_1004_dicom"))
    assert all(one.header.PixelPaddingValue == -2000 for one in instances)
    volume = read_series(group_series(instances)[0])
    assert volume.array.min() == -1024 and np.mean(volume.array == -1024) > 0.05


def test_pet_with_joined_beds_is_read_with_a_note(unpacked):
    instances, skipped = index_folder(unpacked("sts001_raw_pet_dicom"))
    (series,) = group_series(instances, skipped)
    volume = read_series(series)

    assert series.usable and volume.array.shape == (128, 128, 267)
    assert any("3.190 to 3.290 mm apart" in note and "0.040 mm" in note for note in series.notes)
    assert volume.affine[2, 2] == pytest.approx(3.27, abs=1e-4)
    slopes = {float(header.RescaleSlope) for header in series.headers}
    assert len(slopes) == 267


@pytest.mark.parametrize("case", ["DRO_0_0", "DRO_1_0", "DRO_3_1", "DRO_4_1"])
def test_digital_objects_lie_on_the_grid_of_their_masks(unpacked, case):
    folder = unpacked("suv_dro_4of17") / case
    (series,) = [one for one in group_series(*index_folder(folder)) if one.modality == "PT"]
    mask = nibabel.load(folder / "mask" / "DRO_mask.nii.gz")
    volume = read_series(series)

    assert volume.array.shape == mask.shape
    np.testing.assert_allclose(volume.affine, mask.affine, atol=1e-3)


def test_orientation_phantom_written_as_dicom_comes_back_with_exact_axes(unpacked, stack, save, series_in, tmp_path):
    """The phantom is published as NIfTI: its voxels and affine, put into DICOM headers by closed formulas, return unchanged."""
    image = nibabel.load(unpacked("ibsi_digital_phantoms") / "ibsi_2_digital" / "orientation" / "image" / "orientation.nii.gz")
    voxels, lps = np.asarray(image.dataobj), np.diag([-1.0, -1, 1, 1]) @ image.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    shape = voxels.shape
    truth = stack(shape=shape, spacing=tuple(spacing), axes=lps[:3, :3] / spacing, origin=tuple(lps[:3, 3]), gradient=(0, 0, 0))
    headers = truth.headers()
    for k, header in enumerate(headers):
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        header.PixelData = voxels[:, :, k].T.astype("<i2").tobytes()
    save(tmp_path, headers)

    volume = read_series(series_in(tmp_path)[0])

    back = nibabel.orientations.ornt_transform(nibabel.io_orientation(volume.affine), nibabel.io_orientation(image.affine))
    found = nibabel.apply_orientation(volume.array, back)
    affine = volume.affine @ nibabel.orientations.inv_ornt_aff(back, volume.array.shape)
    assert np.array_equal(found, voxels)
    np.testing.assert_allclose(affine, image.affine, atol=1e-4)
