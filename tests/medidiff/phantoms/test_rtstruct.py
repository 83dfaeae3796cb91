from datetime import datetime

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Polygon
from pydicom.dataset import Dataset

from medidiff.io.volume import Volume
from medidiff.phantoms.anatomy import LABELS
from medidiff.phantoms.contours import outline
from medidiff.phantoms.identity import Study
from medidiff.phantoms.rtstruct import write_rtstruct
from medidiff.phantoms.series import no_details, write_series


def centres(shape) -> np.ndarray:
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, len(shape))


def filled(polygons, shape) -> np.ndarray:
    """Pixel centres in an odd number of polygons."""
    inside = np.zeros(shape, dtype=bool)
    for polygon in polygons:
        inside ^= Polygon(np.vstack([polygon, polygon[:1]])).contains_points(centres(shape)).reshape(shape)
    return inside


def masks_of(structures, affine_ras, shape) -> dict[str, np.ndarray]:
    """Masks from the polygons of an RT Structure Set, by nothing but its coordinates and the affine."""
    to_index = np.linalg.inv(np.diag([-1.0, -1, 1, 1]) @ affine_ras)
    masks = {}
    for roi, contours in zip(structures.StructureSetROISequence, structures.ROIContourSequence):
        assert roi.ROINumber == contours.ReferencedROINumber
        mask = masks[roi.ROIName] = np.zeros(shape, dtype=bool)
        for contour in contours.get("ContourSequence", []):
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            assert contour.ContourGeometricType == "CLOSED_PLANAR" and contour.NumberOfContourPoints == len(points) >= 3
            index = points @ to_index[:3, :3].T + to_index[:3, 3]
            k = round(index[0, 2])
            np.testing.assert_allclose(index[:, 2], k, atol=1e-6)
            mask[:, :, k] ^= filled([index[:, :2]], shape[:2])
    return masks


@pytest.mark.parametrize("changes", [{}, {"turn_deg": (7, -11, 13), "tilt_deg": -14.0}, {"seed": 9, "difficulty": "hard"}])
@pytest.mark.parametrize("name", ["CT", "PET"])
def test_polygons_give_the_truth_back_voxel_for_voxel(written, read_plainly, name, changes):
    patient, _, folder = written(**changes)
    truth = patient.truth_ct if name == "CT" else patient.truth_pet
    plain = read_plainly(folder / name)
    masks = masks_of(pydicom.dcmread(folder / "RTSTRUCT" / f"{name}.dcm"), plain.affine, truth.array.shape)
    assert set(masks) == set(LABELS)
    for label, number in LABELS.items():
        np.testing.assert_array_equal(masks[label], truth.array == number)
    assert masks["GTVp"].any() and masks["GTVn"].any()


def test_contours_name_the_slice_they_lie_on(written):
    folder = written()[2]
    structures = pydicom.dcmread(folder / "RTSTRUCT" / "CT.dcm")
    places = {h.SOPInstanceUID: h.ImagePositionPatient[2] for h in map(pydicom.dcmread, (folder / "CT").iterdir())}
    listed = structures.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert {image.ReferencedSOPInstanceUID for image in listed.ContourImageSequence} == set(places)
    for region in structures.ROIContourSequence:
        for contour in region.ContourSequence:
            uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
            assert abs(contour.ContourData[2] - places[uid]) < 1e-6


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=80, deadline=None)
def test_any_mask_is_the_odd_interior_of_its_outline(mask):
    np.testing.assert_array_equal(filled(outline(mask - 0.5), mask.shape), mask)


@given(arrays(float, (6, 7), elements=st.floats(-30, 30).filter(lambda x: abs(x) > 1e-9)))
@settings(max_examples=50, deadline=None)
def test_no_pixel_centre_lies_near_an_outline(margin):
    for polygon in outline(margin):
        gap = np.abs(polygon[:, None] - centres((6, 7))).max(axis=2)
        assert gap.min() > 1 / 11 - 1e-9


def test_a_hole_with_an_island_survives_the_file(tmp_path):
    i, j = np.meshgrid(np.arange(24), np.arange(20), indexing="ij")
    r = np.hypot(i - 11, j - 9)
    rings = np.repeat(((r < 8.2) & ~(r < 5) | (r < 2))[:, :, None], 5, axis=2)
    rings[:, :, 3] = False
    affine = np.array([[-1.1, 0, 0, 30], [0, -1.7, 0, 12], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])
    study = Study("rings", datetime(2004, 5, 6))
    volume = Volume(np.zeros(rings.shape), affine)
    series = write_series(volume, tmp_path / "CT", modality="CT", study=study, header=Dataset(), per_slice=no_details)
    write_rtstruct({"rings": rings - 0.5, "nothing": np.full(rings.shape, -1.0)}, series, tmp_path / "rt.dcm", label="rings")
    structures = pydicom.dcmread(tmp_path / "rt.dcm")
    masks = masks_of(structures, affine, rings.shape)
    np.testing.assert_array_equal(masks["rings"], rings)
    assert len(structures.ROIContourSequence[0].ContourSequence) == 4 * 3
    assert not masks["nothing"].any() and "ContourSequence" not in structures.ROIContourSequence[1]
