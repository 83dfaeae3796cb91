"""Distance between sets of masks."""

import numpy as np
import pytest

from medidiff.metrics.energy_distance import squared_energy_distance


def bars(*lengths):
    return np.arange(8)[None] < np.array(lengths)[:, None]


def test_a_set_is_no_distance_from_itself_in_any_order():
    masks = np.random.default_rng(0).random((6, 4, 5, 3)) < 0.4
    assert squared_energy_distance(masks, masks[::-1]) == pytest.approx(0, abs=1e-12)


def test_masks_on_paper():
    assert squared_energy_distance(bars(4), bars(8)) == pytest.approx(2 * 0.5)
    # d(4, 4) = 0, d(4, 8) = 1/2: 2 · 1/4 - 0 - (1/2 · 1/2)
    assert squared_energy_distance(bars(4), bars(4, 8)) == pytest.approx(0.25)


def test_two_empty_masks_are_alike_and_an_empty_one_is_as_far_as_can_be():
    assert squared_energy_distance(bars(0), bars(0)) == 0
    assert squared_energy_distance(bars(0), bars(3)) == pytest.approx(2)


def test_it_is_never_negative_and_symmetric():
    rng = np.random.default_rng(1)
    for _ in range(20):
        members, raters = rng.random((5, 12)) < 0.5, rng.random((3, 12)) < 0.3
        found = squared_energy_distance(members, raters)
        assert found > -1e-12
        assert found == pytest.approx(squared_energy_distance(raters, members))


def test_no_rater_is_refused():
    with pytest.raises(ValueError, match="2 members and 0 raters"):
        squared_energy_distance(bars(1, 2), bars(1)[:0])
