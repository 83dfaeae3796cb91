import numpy as np
import pytest

from medidiff.io.volume import Grid, Volume
from medidiff.report.scene import OUTSIDE, PLANES, box_of, cubic_grid, extent_mm, picture, plane_grid, read_scene


@pytest.fixture
def scene(workspace):
    workspace.petct("P-1")
    return read_scene(workspace.study("P-1"))


def test_the_truth_comes_first_and_its_middle_is_where_the_ball_was_put(scene, workspace):
    assert list(scene.masks) == ["truth", "suv2", "suv4"] and list(scene.images) == ["CT", "PET"]
    assert np.linalg.norm(scene.centre - workspace.centre) < 4  # a voxel of the PET
    inside = np.linalg.inv(workspace.pet_affine) @ [*scene.centre, 1]
    assert scene.masks["truth"].array[tuple(np.rint(inside[:3]).astype(int))] == 1


def test_the_box_around_the_lesion_holds_the_ball_and_its_margin(scene, workspace):
    low, high = scene.lesion_box(margin_mm=20)
    assert np.all(low < workspace.centre - workspace.radius - 10) and np.all(high > workspace.centre + workspace.radius + 10)
    assert np.ptp(high - low) < 1e-9


def test_without_masks_the_middle_of_the_field_of_view_is_shown(workspace):
    workspace.volume("P-2", "convert/ct.nii.gz", np.zeros(workspace.ct_shape, np.int16), workspace.ct_affine)
    scene = read_scene(workspace.study("P-2"))
    middle = Grid(workspace.ct_shape, workspace.ct_affine).positions((np.array([workspace.ct_shape]) - 1) / 2)[0]
    assert np.allclose(scene.centre, middle)


def test_an_empty_truth_hands_over_to_the_methods(workspace):
    workspace.petct("P-1")
    workspace.volume("P-1", "convert/truth_pet.nii.gz", np.zeros(workspace.pet_shape, np.uint8), workspace.pet_affine)
    scene = read_scene(workspace.study("P-1"))
    assert np.linalg.norm(scene.centre - workspace.centre) < 8


def test_a_damaged_volume_is_a_note_and_the_others_are_shown(workspace):
    workspace.petct("P-1")
    path = workspace.results / "P-1/convert/ct.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    scene = read_scene(workspace.study("P-1"))
    assert list(scene.images) == ["PET"]
    assert (
        len(scene.notes) == 1 and scene.notes[0].startswith("convert/ct.nii.gz: ") and str(workspace.root) not in scene.notes[0]
    )


@pytest.mark.parametrize("plane", PLANES)
def test_a_picture_shows_the_value_of_the_point_it_says(scene, workspace, plane):
    """A linear ramp in RAS millimetres on the oblique grid comes out linear along the picture's axes."""
    points = Grid(workspace.ct_shape, workspace.ct_affine).positions(
        np.stack(np.meshgrid(*map(np.arange, workspace.ct_shape), indexing="ij"), -1).reshape(-1, 3)
    )
    slope = np.array([1.0, 10.0, 100.0])
    ramp = Volume((points @ slope).reshape(workspace.ct_shape), workspace.ct_affine)
    centre = box_of(ramp.grid).mean(axis=0)
    grid = plane_grid(plane, centre, np.stack([centre - 12, centre + 12]), 1.5)
    shown = picture(ramp, grid, plane=plane, fill=np.nan)
    side, up, across = PLANES[plane]
    left, right, bottom, top = extent_mm(grid, plane)
    columns = left + (np.arange(shown.shape[1]) + 0.5) * (right - left) / shown.shape[1]
    rows = bottom + (np.arange(shown.shape[0]) + 0.5) * (top - bottom) / shown.shape[0]
    expected = slope[side] * columns[None] + slope[up] * rows[:, None] + slope[across] * centre[across]
    assert shown.shape == (16, 16) and np.allclose(shown, expected, atol=0.05)


def test_beyond_the_volume_there_is_air(scene):
    grid = plane_grid("axial", scene.centre, box_of(scene.reference) + np.array([[-30], [30]]), 2.0)
    assert picture(scene.images["CT"], grid, plane="axial", fill=OUTSIDE["CT"])[0, 0] == -1024


def test_the_cubic_grid_keeps_the_finest_spacing_until_it_would_be_too_large(scene):
    fine = cubic_grid(scene.reference, voxels=10**7)
    coarse = cubic_grid(scene.reference, voxels=5000)
    assert np.allclose(fine.spacing_mm, 2.0) and np.prod(coarse.shape) <= 5000 * 1.2 and coarse.spacing_mm[0] > 4
    for grid in (fine, coarse):
        low, high = box_of(grid)
        assert np.all(low <= box_of(scene.reference)[0] + 1e-6) and np.all(high >= box_of(scene.reference)[1] - 1e-6)
