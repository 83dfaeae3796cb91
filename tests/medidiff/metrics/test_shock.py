import numpy as np
import pytest

from medidiff.metrics.shock import shock_metrics, shock_position, shock_width, total_variation

X = np.arange(64)


def _front(place, width):
    return -np.tanh((X - place) / width)


@pytest.mark.parametrize("place", [20.0, 20.3, 30.5, 41.9])
def test_a_front_is_found_to_a_twentieth_of_a_cell(place):
    assert shock_position(_front(place, 3.0)) == pytest.approx(place, abs=0.05)


def test_a_sharp_jump_stands_between_its_cells():
    assert shock_position(np.where(X < 10, 1.0, 0.0)) == pytest.approx(9.5)
    assert shock_width(np.where(X < 10, 1.0, 0.0)) == pytest.approx(1.0)


def test_the_width_of_a_tangent_front_is_twice_its_scale():
    assert shock_width(_front(31.5, 4.0)) == pytest.approx(8.0, rel=0.01)


def test_total_variation_of_a_bump_counts_both_sides():
    assert total_variation(np.exp(-(((X - 32) / 6.0) ** 2))) == pytest.approx(2.0, abs=1e-6)


def test_shift_smear_and_wiggles_are_told_apart():
    target = np.stack([_front(place, 2.0) for place in (20.2, 30.7)])[:, None, None]
    shifted = np.stack([_front(place + 1.5, 2.0) for place in (20.2, 30.7)])[:, None, None]
    smeared = np.stack([_front(place, 4.0) for place in (20.2, 30.7)])[:, None, None]
    wiggly = target + 0.2 * (-1.0) ** X
    assert shock_metrics(shifted, target)["shock_position_cells"] == pytest.approx(1.5, abs=0.1)
    assert shock_metrics(smeared, target)["shock_width_ratio"] == pytest.approx(2.0, rel=0.1)
    assert shock_metrics(wiggly, target)["variation_ratio"] > 3
    assert shock_metrics(target, target) == {"shock_position_cells": 0, "shock_width_ratio": 1, "variation_ratio": 1}
