import numpy as np
import pytest

from medidiff.phantoms.anatomy import CONTRASTS, GREY_SUV, GREY_WIDTH, draw_anatomy
from medidiff.phantoms.petct import COUNTS_PER_SUV, CT_NOISE_HU, grid_points, make_patient


def test_the_same_seed_makes_the_same_patient_and_another_seed_another(small):
    first, again, other = (make_patient(small(seed=seed)) for seed in (5, 5, 6))
    for name in ("ct", "pet", "truth_ct", "truth_pet", "probability"):
        np.testing.assert_array_equal(getattr(first, name).array, getattr(again, name).array)
        assert (getattr(first, name).array != getattr(other, name).array).any(), name
    assert not np.allclose(first.anatomy.centre, other.anatomy.centre)


def test_noise_changes_neither_anatomy_nor_truth(small):
    noisy, clean = make_patient(small()), make_patient(small(noise=False))
    np.testing.assert_array_equal(noisy.truth_ct.array, clean.truth_ct.array)
    np.testing.assert_array_equal(noisy.annotations[2].array, clean.annotations[2].array)
    np.testing.assert_allclose(clean.pet.array.ravel(), clean.anatomy.uptake(grid_points(clean.pet.grid)))


def test_ct_noise_has_its_standard_deviation_and_pet_noise_the_variance_of_counts(small):
    noisy, clean = make_patient(small()), make_patient(small(noise=False))
    soft = np.abs(clean.ct.array - 40) < 1
    residual = (noisy.ct.array - clean.ct.array)[soft]
    assert abs(residual.std() / CT_NOISE_HU - 1) < 4 / np.sqrt(2 * residual.size) and abs(residual.mean()) < 0.5
    hot = clean.pet.array > 0.5
    ratio = (noisy.pet.array - clean.pet.array)[hot] ** 2 / clean.pet.array[hot] * COUNTS_PER_SUV["default"]
    assert abs(ratio.mean() - 1) < 4 * np.sqrt(2.1 / ratio.size)
    assert noisy.pet.array.min() >= 0


@pytest.mark.parametrize("difficulty", CONTRASTS)
def test_tumours_show_in_both_modalities_and_healthy_pairs_only_in_pet(difficulty):
    for seed in range(8):
        anatomy = draw_anatomy(difficulty, primaries=(1, 1), nodes=(3, 3), generator=np.random.default_rng(seed))
        centres = np.array([lesion.solid.centre for lesion in anatomy.lesions])
        np.testing.assert_allclose(anatomy.hounsfield(centres), 70, atol=0.5)
        pairs = np.array([solid.centre for solid in anatomy.healthy if solid.hu is None])
        if difficulty != "easy":
            assert (anatomy.uptake(pairs) > 1.3).all()
        without = draw_anatomy(difficulty, primaries=(0, 0), nodes=(0, 0), generator=np.random.default_rng(seed))
        np.testing.assert_allclose(without.hounsfield(pairs), 40, atol=0.5)


def test_healthy_pairs_mirror_each_other():
    anatomy = draw_anatomy("hard", primaries=(0, 0), nodes=(0, 0), generator=np.random.default_rng(4))
    middle = np.concatenate([np.random.default_rng(1).uniform([5, -20, -30], [55, 30, 30], size=(500, 3))])
    mirrored = middle * [-1, 1, 1]
    np.testing.assert_allclose(anatomy.uptake(anatomy.centre + middle), anatomy.uptake(anatomy.centre + mirrored), atol=1e-3)


@pytest.mark.parametrize("difficulty", CONTRASTS)
def test_lesions_lie_apart_inside_the_body_and_grey_nodes_have_logistic_odds(difficulty):
    grey = 0
    for seed in range(60):
        anatomy = draw_anatomy(difficulty, primaries=(0, 1), nodes=(0, 3), generator=np.random.default_rng(seed))
        solids = [lesion.solid for lesion in anatomy.lesions]
        for n, solid in enumerate(solids):
            others = solids[:n]
            assert all(np.linalg.norm(solid.centre - o.centre) > max(solid.radii) + max(o.radii) for o in others)
            assert anatomy.healthy[0].radius_fraction(solid.centre[None])[0] < 0.9
        for lesion in anatomy.lesions:
            if lesion.probability < 1:
                grey += 1
                expected = 1 / (1 + np.exp(-(lesion.solid.suv - GREY_SUV) / GREY_WIDTH))
                assert lesion.label == "GTVn" and np.isclose(lesion.probability, expected)
            else:
                low, high = CONTRASTS[difficulty].tumour_suv
                assert low <= lesion.solid.suv <= high
    assert (grey == 0) == (difficulty == "easy")


def test_counts_of_lesions_stay_within_the_settings():
    counts = set()
    for seed in range(40):
        anatomy = draw_anatomy("default", primaries=(0, 1), nodes=(1, 2), generator=np.random.default_rng(seed))
        labels = [lesion.label for lesion in anatomy.lesions]
        counts.add((labels.count("GTVp"), labels.count("GTVn")))
    assert counts == {(0, 1), (0, 2), (1, 1), (1, 2)}


def test_mask_volume_agrees_with_the_ellipsoids(small):
    patient = make_patient(small(difficulty="easy", ct_spacing_mm=(1.5, 1.5, 2.0), ct_matrix=110, ct_slices=60))
    exact = sum(lesion.solid.volume_ml for lesion in patient.anatomy.lesions)
    assert abs((patient.truth_ct.array > 0).sum() * patient.ct.grid.voxel_ml / exact - 1) < 0.02


def test_the_same_point_has_the_same_value_on_turned_and_on_straight_grids(small):
    straight, turned = make_patient(small(noise=False)), make_patient(small(noise=False, turn_deg=(8, -12, 15), tilt_deg=10))
    assert not np.allclose(straight.ct.affine, turned.ct.affine)
    for patient in (straight, turned):
        points = patient.ct.grid.positions(np.array([[31, 30, 9], [20, 33, 4]]))
        np.testing.assert_allclose(patient.ct.array[[31, 20], [30, 33], [9, 4]], patient.anatomy.hounsfield(points), atol=0.1)


def test_tilted_slices_lean_while_the_table_moves_straight_on(small):
    patient = make_patient(small(tilt_deg=12, noise=False))
    down, step = patient.ct.affine[:3, 1], patient.ct.affine[:3, 2]
    np.testing.assert_allclose(step, [0, 0, 7.0], atol=1e-12)
    np.testing.assert_allclose(down / np.linalg.norm(down) @ [0, 0, 1], np.sin(np.deg2rad(12)))
    np.testing.assert_allclose(patient.pet.affine[:3, :3], np.diag([-5.4, -5.2, 5.0]), atol=1e-12)
