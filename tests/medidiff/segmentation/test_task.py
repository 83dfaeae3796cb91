"""Lesions of PET/CT studies: known spheres, and real patients against published figures."""

import numpy as np
import pytest
from nibabel.eulerangles import euler2mat

from medidiff.errors import ConfigError, DataError
from medidiff.io.nifti import read_nifti
from medidiff.io.volume import Volume
from medidiff.metrics.overlap import dice
from medidiff.segmentation.settings import SegmentSettings
from medidiff.segmentation.task import DEFAULTS, segment
from medidiff.segmentation.thresholds import above_fraction, above_suv, largest_component
from medidiff.segmentation.uptake import measure_uptake
from medidiff.segmentation.watershed import flood_lesions, gradient_magnitude

VALIDATION = [f"STS_{number:03}" for number in (4, 11, 19, 26, 34, 41, 49)]


def affine(spacing, *, centre=(0.0, 0.0, 0.0), shape=(0, 0, 0)):
    """An oblique affine that puts the middle of a grid at a point, RAS mm."""
    result = np.eye(4)
    result[:3, :3] = euler2mat(0.2, 0.1, -0.3) @ np.diag(spacing)
    result[:3, 3] = centre - result[:3, :3] @ ((np.array(shape) - 1) / 2)
    return result


def positions(volume):
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in volume.array.shape], indexing="ij"), -1)
    return volume.grid.positions(indices.reshape(-1, 3)).reshape(*volume.array.shape, 3)


def study(*, radius_mm=18.0, suv=8.0, blur_mm=3.0, background=0.8):
    """CT and PET of a hot sphere around the origin with a blurred edge, on two oblique grids."""
    ct_shape, pet_shape = (90, 80, 50), (40, 38, 36)
    ct = Volume(np.full(ct_shape, -1000.0, np.float32), affine((2.0, 2.0, 3.0), shape=ct_shape))
    ct.array[20:70, 20:60] = 40
    pet = Volume(np.zeros(pet_shape, np.float32), affine((4.0, 4.0, 3.3), shape=pet_shape))
    distance = np.linalg.norm(positions(pet), axis=-1)
    pet.array[:] = background + (suv - background) / (1 + np.exp((distance - radius_mm) / blur_mm))
    return ct, pet


def sphere_ml(radius_mm):
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def test_a_fixed_threshold_finds_the_sphere_whose_edge_has_that_uptake():
    ct, pet = study()
    radius = 18.0 + 3.0 * np.log((8.0 - 0.8) / (4.0 - 0.8) - 1)
    found = segment(ct, pet, method="suv4")
    assert found.numbers["volume_ml"] == pytest.approx(sphere_ml(radius), rel=0.03)
    assert found.mask.array.dtype == np.uint8
    assert found.warnings == ()


def test_the_mask_of_the_ct_grid_lies_at_the_same_place():
    ct, pet = study()
    on_pet, on_ct = (segment(ct, pet, method="suv4", settings=SegmentSettings(grid=grid)) for grid in ("pet", "ct"))
    assert on_ct.mask.grid.agrees_with(ct.grid)
    assert on_ct.numbers["volume_ml"] == pytest.approx(on_pet.numbers["volume_ml"], rel=0.02)
    assert on_ct.numbers["mtv_ml"] == on_pet.numbers["mtv_ml"]
    for found in (on_pet, on_ct):
        assert np.abs(positions(found.mask)[found.mask.array > 0].mean(axis=0)).max() < 0.1


def test_the_watershed_ends_where_the_uptake_changes_most_however_hot_the_lesion():
    parameters = {**DEFAULTS.watershed.model_dump(), "seed_fraction": 0.7, "smoothing_mm": 0.0}
    for suv in (6.0, 12.0, 30.0):
        _, pet = study(blur_mm=2.0, suv=suv)
        volume_ml = flood_lesions(pet, **parameters).sum() * pet.grid.voxel_ml
        assert volume_ml == pytest.approx(sphere_ml(18.0), rel=0.1)  # SUV > 2.5 would give 25 to 125 % more


def test_each_hot_part_is_marked_by_its_own_maximum():
    (_, hot), (_, warm) = study(suv=20.0, radius_mm=10.0), study(suv=4.0, radius_mm=10.0)
    both = np.concatenate([hot.array, warm.array])
    found = flood_lesions(Volume(both, hot.affine), **DEFAULTS.watershed.model_dump())
    assert found[: len(hot.array)].any()
    assert found[len(hot.array) :].any()


def test_the_gradient_of_a_ramp_is_its_slope_on_a_sheared_grid():
    slope = np.array([0.3, -0.2, 0.05])
    skewed = affine((1.0, 2.0, 4.0))
    skewed[:3, 2] += 0.7 * skewed[:3, 0]
    ramp = Volume(np.zeros((6, 7, 8)), skewed)
    assert np.allclose(gradient_magnitude(positions(ramp) @ slope, skewed), np.linalg.norm(slope))


def test_percent_of_the_maximum_keeps_the_largest_part_only():
    pet = np.zeros((12, 4, 4), np.float32)
    pet[1:4, 1, 1], pet[6:11, 1, 1], pet[11, 2, 2] = 10.0, 5.0, 4.2
    ct = Volume(np.full((12, 4, 4), -50.0), affine((3.0, 3.0, 3.0)))
    found = segment(ct, ct.with_array(pet), method="percent41").mask.array
    assert np.array_equal(np.argwhere(found)[:, 0], [6, 7, 8, 9, 10, 11])  # the last touches by a corner
    assert segment(ct, ct.with_array(pet), method="percent60").mask.array.sum() == 3


def test_thresholds_of_an_empty_volume_are_empty():
    zeros = np.zeros((3, 4, 5), np.float32)
    assert not above_suv(zeros, 2.5).any()
    assert not above_fraction(zeros, 0.41).any()
    assert not above_fraction(zeros - 1, 0.41).any()
    assert not largest_component(zeros > 0).any()
    assert not flood_lesions(Volume(zeros, affine((3, 3, 3))), **DEFAULTS.watershed.model_dump()).any()


def test_peak_of_one_hot_voxel_is_shared_by_the_voxels_of_a_cubic_centimetre():
    pet = Volume(np.zeros((9, 9, 9)), affine((4.0, 4.0, 4.0)))
    pet.array[4, 4, 4] = 38.0
    numbers = measure_uptake(pet, pet.array > 0)  # 6.2 mm around: the voxel, 6 by faces, 12 by edges, no corner
    assert numbers["suv_peak"] == pytest.approx(38.0 / 19)
    assert numbers["tlg"] == pytest.approx(38.0 * 0.064)
    assert numbers["suv_max"] == numbers["suv_mean"] == 38.0


def test_peak_at_the_edge_of_the_volume_is_a_mean_of_what_is_there():
    pet = Volume(np.full((3, 3, 3), 7.0), affine((4.0, 4.0, 4.0)))
    assert measure_uptake(pet, pet.array > 0)["suv_peak"] == pytest.approx(7.0)


def test_lesions_that_touch_by_a_corner_are_one():
    mask = np.zeros((6, 6, 6), bool)
    mask[1, 1, 1] = mask[2, 2, 2] = mask[5, 5, 5] = True
    assert measure_uptake(Volume(mask.astype(float), affine((2, 2, 2))), mask)["lesions"] == 2


def test_an_empty_pet_gives_an_empty_mask_and_two_warnings():
    ct, pet = study()
    found = segment(ct, pet.with_array(np.zeros_like(pet.array)), method="suv2.5")
    assert found.mask.array.sum() == 0
    assert found.numbers == {
        "volume_ml": 0,
        "mtv_ml": 0,
        "suv_max": None,
        "suv_mean": None,
        "suv_peak": None,
        "tlg": 0,
        "lesions": 0,
    }
    assert [text.split(":")[0] for text in found.warnings] == ["The PET is empty", "suv2.5 finds no lesion"]


def test_a_mask_that_shrinks_on_the_ct_grid_is_reported():
    ct, pet = study(radius_mm=0, background=0.0)
    pet.array[::4, ::4, ::4] = 3.0
    found = segment(ct, pet, method="suv2", settings=SegmentSettings(grid="ct"))
    assert any("small parts were lost" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ct, pet: (ct, pet.with_array(pet.array * 4000)), "never converted"),
        (lambda ct, pet: (ct, pet.with_array(pet.array / 100)), "is it another unit"),
        (lambda ct, pet: (pet, ct), "PET and CT swapped"),
        (lambda ct, pet: (ct.with_array(ct.array + 1024), pet), "rescale missing"),
        (lambda ct, pet: tuple(Volume(v.array, np.diag([0.1, 0.1, 0.1, 1]) @ v.affine) for v in (ct, pet)), "in centimetres"),
    ],
)
def test_doubtful_inputs_are_worked_on_with_a_warning(change, message):
    found = segment(*change(*study()), method="suv2.5")
    assert any(message in text for text in found.warnings), found.warnings


def test_a_ct_of_another_place_is_refused():
    ct, pet = study()
    elsewhere = ct.affine.copy()
    elsewhere[2, 3] += 120
    with pytest.raises(DataError, match=r"the CT covers \d+ % of the PET along one axis, expected at least 50 %"):
        segment(Volume(ct.array, elsewhere), pet, method="suv2")


def test_an_unknown_method_is_a_config_error():
    with pytest.raises(ConfigError, match="unknown method 'magic'"):
        segment(*study(), method="magic")


def real_case(folder):
    names = ("ct", "pet_suv", "gtv_pet") if folder.parent.name == "nifti" else ("CT_image", "PET_image", "PET_mask")
    ct, pet, truth = (read_nifti(folder / f"{name}.nii.gz") for name in names)
    return ct, pet, truth.array > 0


@pytest.mark.realdata
def test_published_dice_of_seven_patients_is_reproduced(mirror):
    rows = []
    for study_name in VALIDATION:
        ct, pet, truth = real_case(mirror / "petct_sts/nifti" / study_name)
        masks = [segment(ct, pet, method=method).mask.array > 0 for method in ("suv2", "suv2.5", "percent41")]
        masks.append(above_fraction(pet.array, 0.41))  # the published 41 % has no largest component
        rows.append([dice(mask, truth) for mask in masks])
    assert np.mean(rows, axis=0) == pytest.approx([0.442, 0.360, 0.286, 0.288], abs=1e-3)


@pytest.mark.realdata
@pytest.mark.parametrize("study_name", ["STS_002", "STS_008", "STS_019"])
def test_native_and_reduced_files_give_one_mask_on_the_pet_grid(mirror, study_name):
    native, reduced = (real_case(mirror / "petct_sts" / kind / study_name) for kind in ("nifti_native", "nifti"))
    for method in DEFAULTS.methods:
        masks = [segment(ct, pet, method=method).mask.array > 0 for ct, pet, _ in (native, reduced)]
        assert dice(*masks) > 0.999  # the reduced PET is stored in 16 bits
    assert np.array_equal(native[2], reduced[2])


@pytest.mark.realdata
def test_dice_of_three_patients_at_the_native_grid(mirror):
    expected = {"STS_002": (0.392, 0.496, 0.584), "STS_008": (0.752, 0.723, 0.413), "STS_019": (0.424, 0.527, 0.637)}
    for study_name, values in expected.items():
        ct, pet, truth = real_case(mirror / "petct_sts/nifti_native" / study_name)
        found = [dice(segment(ct, pet, method=method).mask.array > 0, truth) for method in ("suv2", "suv2.5", "suv4")]
        assert found == pytest.approx(values, abs=1e-3)
