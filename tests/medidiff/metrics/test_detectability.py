"""Detectability of a known structure in noise of known strength."""

import math

import numpy as np
import pytest

from medidiff.metrics.detectability import detectability, kept_share, local_detectability

RNG = np.random.default_rng(2)


def _noise(shape, sigma):
    return sigma * (RNG.normal(size=shape) + 1j * RNG.normal(size=shape))


def _target(amplitude=1.0):
    target = np.zeros((80, 70), complex)
    target[30:34, 20:30] = amplitude * np.exp(1j * np.arange(40).reshape(4, 10))
    return target


def test_the_kept_share_is_linear_in_what_is_kept():
    target = _target()
    assert kept_share(0.3 * target, target) == pytest.approx(0.3) and kept_share(0 * target, target) == 0


def test_d_prime_of_a_matched_filter_in_white_noise_is_the_norm_over_the_noise():
    """Per component: d' = |t| / sigma, here sqrt(40) · 0.25 / 0.2."""
    target = _target(0.25)
    found = [local_detectability(target + _noise((80, 70), 0.2), target, region=np.ones((80, 70), bool)) for _ in range(12)]
    assert np.mean(found) == pytest.approx(math.sqrt(40) * 0.25 / 0.2, rel=0.1)


def test_d_prime_does_not_depend_on_scale():
    target, noise, region = _target(), _noise((80, 70), 0.2), np.ones((80, 70), bool)
    one = local_detectability(target + noise, target, region=region)
    assert local_detectability(1e-3 * (target + noise), 7 * target, region=region) == pytest.approx(one)


def test_a_region_without_room_for_trials_has_no_d_prime():
    region = np.zeros((80, 70), bool)
    region[29:36, 19:32] = True
    assert math.isnan(local_detectability(_target(), _target(), region=region))


def test_d_prime_of_responses_is_that_of_their_normal_distributions():
    present, absent = RNG.normal(3.0, 2.0, 20_000), RNG.normal(0.0, 1.0, 20_000)
    assert detectability(present, absent) == pytest.approx(3 / math.sqrt(2.5), rel=0.03)


def test_responses_that_never_differ_are_not_detected():
    assert detectability(np.zeros(5), np.zeros(5)) == 0 and detectability(np.ones(5), np.zeros(5)) == math.inf
