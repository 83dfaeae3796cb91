"""Change along z beside that of a reference."""

import math

import numpy as np
import pytest

from medidiff.metrics.roughness import tvz_ratio


def test_a_volume_is_as_rough_as_itself_and_twice_as_rough_when_doubled():
    x = np.random.default_rng(0).normal(size=(5, 4, 3))
    assert tvz_ratio(x, x) == 1
    assert tvz_ratio(2 * x + 7, x) == pytest.approx(2)


def test_only_changes_from_slice_to_slice_count():
    reference = np.arange(4.0)[:, None, None] * np.ones((4, 6, 6))
    rows = np.random.default_rng(1).normal(size=(1, 6, 6))
    assert tvz_ratio(reference + rows, reference) == pytest.approx(1)
    assert math.isnan(tvz_ratio(reference, np.zeros_like(reference)))
