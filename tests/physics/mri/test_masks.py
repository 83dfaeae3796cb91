"""Masks: the counts of their formulas, the same from the same seed, and centres that are measured."""

import math

import numpy as np
import pytest

from physics.mri.masks import (
    MASKS,
    calibration_width,
    equispaced_fastmri,
    gaussian1d,
    gaussian2d,
    random_fastmri,
    uniform1d,
    uniform1d_dds,
    vd_poisson,
)

SHAPE = (24, 320)
PAIRS = [(4, 0.08), (8, 0.04)]  # acceleration and centre fraction of fastMRI


def lines(sampling):
    """The columns of a mask of lines, after making sure that it is one."""
    assert (sampling.mask == sampling.mask[:1]).all()
    return sampling.mask[0]


@pytest.mark.parametrize("columns", [128, 129, 320])
@pytest.mark.parametrize("acceleration", [2, 4, 3.7])
def test_uniform_lines_are_exactly_as_many_as_asked_for(columns, acceleration):
    sampling = uniform1d((10, columns), acceleration=acceleration, calibration_lines=9, seed=3)
    assert lines(sampling).sum() == round(columns / acceleration)
    assert lines(sampling)[columns // 2 - 4 : columns // 2 + 5].all()
    assert sampling.acceleration == columns / round(columns / acceleration)


def test_lines_of_dds_are_fewer_than_asked_for_because_draws_repeat():
    counts = [lines(uniform1d_dds(SHAPE, acceleration=4, centre_fraction=0.08, seed=seed)).sum() for seed in range(200)]
    draws, width = 80 - 25, 25
    expected = width + (320 - width) * (1 - (1 - 1 / 320) ** draws)
    assert np.mean(counts) == pytest.approx(expected, abs=1)
    assert max(counts) < 80


@pytest.mark.parametrize(("acceleration", "fraction"), PAIRS)
@pytest.mark.parametrize("make", [random_fastmri, equispaced_fastmri])
def test_fastmri_masks_reach_their_acceleration_on_average(make, acceleration, fraction):
    counts = [lines(make(SHAPE, acceleration=acceleration, centre_fraction=fraction, seed=seed)).sum() for seed in range(300)]
    assert np.mean(counts) == pytest.approx(320 / acceleration, rel=0.03)


@pytest.mark.parametrize(("acceleration", "fraction"), PAIRS)
@pytest.mark.parametrize("make", [random_fastmri, equispaced_fastmri])
@pytest.mark.parametrize("columns", [320, 368, 377])
def test_fastmri_masks_hold_the_central_lines_of_the_published_formula(make, acceleration, fraction, columns):
    width = round(columns * fraction)
    first = (columns - width + 1) // 2
    mask = lines(make((4, columns), acceleration=acceleration, centre_fraction=fraction, seed=5))
    assert mask[first : first + width].all()


def test_a_random_line_outside_the_centre_has_the_published_probability():
    seen = np.mean([lines(random_fastmri(SHAPE, acceleration=4, centre_fraction=0.08, seed=seed)) for seed in range(400)], axis=0)
    outside = np.r_[seen[:147], seen[173:]]
    assert outside.mean() == pytest.approx((80 - 26) / (320 - 26), abs=0.005)
    assert outside.std() < 0.03  # the same everywhere


def test_equispaced_lines_keep_the_adjusted_distance():
    mask = lines(equispaced_fastmri(SHAPE, acceleration=4, centre_fraction=0.08, seed=2))
    spacing = 4 * (26 - 320) / (26 * 4 - 320)
    steps = np.diff(np.flatnonzero(mask[:140]))
    assert set(steps) <= {math.floor(spacing), math.ceil(spacing)}


def test_lines_of_a_gaussian_gather_at_the_centre():
    masks = [lines(gaussian1d(SHAPE, acceleration=8, calibration_lines=0, seed=seed)) for seed in range(200)]
    density = np.mean(masks, axis=0)
    draws, std = 1.2 * 320 / 8, 15 * 320 / 128
    place = np.arange(320) + 0.5
    hit = np.exp(-((place - 160) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
    expected = 1 - (1 - hit) ** draws
    assert np.abs(density - expected).mean() < 0.02
    assert sum(mask.sum() for mask in masks) / 200 == pytest.approx(expected.sum(), rel=0.03)


def test_samples_of_a_gaussian_have_its_density_in_both_directions():
    shape = (96, 128)
    mask = np.mean([gaussian2d(shape, acceleration=10, calibration_lines=0, seed=seed).mask for seed in range(60)], axis=0)
    places = [np.arange(size) + 0.5 - size / 2 for size in shape]
    spread = [size * math.sqrt(1.5 / 128) for size in shape]
    row, column = (np.exp(-(place**2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi)) for place, std in zip(places, spread))
    expected = 1 - (1 - np.outer(row, column)) ** int(96 * 128 / 10)
    assert mask.sum() == pytest.approx(expected.sum(), rel=0.02)
    assert np.abs(mask - expected).mean() < 0.02


def test_a_poisson_disc_mask_reaches_its_acceleration_with_its_centre_measured():
    sampling = vd_poisson((64, 72), acceleration=6, calibration_lines=12, seed=1)
    assert sampling.acceleration == pytest.approx(6, abs=0.15)
    assert calibration_width(sampling.mask) >= 12
    middle, edge = sampling.mask[20:44, 24:48].mean(), sampling.mask[:12].mean()
    assert middle > 2 * edge


@pytest.mark.parametrize("name", MASKS)
def test_the_same_seed_gives_the_same_mask_and_another_one_another(name):
    centre = {"centre_fraction": 0.1} if name in ("uniform-dds", "random", "equispaced") else {"calibration_lines": 6}
    make = lambda seed: MASKS[name]((40, 64), acceleration=4, **centre, seed=seed).mask
    assert np.array_equal(make(7), make(7))
    assert any(not np.array_equal(make(7), make(seed)) for seed in (8, 9, 10))


@pytest.mark.parametrize("width", [0, 1, 5, 8, 10])
@pytest.mark.parametrize("columns", [40, 41])
def test_the_measured_centre_is_found(width, columns):
    mask = np.zeros((30, columns), dtype=bool)
    mask[:, ::7] = True
    mask[:, columns // 2 - 6 : columns // 2 + 6] = False
    mask[:, columns // 2 - width // 2 : columns // 2 - width // 2 + width] = True
    assert calibration_width(mask) == width


def test_a_mask_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"30 calibration lines of 25 lines at acceleration 4"):
        uniform1d((10, 100), acceleration=4, calibration_lines=30, seed=0)
    with pytest.raises(ValueError, match=r"acceleration 0\.5"):
        random_fastmri((10, 100), acceleration=0.5, centre_fraction=0.08, seed=0)
    with pytest.raises(ValueError, match="they alone are all lines"):
        equispaced_fastmri((10, 100), acceleration=4, centre_fraction=0.3, seed=0)
    with pytest.raises(ValueError, match="Poisson-disc mask of 16 x 16: found none of acceleration 200"):
        vd_poisson((16, 16), acceleration=200, calibration_lines=8, seed=0)
