"""The insert/remove test tells solvers that keep lesions from those that erase or paint them."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import norm

from medidiff.phantoms.chest import ChestPhantom, make_chest
from medidiff.reconstruction.lesion_test import Pair, lesion_test, respond


def pairs(count: int, contrast: float = 100.0) -> list[Pair]:
    rng = np.random.default_rng(0)
    found = []
    for seed in range(count):
        absent = 5 * rng.normal(size=(12, 20, 20))
        mask = np.zeros(absent.shape, bool)
        z, y, x = rng.integers(4, [8, 16, 16])
        mask[z - 1 : z + 2, y - 2 : y + 2, x - 2 : x + 2] = True
        found.append(Pair(absent + contrast * mask, absent, mask, contrast, seed))
    return found


def outcome(solver, count=24, contrast=100.0):
    some = pairs(count, contrast)
    return lesion_test(some, [respond(pair, solver) for pair in some])


def noise(seed: int, strength: float) -> np.ndarray:
    return strength * np.random.default_rng([9, seed]).normal(size=(12, 20, 20))


def test_a_perfect_solver_finds_every_lesion_and_keeps_its_contrast():
    found = outcome(lambda volume, seed: volume)
    assert found.auc == 1
    assert found.recovery == found.low == found.high == pytest.approx(1)
    assert found.painted < 0.1


def test_a_solver_that_erases_lesions_finds_none_of_them():
    prior = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(12, 20, 20)), 1)
    found = outcome(lambda volume, seed: prior + noise(seed, 10))
    assert found.auc == pytest.approx(0.5)
    assert found.recovery == 0


def test_the_same_noise_of_both_volumes_leaves_no_trace_in_the_recovery():
    found = outcome(lambda volume, seed: 0.7 * volume + noise(seed, 300))
    assert (found.low, found.high) == (pytest.approx(0.7), pytest.approx(0.7))
    assert 0.5 < found.auc < 1


def test_the_area_is_that_of_two_normal_populations():
    some = pairs(400, 20.0)
    found = lesion_test(some, [respond(pair, lambda volume, seed: volume) for pair in some])
    present = np.array([respond(pair, lambda volume, seed: volume).present for pair in some])
    assert found.auc == pytest.approx(norm.cdf(20 / (np.sqrt(2) * present.std())), abs=0.02)


def test_a_solver_that_paints_lesions_everywhere_is_seen_to():
    some = pairs(8)

    def solver(volume, seed):
        return volume + 90 * some[seed].mask

    found = lesion_test(some, [respond(pair, solver) for pair in some])
    assert found.painted > 0.85


def test_dark_lesions_count_as_bright_ones_do():
    found = outcome(lambda volume, seed: 0.5 * volume, contrast=-80.0)
    assert found.auc == 1
    assert found.recovery == pytest.approx(0.5)


def test_pairs_come_from_a_chest_and_its_lesions():
    chest = make_chest(ChestPhantom(seed=2, lesions=1, slices=16, rows=32, columns=32, pixel_mm=12, slice_mm=12))
    present, absent, mask = chest.hounsfield(), chest.without_lesions().hounsfield(), chest.lesion_mask(0)
    pair = Pair(present, absent, mask, float((present - absent)[mask].mean()), seed=0)
    assert respond(pair, lambda volume, seed: volume).recovery == pytest.approx(1)
