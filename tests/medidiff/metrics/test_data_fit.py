"""Residual and chi-square."""

import math

import numpy as np
import pytest
import torch

from medidiff.metrics.data_fit import chi2, residual
from physics.ct.noise import count_photons, line_integrals, whitening_weights


def test_chi_square_of_the_truth_is_one_within_three_standard_deviations():
    rng = np.random.default_rng(0)
    true, std = rng.uniform(0, 3, 20000), rng.uniform(0.01, 0.2, 20000)
    assert abs(chi2(true, true + std * rng.normal(size=20000), 1 / std**2) - 1) < 3 * math.sqrt(2 / 20000)


def test_chi_square_of_the_truth_is_one_for_counted_photons():
    true = torch.rand(40000, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3
    counts = count_photons(true, photons=2e4, generator=torch.Generator().manual_seed(2), electronic_std=5.0)
    measured, weights = line_integrals(counts, photons=2e4), whitening_weights(counts, electronic_std=5.0)
    # weights come from the counts themselves, which shifts chi-square by a few per thousand at this dose
    assert abs(chi2(true.numpy(), measured.numpy(), weights.numpy()) - 1) < 3 * math.sqrt(2 / 40000) + 0.005


def test_chi_square_of_the_truth_is_one_for_complex_noise():
    rng = np.random.default_rng(3)
    noise = 0.3 * (rng.normal(size=30000) + 1j * rng.normal(size=30000))
    assert abs(chi2(np.zeros(30000), noise, 1 / (2 * 0.3**2)) - 1) < 3 / math.sqrt(30000)


def test_what_was_not_measured_does_not_count():
    measured, weights = np.array([1.0, 1e6]), np.array([4.0, 0.0])
    assert chi2(np.zeros(2), measured, weights) == 4
    assert math.isnan(chi2(np.zeros(2), measured, np.zeros(2)))


def test_the_residual_is_relative_to_the_measurements():
    measured = np.array([[3.0, 4j]])
    assert residual(0.9 * measured, measured) == pytest.approx(0.1)
    assert math.isnan(residual(np.ones(2), np.zeros(2)))
