"""Grids and volumes: affines in RAS millimetres."""

import nibabel
import numpy as np
import pytest

from medidiff.io.volume import Grid, Volume

OBLIQUE = np.array([[-0.9, 0.3, 0.4, -80.0], [0.25, 1.4, -0.6, 35.0], [-0.2, 0.35, 2.9, 12.0], [0, 0, 0, 1]])


def test_spacing_and_voxel_volume_follow_from_the_affine():
    grid = Grid((5, 6, 7), OBLIQUE)
    assert grid.spacing_mm == pytest.approx(np.sqrt((OBLIQUE[:3, :3] ** 2).sum(0)))
    assert grid.voxel_ml == pytest.approx(abs(np.linalg.det(OBLIQUE[:3, :3])) / 1000)
    assert grid.orientation == "LAS"


def test_corners_enclose_whole_voxels():
    corners = Grid((4, 4, 4), np.diag([2.0, 3.0, 4.0, 1.0])).corners()
    assert corners.min(0) == pytest.approx([-1.0, -1.5, -2.0])
    assert corners.max(0) == pytest.approx([7.0, 10.5, 14.0])


def test_grids_agree_within_a_thousandth_of_a_millimetre():
    grid = Grid((5, 6, 7), OBLIQUE)
    near, far = OBLIQUE.copy(), OBLIQUE.copy()
    near[0, 3] += 5e-4
    far[0, 3] += 5e-3
    assert grid.agrees_with(Grid((5, 6, 7), near))
    assert not grid.agrees_with(Grid((5, 6, 7), far))
    assert not grid.agrees_with(Grid((5, 6, 8), OBLIQUE))


def test_canonical_moves_no_voxel_in_the_patient():
    values = np.random.default_rng(0).normal(size=(3, 4, 5))
    volume = Volume(values, OBLIQUE)
    turned = volume.canonical()
    reference = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, OBLIQUE))
    assert np.array_equal(turned.array, reference.get_fdata())
    assert turned.affine == pytest.approx(reference.affine)
    assert turned.grid.orientation == "RAS"


def test_the_representation_says_shape_spacing_orientation_and_memory():
    text = repr(Volume(np.zeros((10, 20, 30), np.float32), OBLIQUE))
    assert "10x20x30" in text and "mm, LAS, float32, 0.0 MB" in text
