"""Written structure sets give their masks back, to our reader and by the standard, and repeat to the byte."""

import shutil

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from medidiff.errors import DataError
from medidiff.io.dicom.contours import contours_to_mask
from medidiff.io.dicom.rtstruct import find_roi, read_contours
from medidiff.io.dicom.rtstruct_writer import write_rtstruct
from medidiff.io.scan import find_petct
from medidiff.io.volume import Volume
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import PetCtPhantom

WORDS = {"label": "Lesions of suv2.5", "version": "0.1.0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    settings = PetCtPhantom(
        ct_matrix=48, ct_slices=16, ct_spacing_mm=(2.5, 2.6, 7.0), pet_matrix=30, pet_slices=20, turn_deg=(7, -11, 13)
    )
    path = tmp_path_factory.mktemp("patient") / "study"
    write_patient(make_patient(settings), path)
    return path


@pytest.fixture(scope="module")
def ct(folder):
    return find_petct(folder).ct


@pytest.fixture(scope="module")
def noise(ct):
    """Smooth noise in (0, 1) on the CT grid: islands, holes, single voxels, and parts that touch at a corner only."""
    from medidiff.io.dicom.series import series_grid

    grid = series_grid(ct)
    rough = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(grid.shape), (1.2, 1.2, 0.5))
    return Volume((rough / np.abs(rough).max() + 1) / 2, grid.affine)


def test_masks_come_back_voxel_for_voxel_with_holes_and_single_voxels(ct, noise, tmp_path):
    mask = noise.with_array((noise.array >= 0.5).astype(np.uint8))
    single = np.zeros_like(mask.array)
    single[[5, 0, -1], [7, 0, -1], [3, 0, -1]] = 1
    write_rtstruct({"GTV": mask, "dots": mask.with_array(single)}, ct, tmp_path / "rs.dcm", **WORDS)
    rois = read_contours(tmp_path / "rs.dcm")
    np.testing.assert_array_equal(contours_to_mask(find_roi(rois, "GTV"), mask.grid), mask.array > 0)
    np.testing.assert_array_equal(contours_to_mask(find_roi(rois, "dots"), mask.grid), single > 0)


def test_probability_is_cut_at_one_half_with_contours_between_the_voxels(ct, noise, tmp_path):
    probability = noise.array.astype(np.float32)
    probability[10:20, 10:20, 4] = 0.5  # exactly on the threshold
    write_rtstruct({"GTV": noise.with_array(probability)}, ct, tmp_path / "rs.dcm", **WORDS)
    (roi,) = read_contours(tmp_path / "rs.dcm")
    np.testing.assert_array_equal(contours_to_mask(roi, noise.grid), probability >= 0.5)
    fractions = np.concatenate(roi.contours) @ np.linalg.inv(noise.affine)[:3, :3].T + np.linalg.inv(noise.affine)[:3, 3]
    assert len(np.unique(np.round(fractions[:, 0] % 1, 3))) > 20  # sub-pixel, not the stairs of a mask


def test_a_flipped_and_permuted_mask_is_written_where_it_lies(ct, noise, tmp_path):
    mask = noise.with_array((noise.array >= 0.55).astype(np.uint8))
    write_rtstruct({"GTV": mask}, ct, tmp_path / "stored.dcm", **WORDS)
    write_rtstruct({"GTV": mask.canonical()}, ct, tmp_path / "canonical.dcm", **WORDS)
    assert (tmp_path / "stored.dcm").read_bytes() == (tmp_path / "canonical.dcm").read_bytes()


def test_an_empty_region_is_listed_without_contours(ct, noise, tmp_path):
    write_rtstruct({"GTV": noise.with_array(np.zeros(noise.array.shape, np.uint8))}, ct, tmp_path / "rs.dcm", **WORDS)
    (roi,) = read_contours(tmp_path / "rs.dcm")
    assert (roi.name, roi.contours) == ("GTV", ())


def test_every_contour_refers_to_the_slice_in_whose_plane_it_lies(ct, noise, tmp_path, folder):
    write_rtstruct({"GTV": noise}, ct, tmp_path / "rs.dcm", **WORDS)
    slices = {header.SOPInstanceUID: header for header in ct.headers}
    written = pydicom.dcmread(tmp_path / "rs.dcm")
    for contour in written.ROIContourSequence[0].ContourSequence:
        header = slices[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        across, down = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        assert len(points) == contour.NumberOfContourPoints >= 4
        distance = (points - np.array(header.ImagePositionPatient, float)) @ np.cross(across, down)
        np.testing.assert_allclose(distance, 0, atol=1e-4)
        assert all(len(str(number)) <= 16 for number in contour.ContourData)


def test_the_structure_set_belongs_to_the_study_of_its_source(ct, noise, tmp_path, folder):
    study = shutil.copytree(folder, tmp_path / "study")
    shutil.rmtree(study / "RTSTRUCT")
    write_rtstruct({"GTV": noise}, ct, study / "rs.dcm", **WORDS)
    found = find_petct(study)
    assert [path.name for path in found.structures] == ["rs.dcm"]
    (roi,) = read_contours(found.structures[0])
    assert (roi.frame_of_reference_uid, roi.series_uids) == (ct.frame_of_reference_uid, {ct.uid})


def test_mandatory_attributes_of_the_standard_are_there(ct, noise, tmp_path):
    from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map

    write_rtstruct({"GTV": noise}, ct, tmp_path / "rs.dcm", **WORDS)
    written = pydicom.dcmread(tmp_path / "rs.dcm")
    modules = [m["key"] for m in get_iod_module_map()[get_sop_class_iod_map()[written.SOPClassUID]] if m["usage"] == "M"]
    missing = []
    for attribute in (attribute for module in modules for attribute in get_module_attribute_map()[module]):
        items = [written]
        for keyword in attribute["path"]:
            items = [inner for item in items for inner in item.get(keyword) or []]
        absent = [item for item in items if attribute["type"] in "12" and attribute["keyword"] not in item]
        empty = [item for item in items if attribute["type"] == "1" and item.get(attribute["keyword"]) in (None, "")]
        missing += [attribute["keyword"]] * bool(absent or empty)
    assert missing == []


def test_a_region_on_another_grid_is_refused_with_both_affines(ct, noise, tmp_path):
    shifted = noise.affine.copy()
    shifted[1, 3] += 0.01
    with pytest.raises(DataError, match=r"(?s)region 'GTV' .*does not lie on the images .*region\n.*images\n"):
        write_rtstruct({"GTV": Volume(noise.array, shifted)}, ct, tmp_path / "rs.dcm", **WORDS)
    assert list(tmp_path.iterdir()) == []


def test_a_label_that_dicom_cannot_hold_is_refused(ct, noise, tmp_path):
    with pytest.raises(DataError, match="label of the structure set is"):
        write_rtstruct({"GTV": noise}, ct, tmp_path / "rs.dcm", label="a\\b", version="0.1.0")
