import pytest

from physics.chromatography.linearity import loading, verdict


def test_loading_sums_over_the_mixture_and_decides():
    theta0 = float(loading([256.73, 109.28], concentration=[1e-2, 2e-2], capacity=[100.0, 100.0]))
    assert theta0 == pytest.approx((2.5673 + 2.1856) / 100)
    assert [verdict(value) for value in (1e-3, theta0, 0.5)] == ["linear", "warn", "refuse"]


def test_capacity_must_be_positive():
    with pytest.raises(ValueError, match="expected positive"):
        loading([1.0], concentration=[1.0], capacity=[0.0])
