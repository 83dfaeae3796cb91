"""Masks from contours: closed forms on oblique grids, laws of the even-odd rule, and the published masks."""

import nibabel
import numpy as np
import pytest
from skimage.draw import polygon2mask

from medidiff.errors import DataError
from medidiff.io.dicom.contours import contours_to_mask
from medidiff.io.dicom.rtstruct import Roi, read_contours
from medidiff.io.volume import Grid


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    turned = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = (n for n in range(3) if n != axis)
        step = np.eye(3)
        step[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        turned = turned @ step
    return turned


def affine(spacing: tuple[float, float, float], degrees: tuple[float, float, float], origin: tuple[float, ...]) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3] = rotation(degrees) @ np.diag(spacing)
    result[:3, 3] = origin
    return result


OBLIQUE = Grid((40, 36, 20), affine((1.7, 1.1, 3.3), (20, -35, 65), (-31, 12, 80)))


def roi_of(contours: list[np.ndarray]) -> Roi:
    return Roi("GTV", tuple(contours), "1.2", frozenset(), frozenset(), 0)


def in_slice(grid: Grid, points: list[list[float]] | np.ndarray, k: float) -> np.ndarray:
    points = np.asarray(points, float)
    return grid.positions(np.column_stack([points, np.full(len(points), k)]))


def box(i: tuple[float, float], j: tuple[float, float]) -> list[list[float]]:
    return [[i[0], j[0]], [i[1], j[0]], [i[1], j[1]], [i[0], j[1]]]


def ellipsoid(centre: np.ndarray, radii: np.ndarray, planes_mm: np.ndarray, turn: np.ndarray) -> Roi:
    """Contours of an ellipsoid in planes across the third axis of `turn`, at distances from the centre."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(400)])
    contours = []
    for height in planes_mm[np.abs(planes_mm) < radii[2]]:
        radius = np.sqrt(1 - (height / radii[2]) ** 2)
        contours.append(centre + (circle * radii * radius + [0, 0, height]) @ turn.T)
    return roi_of(contours)


def test_box_around_pixel_centres_on_an_oblique_grid_holds_exactly_these():
    roi = roi_of([in_slice(OBLIQUE, box((4.5, 20.5), (7.5, 30.5)), k) for k in range(3, 9)])
    expected = np.zeros(OBLIQUE.shape, bool)
    expected[5:21, 8:31, 3:9] = True
    np.testing.assert_array_equal(contours_to_mask(roi, OBLIQUE), expected)


def test_contour_inside_another_is_a_hole_and_a_third_inside_it_an_island():
    shapes = [box((2.5, 30.5), (2.5, 30.5)), box((8.5, 24.5), (8.5, 24.5)), box((12.5, 18.5), (12.5, 18.5))]
    mask = contours_to_mask(roi_of([in_slice(OBLIQUE, shape, 6) for shape in shapes]), OBLIQUE)
    expected = np.zeros(OBLIQUE.shape[:2], bool)
    expected[3:31, 3:31], expected[9:25, 9:25], expected[13:19, 13:19] = True, False, True
    np.testing.assert_array_equal(mask[:, :, 6], expected)
    assert mask.sum() == expected.sum()


def test_keyhole_contour_has_its_hole():
    outer, hole = box((2.5, 30.5), (2.5, 30.5)), box((8.5, 24.5), (8.5, 24.5))
    keyhole = [*outer, outer[0], *hole[::-1], hole[-1], outer[0]]
    separate = roi_of([in_slice(OBLIQUE, outer, 6), in_slice(OBLIQUE, hole, 6)])
    mask = contours_to_mask(roi_of([in_slice(OBLIQUE, keyhole, 6)]), OBLIQUE)
    np.testing.assert_array_equal(mask, contours_to_mask(separate, OBLIQUE))


def test_touching_regions_share_no_voxel_and_leave_none_out():
    # the common edge runs through pixel centres
    left, right = (contours_to_mask(roi_of([in_slice(GRID, box(i, (3, 20)), 4)]), GRID) for i in ((5, 12), (12, 25)))
    whole = contours_to_mask(roi_of([in_slice(GRID, box((5, 25), (3, 20)), 4)]), GRID)
    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, whole)


GRID = Grid((32, 28, 12), np.diag([-2.0, -2.0, 4.0, 1.0]))  # whole millimetres: indices come back exactly


@pytest.mark.parametrize("seed", range(5))
def test_random_star_agrees_with_the_polygon_of_scikit_image(seed):
    random = np.random.default_rng(seed)
    angle = np.sort(random.uniform(0, 2 * np.pi, 60))
    star = [20, 18] + random.uniform(3, 15, (60, 1)) * np.column_stack([np.cos(angle), np.sin(angle)])
    mask = contours_to_mask(roi_of([in_slice(OBLIQUE, star, 5)]), OBLIQUE)
    np.testing.assert_array_equal(mask[:, :, 5], polygon2mask(OBLIQUE.shape[:2], star))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_mask_moves_with_the_axes_of_the_grid(order):
    roi = ellipsoid(
        OBLIQUE.positions(np.array([[20.13, 18.27, 10]]))[0],
        np.array([14, 11, 20]),
        np.arange(-19.8, 20, 3.3),
        rotation((20, -35, 65)),
    )
    turned = np.eye(4)[:, [*order, 3]]
    other = Grid(tuple(np.array(OBLIQUE.shape)[list(order)]), OBLIQUE.affine @ turned)
    np.testing.assert_array_equal(contours_to_mask(roi, other), contours_to_mask(roi, OBLIQUE).transpose(order))


@pytest.mark.parametrize(
    "grid",
    [
        Grid((60, 60, 40), affine((1.0, 1.2, 2.0), (20, -35, 65), (0, 0, 0))),  # slices parallel to the contours, other spacing
        Grid((60, 60, 60), affine((1.4, 1.3, 1.5), (0, 0, 0), (0, 0, 0))),  # contours cut through the slices
        Grid((60, 60, 50), affine((1.4, 1.3, 1.9), (25, -30, 65), (0, 0, 0))),  # a few degrees off
    ],
)
def test_volume_of_an_ellipsoid_is_right_on_every_grid(grid):
    centre, radii = grid.positions((np.array([grid.shape]) - 1) / 2)[0], np.array([17.0, 13.0, 21.0])
    mask = contours_to_mask(ellipsoid(centre, radii, np.arange(-20.3, 21, 1.45), rotation((20, -35, 65))), grid)
    assert mask.sum() * grid.voxel_ml * 1000 == pytest.approx(4 / 3 * np.pi * np.prod(radii), rel=0.01)
    middle = grid.positions(np.argwhere(mask)).mean(axis=0)
    np.testing.assert_allclose(middle, centre, atol=0.25)


def test_fine_contours_on_coarse_slices_are_sampled_not_combined():
    # seven planes a slice: exclusive or of neighbours would leave a comb
    coarse = Grid((40, 40, 6), affine((1.0, 1.0, 7.0), (20, -35, 65), (0, 0, 0)))
    roi = roi_of([in_slice(coarse, box((9.5, 29.5), (9.5, 29.5)), k) for k in np.arange(0.75, 4.3, 1 / 7)])
    np.testing.assert_array_equal(contours_to_mask(roi, coarse).sum(axis=(0, 1)), [0, 400, 400, 400, 400, 0])


def test_contours_between_slices_fall_to_the_nearer_slice():
    roi = roi_of([in_slice(GRID, box((4.5, 9.5), (4.5, 9.5)), k + 0.3) for k in (3, 4, 5)])
    np.testing.assert_array_equal(np.flatnonzero(contours_to_mask(roi, GRID).any(axis=(0, 1))), [3, 4, 5])


def test_lesions_on_distant_slices_stay_apart():
    roi = roi_of([in_slice(GRID, box((4.5, 9.5), (4.5, 9.5)), k) for k in (2, 9)])
    np.testing.assert_array_equal(np.flatnonzero(contours_to_mask(roi, GRID).any(axis=(0, 1))), [2, 9])


def test_stated_distance_of_the_drawn_slices_fills_finer_slices():
    roi = roi_of([in_slice(GRID, box((4.5, 9.5), (4.5, 9.5)), k) for k in (2, 9)])
    mask = contours_to_mask(roi, GRID, plane_mm=12.0)
    np.testing.assert_array_equal(np.flatnonzero(mask.any(axis=(0, 1))), [1, 2, 3, 8, 9, 10])


def test_parts_outside_the_image_are_cut_off():
    mask = contours_to_mask(roi_of([in_slice(GRID, box((-50.5, 4.5), (-1e7, 1e7)), 4)]), GRID)
    assert mask[:5, :, 4].all() and mask.sum() == 5 * 28


@pytest.mark.parametrize(
    ("contours", "message"),
    [
        ([], "region 'GTV': no closed contour"),
        ([in_slice(GRID, box((100, 120), (3, 9)), 4)], "no voxel centre lies inside"),
        ([in_slice(GRID, box((4.1, 4.9), (3.1, 3.9)), 4)], "no voxel centre lies inside"),
        ([np.array([[0, 0, 0], [30, 0, 9], [30, 30, -9], [0, 30, 9.0]])], r"leave their common plane by .* mm"),
    ],
)
def test_contours_that_give_no_mask_are_refused(contours, message):
    with pytest.raises(DataError, match=message):
        contours_to_mask(roi_of(contours), GRID)


@pytest.mark.realdata
@pytest.mark.parametrize("modality", ["CT", "PET"])
@pytest.mark.parametrize("patient", ["STS_002", "STS_008", "STS_019"])
def test_mask_of_a_patient_equals_the_published_mask_voxel_for_voxel(mirror, patient, modality):
    folder = mirror / "petct_sts"
    published = nibabel.load(folder / "nifti_native" / patient / f"{modality}_mask.nii.gz")
    (roi,) = read_contours(next((folder / "dicom" / patient / modality / "mask").iterdir()))
    mask = contours_to_mask(roi, Grid(published.shape, published.affine))
    assert int((mask != (np.asarray(published.dataobj) > 0)).sum()) == 0
