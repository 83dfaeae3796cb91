"""Distances between surfaces of masks."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import SurfaceDistanceMetric, compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage

from medidiff.metrics.surface import assd, hd95_surfel, hd95_voxel, nsd, surfel_distances, voxel_distances

SPACING = (3.0, 1.0, 1.5)


def blobs(seed, shape=(20, 18, 16)):
    rng = np.random.default_rng(seed)
    smooth = [ndimage.gaussian_filter(rng.normal(size=shape), 1.5) for _ in range(2)]
    return smooth[0] > 0.1, smooth[0] + 0.5 * smooth[1] > 0.1


def box(start, stop, shape=(40, 20, 20)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop))] = True
    return mask


def as_batch(*masks):
    return [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in masks]


def test_a_thin_spike_counts_by_its_area_and_hardly_by_its_voxels():
    """A cube of 15 voxels with a spike of 10 x 2 x 2, spacing 3 x 1 x 1.

    By area the spike counts: cube 3044 mm² with cut edges, spike 20.5 mm² per layer of 3 mm, together about 3237 mm². Beyond
    6 mm lie its cap and 8 layers, more than the last 5 % of 162 mm²; beyond 9 mm the cap and 7 layers, less. By voxels it does
    not: 40 of 1218 on the boundary are 3.3 %.
    """
    cube, spike = box((2, 2, 2), (17, 17, 17)), box((17, 8, 8), (27, 10, 10))
    assert hd95_surfel(surfel_distances(cube | spike, cube, spacing_mm=(3, 1, 1))) == 6.0
    assert hd95_voxel(voxel_distances(cube | spike, cube, spacing_mm=(3, 1, 1))) == 0.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shifted_slab_is_as_far_as_it_was_shifted_on_each_axis(axis):
    start, stop = np.full(3, 2), np.full(3, 14)
    stop[axis] = 6
    moved = np.roll(slab := box(start, stop), 2, axis)
    for distances in (surfel_distances(moved, slab, spacing_mm=SPACING), voxel_distances(moved, slab, spacing_mm=SPACING)):
        assert distances.prediction_mm.max() == 2 * SPACING[axis]
        assert assd(distances) <= 2 * SPACING[axis]


def test_the_area_of_a_box_is_that_of_its_faces_with_cut_edges():
    faces = surfel_distances(one := box((3, 3, 3), (23, 13, 15)), one, spacing_mm=SPACING)
    a, b, c = 3.0, 1.0, 1.5
    inner = np.array([19, 9, 11]) * SPACING  # flat parts, one voxel less than the sides
    flat = 2 * (inner[0] * inner[1] + inner[0] * inner[2] + inner[1] * inner[2])
    edges = 4 * (inner[0] * math.hypot(b, c) + inner[1] * math.hypot(a, c) + inner[2] * math.hypot(a, b)) / 2
    corners = 8 * math.sqrt((b * c) ** 2 + (a * c) ** 2 + (a * b) ** 2) / 8
    assert faces.truth_area.sum() == pytest.approx(flat + edges + corners)


def test_a_mask_is_at_no_distance_from_itself():
    mask = blobs(1)[0]
    elements = surfel_distances(mask, mask, spacing_mm=SPACING)
    assert (hd95_surfel(elements), assd(elements), nsd(elements, tolerance_mm=0)) == (0, 0, 1)


def test_two_empty_masks_agree_and_one_is_infinitely_far():
    empty, some = box((0, 0, 0), (0, 0, 0)), box((5, 5, 5), (8, 8, 8))
    both = [measure(empty, empty, spacing_mm=SPACING) for measure in (surfel_distances, voxel_distances)]
    assert [hd95_surfel(both[0]), hd95_voxel(both[1]), assd(both[1]), nsd(both[0], tolerance_mm=1)] == [0, 0, 0, 1]
    for pair in ((empty, some), (some, empty)):
        one = [measure(*pair, spacing_mm=SPACING) for measure in (surfel_distances, voxel_distances)]
        found = [hd95_surfel(one[0]), hd95_voxel(one[1]), assd(one[1]), nsd(one[0], tolerance_mm=1)]
        assert found == [math.inf, math.inf, math.inf, 0]


def test_a_mask_that_touches_the_border_has_its_surface_there():
    whole = np.ones((4, 5, 6), bool)
    assert voxel_distances(whole, whole, spacing_mm=SPACING).truth_area.size == 4 * 5 * 6 - 2 * 3 * 4
    assert surfel_distances(whole, whole, spacing_mm=SPACING).truth_area.size == 5 * 6 * 7 - 3 * 4 * 5


@pytest.mark.parametrize("seed", range(5))
def test_distances_of_voxels_equal_those_of_monai(seed):
    prediction, truth = blobs(seed)
    distances, batch = voxel_distances(prediction, truth, spacing_mm=SPACING), as_batch(prediction, truth)
    theirs = SurfaceDistanceMetric(symmetric=True)(*batch, spacing=list(SPACING)).item()
    assert assd(distances) == pytest.approx(theirs, rel=2e-6)  # theirs sums in float32
    theirs = compute_hausdorff_distance(*batch, percentile=95, spacing=list(SPACING)).item()
    assert hd95_voxel(distances) == pytest.approx(theirs, rel=2e-6)


@pytest.mark.parametrize("seed", range(5))
def test_surface_dice_equals_that_of_monai(seed):
    prediction, truth = blobs(seed)
    theirs = compute_surface_dice(*as_batch(prediction, truth), [2.0], spacing=list(SPACING), use_subvoxels=True).item()
    ours = nsd(surfel_distances(prediction, truth, spacing_mm=SPACING), tolerance_mm=2.0)
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_surfaces_turn_with_the_axes():
    prediction, truth = blobs(3)
    turned = [mask.transpose(2, 0, 1)[::-1] for mask in (prediction, truth)]
    for distance, percentile in ((surfel_distances, hd95_surfel), (voxel_distances, hd95_voxel)):
        straight = distance(prediction, truth, spacing_mm=SPACING)
        aside = distance(*turned, spacing_mm=(SPACING[2], SPACING[0], SPACING[1]))
        assert percentile(aside) == pytest.approx(percentile(straight))
        assert aside.truth_area.sum() == pytest.approx(straight.truth_area.sum())
        assert assd(aside) == pytest.approx(assd(straight))
