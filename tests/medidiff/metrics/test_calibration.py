"""Reliability and proper scores against integrals in closed form, and against MONAI."""

import numpy as np
import pytest
import torch
from monai.metrics import CalibrationErrorMetric

from medidiff.metrics.calibration import adaptive_reliability, brier, negative_log_likelihood, reliability


def uniform_world(n, seed=0):
    """q ~ U(0, 1), y ~ Bernoulli(q)."""
    rng = np.random.default_rng(seed)
    q = rng.random(n)
    return q, rng.random(n) < q


def test_a_calibrated_forecast_scores_one_sixth_and_half_a_nat():
    q, y = uniform_world(400_000)
    assert brier(q, y) == pytest.approx(1 / 6, abs=2e-3)  # ∫ q (1 - q)
    assert negative_log_likelihood(q, y) == pytest.approx(1 / 2, abs=3e-3)  # -∫ q ln q + (1 - q) ln(1 - q)


def test_the_error_of_a_calibrated_forecast_falls_as_the_root_of_the_number_of_voxels():
    errors = [np.mean([reliability(*uniform_world(n, seed)).ece for seed in range(20)]) for n in (1_000, 16_000)]
    # E |mean difference| of a bin is sqrt(2/π) times its standard deviation: 15 bins, variance 1/6 on average
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] == pytest.approx(np.sqrt(2 / np.pi / 6 * 15 / 16_000), rel=0.15)


def test_reporting_the_square_is_too_modest_by_one_sixth():
    q, y = uniform_world(400_000)
    diagram = reliability(q**2, y)
    assert diagram.signed_ece == pytest.approx(1 / 6, abs=3e-3)  # ∫ q - q²
    assert diagram.ece == pytest.approx(1 / 6, abs=3e-3)
    assert adaptive_reliability(q**2, y).ace == pytest.approx(1 / 6, abs=3e-3)
    assert reliability(1 - (1 - q) ** 2, y).signed_ece == pytest.approx(-1 / 6, abs=3e-3)


def test_two_bins_on_paper():
    p, y = np.array([0.1, 0.3, 0.3, 0.9]), np.array([0, 0, 1, 1], bool)
    diagram = reliability(p, y, bins=2)
    assert diagram.count.tolist() == [3, 1]
    assert diagram.probability == pytest.approx([0.7 / 3, 0.9])
    assert diagram.frequency == pytest.approx([1 / 3, 1])
    assert diagram.ece == pytest.approx(0.75 * 0.1 + 0.25 * 0.1)
    assert (diagram.ace, diagram.mce) == pytest.approx((0.1, 0.1))
    halves = adaptive_reliability(p, y, bins=2)  # {.1, .3} and {.3, .9}
    assert halves.ace == pytest.approx((0.2 + 0.4) / 2)
    assert halves.mce == pytest.approx(0.4)
    assert brier(p, y) == pytest.approx((0.01 + 0.09 + 0.49 + 0.01) / 4)


def test_certain_and_wrong_costs_the_clipped_logarithm():
    assert negative_log_likelihood(np.array([1.0]), np.array([False])) == pytest.approx(6 * np.log(10))
    assert negative_log_likelihood(np.array([1.0]), np.array([True])) == pytest.approx(1e-6, rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("reduction", "name"), [("expected", "ece"), ("average", "ace"), ("maximum", "mce")])
def test_errors_equal_those_of_monai_on_random_masks(seed, reduction, name):
    q, y = uniform_world(500, seed)
    q, y = (q**1.5).astype(np.float32), y.astype(np.float32)
    metric = CalibrationErrorMetric(num_bins=15, calibration_reduction=reduction)
    metric(torch.from_numpy(q).reshape(1, 1, 10, 10, 5), torch.from_numpy(y).reshape(1, 1, 10, 10, 5))
    assert getattr(reliability(q, y), name) == pytest.approx(metric.aggregate().item(), abs=1e-6)


def test_logits_and_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match="from -2 to 3, expected 0 to 1"):
        reliability(np.array([-2.0, 3.0]), np.array([True, False]))
    with pytest.raises(ValueError, match="2 probabilities and 3 truths"):
        brier(np.zeros(2), np.zeros(3, bool))
    with pytest.raises(ValueError, match="at least one"):
        brier(np.zeros(0), np.zeros(0, bool))
