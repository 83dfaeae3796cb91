"""Resampling keeps every point of the patient where it is."""

import numpy as np
import pytest
import SimpleITK
import torch
from nibabel.eulerangles import euler2mat
from scipy import ndimage

from medidiff.errors import ConfigError, DataError
from medidiff.io.nifti import read_nifti, write_nifti
from medidiff.io.resample import iso_grid, resample_mask, resample_to
from medidiff.io.volume import Grid, Volume

SLOPE = np.array([0.7, -0.4, 1.3])
SPREAD = np.array([300.0, 200.0, -150.0])


def grid(shape, spacing, *, angles=(0.0, 0.0, 0.0), centre=(12.0, -30.0, 400.0), shear=0.0):
    affine = np.eye(4)
    affine[:3, :3] = euler2mat(*angles) @ np.diag(spacing)
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def positions(where):
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in where.shape], indexing="ij"), -1)
    return where.positions(indices.reshape(-1, 3)).reshape(*where.shape, 3)


def ramp(where):
    return Volume(((positions(where) - [12.0, -30.0, 400.0]) @ SLOPE).astype(np.float32), where.affine)


def noise(where, seed=0):
    return Volume(np.random.default_rng(seed).normal(size=where.shape).astype(np.float32), where.affine)


PET = grid((40, 36, 30), (-4.1, -4.1, 3.3), angles=(0.1, 0.05, -0.2))
CT = grid((90, 80, 40), (-0.98, -1.1, 2.5), angles=(0.3, -0.2, 0.1))
TILTED = grid((40, 36, 30), (4.1, 4.1, 3.3), angles=(0.1, 0.05, -0.2), shear=0.25)


@pytest.mark.parametrize("source", [PET, TILTED])
@pytest.mark.parametrize("order", [1, 3])
def test_a_ramp_stays_a_ramp_of_patient_position(source, order):
    found = resample_to(ramp(source), CT, order=order, fill=np.nan, antialias=False)
    inside = ~np.isnan(found.array)
    assert inside.mean() > 0.9
    far = resample_to(Volume(np.ones(source.shape), source.affine), CT, fill=0.0).array == 1
    assert np.array_equal(inside, far)
    core = eroded(inside, source) if order == 3 else interior(source, CT)
    assert np.abs(found.array - ramp(CT).array)[core].max() <= 1e-3


def interior(source, target):
    """Target voxels between the outermost voxel centres of the source."""
    to_source = np.linalg.inv(source.affine)
    index = positions(target) @ to_source[:3, :3].T + to_source[:3, 3]
    return ((index >= 0) & (index <= np.array(source.shape) - 1)).all(axis=-1)


def eroded(inside, source):
    return interior(Grid([n - 20 for n in source.shape], source.affine @ shifted(10)), CT) & inside


def shifted(by):
    matrix = np.eye(4)
    matrix[:3, 3] = by
    return matrix


def test_an_antialiased_ramp_stays_a_ramp_away_from_the_border():
    fine, coarse = grid((90, 84, 80), (1.0, 1.0, 1.0), angles=(0.2, 0.1, 0)), grid((12, 12, 12), (4.0, 4.0, 4.0))
    found = resample_to(ramp(fine), coarse, fill=0.0)
    assert np.abs(found.array - ramp(coarse).array).max() <= 1e-3


def test_trilinear_values_equal_those_of_torch():
    source, target = noise(PET), CT
    found = resample_to(source, target, fill=0.0, antialias=False).array
    to_source = np.linalg.inv(PET.affine)
    index = positions(target) @ to_source[:3, :3].T + to_source[:3, 3]
    unit = torch.from_numpy(2 * index / (np.array(PET.shape) - 1) - 1)[None, ..., [2, 1, 0]]
    theirs = torch.nn.functional.grid_sample(
        torch.from_numpy(source.array)[None, None].double(), unit, align_corners=True, padding_mode="border"
    )[0, 0]
    inside = interior(Grid(np.array(PET.shape) + 1, PET.affine @ shifted(-0.5)), target)
    assert inside.any()
    assert not inside.all()
    assert np.abs(found - theirs.numpy())[inside].max() <= 1e-4
    assert (found[~inside] == 0).all()


def test_values_equal_those_of_simpleitk_between_the_voxel_centres(tmp_path):
    source = noise(PET)
    write_nifti(source, tmp_path / "source.nii")
    write_nifti(Volume(np.zeros(CT.shape, np.float32), CT.affine), tmp_path / "target.nii")
    images = [SimpleITK.ReadImage(str(tmp_path / name)) for name in ("source.nii", "target.nii")]
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.Resample(*images, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0)).T
    inside = interior(PET, CT)
    assert np.abs(resample_to(source, CT, fill=0.0).array - theirs)[inside].max() <= 1e-4


def test_a_centre_on_the_face_of_the_outer_voxel_is_inside_and_one_beyond_is_not():
    source = Volume(np.arange(2, 5, dtype=np.float32).reshape(3, 1, 1), np.diag([2.0, 3.0, 4.0, 1.0]))
    target = Grid((6, 1, 1), source.affine @ np.array([[0.5 + 1e-9, 0, 0, -0.5 - 1e-8], *np.eye(4)[1:]]))
    beyond = Grid((2, 1, 1), source.affine @ np.array([[3.02, 0, 0, -0.51], *np.eye(4)[1:]]))
    assert resample_to(source, target, fill=-9).array.ravel() == pytest.approx([2, 2, 2.5, 3, 3.5, 4])
    assert resample_to(source, beyond, fill=-9).array.ravel() == pytest.approx([-9, -9])


def test_the_same_grid_gives_the_same_values():
    assert np.array_equal(resample_to(noise(PET), PET, order=3, fill=0.0).array, noise(PET).array)


def test_slabs_give_what_one_piece_gives(monkeypatch):
    whole = resample_to(noise(PET), CT, fill=-1.0).array
    monkeypatch.setattr("medidiff.io.resample._SLAB_BYTES", 8 * 90 * 80 * 3)
    assert np.array_equal(resample_to(noise(PET), CT, fill=-1.0).array, whole)


def test_nearest_takes_values_that_are_there():
    labels = Volume(np.random.default_rng(1).integers(0, 4, PET.shape).astype(np.uint8), PET.affine)
    assert set(np.unique(resample_to(labels, CT, order=0, fill=0, antialias=False).array)) <= {0, 1, 2, 3}
    with pytest.raises(ConfigError, match="order of resampling is 2, expected 0"):
        resample_to(labels, CT, order=2, fill=0)


def test_antialiasing_keeps_the_mean_and_removes_what_a_coarse_grid_cannot_hold():
    fine, coarse = grid((96, 96, 96), (1.0, 1.0, 1.0)), grid((12, 12, 12), (6.0, 6.0, 6.0))
    source = noise(fine)
    smooth, sharp = (resample_to(source, coarse, fill=0.0, antialias=choice).array for choice in (True, False))
    sigma = np.sqrt(6**2 - 1) / 2  # voxels; white noise keeps 1 / (2 sigma sqrt(pi)) of its standard deviation per axis, squared
    assert smooth.std() == pytest.approx((2 * sigma * np.sqrt(np.pi)) ** -1.5, rel=0.1)
    assert sharp.std() > 0.3


def test_only_the_coarsened_axes_are_smoothed():
    fine = grid((20, 20, 40), (3.0, 3.0, 1.0))
    coarse = grid((20, 20, 10), (3.0, 3.0, 4.0))
    found = resample_to(noise(fine), coarse, fill=0.0).array
    smooth = ndimage.gaussian_filter1d(noise(fine).array, np.sqrt(15) / 2, axis=2, mode="nearest")
    assert np.abs(found - (smooth[:, :, 1::4] + smooth[:, :, 2::4]) / 2).max() < 1e-5


def ball(where, radius, *, centre=(13.1, -29.3, 400.9)):
    return np.linalg.norm(positions(where) - centre, axis=-1) <= radius


@pytest.mark.parametrize("radius_voxels", [4, 6, 8])
def test_a_sphere_loses_through_probabilities_what_linear_interpolation_takes_of_its_curvature(radius_voxels):
    coarse, fine = grid((26, 26, 26), (4.0, 4.0, 4.0), angles=(0.2, 0.1, 0.3)), grid((104, 100, 90), (1.1, 1.1, 1.2))
    radius = 4.0 * radius_voxels
    true_ml = 4 / 3 * np.pi * radius**3 / 1000
    distance = np.linalg.norm(positions(coarse) - [13.1, -29.3, 400.9], axis=-1)
    probability = Volume(np.clip((radius - distance) / 4.0 + 0.5, 0, 1), coarse.affine)  # partial volume of the edge
    found = resample_mask(probability, fine)
    volume_ml = found.array.sum() * fine.voxel_ml
    assert found.array.dtype == np.uint8
    # between voxels h apart the mean error of linear interpolation is h²/12 · curvature, here of the distance: 2/r;
    # the radius shrinks by h²/(6 r) and the volume by h²/(2 r²): 3.1 % at 4 voxels, 0.8 % at 8
    assert volume_ml == pytest.approx(true_ml * (1 - 0.5 / radius_voxels**2), rel=0.002)
    hard = Volume(ball(coarse, radius).astype(np.float32), coarse.affine)
    nearest = resample_to(hard, fine, order=0, fill=0.0).array > 0.5
    assert np.logical_xor(nearest, ball(fine, radius)).sum() > 3 * np.logical_xor(found.array, ball(fine, radius)).sum()


def test_maps_of_several_labels_are_not_taken_for_a_probability():
    with pytest.raises(DataError, match=r"values from 0 to 2, expected 0 to 1.*label == n"):
        resample_mask(Volume(np.full((3, 3, 3), 2.0) * (np.arange(3) > 0), PET.affine), CT)


def test_the_isotropic_grid_covers_the_source_box_and_no_voxel_more():
    cubes = iso_grid(PET, 2.5)
    assert cubes.spacing_mm == (2.5, 2.5, 2.5)
    assert cubes.orientation == "RAS"
    low, high = cubes.corners().min(axis=0), cubes.corners().max(axis=0)
    assert np.allclose(low, PET.corners().min(axis=0))
    assert (high >= PET.corners().max(axis=0) - 1e-5).all()
    assert (high - 2.5 < PET.corners().max(axis=0)).all()
    assert iso_grid(cubes, 2.5).agrees_with(cubes, tolerance_mm=1e-9)


def test_a_tilted_stack_becomes_a_right_angled_one_with_every_point_in_place():
    found = resample_to(ramp(TILTED), iso_grid(TILTED, 4.0), fill=np.nan, antialias=False)
    inside = interior(TILTED, found.grid)
    assert np.abs(found.array - ramp(found.grid).array)[inside].max() <= 1e-3


@pytest.mark.realdata
def test_a_real_pet_on_its_ct_equals_that_of_simpleitk(mirror):
    folder = mirror / "petct_sts/nifti/STS_008"
    ct, pet = (read_nifti(folder / name) for name in ("ct.nii.gz", "pet_suv.nii.gz"))
    images = [SimpleITK.ReadImage(str(folder / name), SimpleITK.sitkFloat32) for name in ("pet_suv.nii.gz", "ct.nii.gz")]
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.Resample(*images, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0)).T
    inside = interior(pet.grid, ct.grid)
    assert inside.mean() > 0.9
    assert np.abs(resample_to(pet, ct.grid, fill=0.0).array - theirs)[inside].max() <= 1e-3
