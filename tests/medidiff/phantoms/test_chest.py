"""The digital chest: one patient on every grid, lesions where they are said to be, masses as geometry demands."""

import numpy as np
import pytest

from medidiff.phantoms.chest import ChestPhantom, make_chest, make_chests
from medidiff.phantoms.shapes import Ball, Column, Common, Rod, Wave, coverage
from physics.ct.grid import centred

SMALL = ChestPhantom(slices=8, rows=32, columns=32, pixel_mm=12, slice_mm=12)


def grid(count: int, step_mm: float):
    x = centred(count, step_mm).astype(np.float32)
    return x[None, None, :], x[None, :, None], x[:, None, None]


def still(length_mm: float) -> Wave:
    return Wave(length_mm, np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("radius_mm", [1.5, 3.0, 7.0, 25.0])
def test_a_ball_weighs_as_much_as_its_volume_on_every_grid(radius_mm):
    ball = Ball(np.array([1.3, -2.1, 0.4]), np.full(3, radius_mm), np.eye(3))
    for step in (2.0, 5.0):
        volume = coverage(ball, grid(36, step), step).sum() * step**3
        assert volume == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.15 if radius_mm < step else 0.03)


@pytest.mark.parametrize("radius_mm", [1.5, 4.0, 9.0])
def test_a_rod_weighs_as_much_as_a_cylinder(radius_mm):
    rod = Rod(np.array([0.7, 1.1, -500.0]), np.array([10.7, -9.1, 500.0]), radius_mm)
    step = 4.0
    area = coverage(rod, grid(30, step), step).sum() * step**2 / 30
    tilt = np.sqrt(10**2 + 10.2**2 + 1000**2) / 1000
    assert area == pytest.approx(np.pi * radius_mm**2 * tilt, rel=0.04)


def test_the_distance_of_an_ellipse_is_exact_on_its_axes_to_first_order():
    column = Column(still(0), still(0), still(40), still(20))
    points = tuple(np.array(p, np.float32).reshape(1, 1, -1) for p in ([41.0, 39, 0, 0], [0, 0, 20.5, 19.5], [0, 5, 9, 3]))
    assert np.allclose(column.distance(points).ravel(), [1, -1, 0.5, -0.5], atol=0.03)


def test_what_is_common_to_two_solids_is_inside_both():
    a, b = (Ball(np.array([x, 0.0, 0.0]), np.full(3, 20.0), np.eye(3)) for x in (-10, 10))
    points = grid(20, 3.0)
    assert np.array_equal(Common((a, b)).distance(points) < 0, (a.distance(points) < 0) & (b.distance(points) < 0))


def test_a_seed_draws_the_same_patient_and_another_seed_another_one():
    first, again, other = make_chests([5, 5, 6], SMALL)
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 50
    assert first.dtype == np.float32 and first.shape == (8, 32, 32)


def test_the_mean_of_fine_voxels_is_the_plain_voxel():
    chest = make_chest(ChestPhantom(seed=4, slices=16, rows=48, columns=48, pixel_mm=8, slice_mm=8))
    fine, plain = chest.hounsfield(2), chest.hounsfield()
    blocks = fine.reshape(16, 2, 48, 2, 48, 2).mean((1, 3, 5))
    assert abs(blocks.mean() - plain.mean()) < 6
    assert np.sqrt(((blocks - plain) ** 2).mean()) < 30


def test_every_patient_has_air_lung_fat_flesh_and_bone_within_the_field():
    volumes = make_chests(range(6))
    assert np.array_equal(volumes[:, :, 0], np.full_like(volumes[:, :, 0], -1000))
    assert np.array_equal(volumes[..., 0], np.full_like(volumes[..., 0], -1000))
    for volume in volumes:
        for low, high, least in ((-950, -650, 0.03), (-130, -60, 0.01), (20, 90, 0.02), (200, 900, 0.004)):
            assert ((volume > low) & (volume < high)).mean() > least


def test_anatomy_goes_on_from_slice_to_slice():
    volume = make_chests([2])[0]
    assert np.abs(np.diff(volume, axis=0)).mean() < 0.5 * np.abs(np.diff(volume, axis=1)).mean() + 20


def test_lesions_change_their_own_place_and_nothing_else():
    chest = make_chest(ChestPhantom(seed=3, lesions=3))
    change = chest.hounsfield() - chest.without_lesions().hounsfield()
    masks = [chest.lesion_mask(index) for index in range(3)]
    assert all(change[mask].mean() > 400 for mask in masks)
    reach = np.zeros(change.shape, bool)
    for lesion in chest.lesions:
        x, y, z = chest._points(1)
        reach |= lesion.solid.distance((x, y, z)) < 6
    assert not change[~reach].any()
    assert not (masks[0] & masks[1]).any()


def test_the_affine_puts_the_middle_of_the_field_at_the_origin():
    affine = make_chest(SMALL).affine()
    assert np.allclose(affine @ [15.5, 15.5, 3.5, 1], [0, 0, 0, 1])
    assert np.allclose(np.diag(affine), [12, 12, 12, 1])
