"""Fitting a temperature where the right one is known."""

import numpy as np
import pytest
from scipy.special import expit, logit

from medidiff.metrics.calibration import reliability
from medidiff.metrics.temperature import fit_temperature, tempered


def patients(sharpness, sizes, seed=0):
    rng = np.random.default_rng(seed)
    true = [rng.normal(0, 2, size) for size in sizes]
    return [sharpness * one for one in true], [rng.random(one.size) < expit(one) for one in true]


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_logits_multiplied_by_a_factor_get_it_back_and_become_calibrated(sharpness):
    logits, truths = patients(sharpness, (40_000, 40_000))
    found = fit_temperature(logits, truths)
    assert found == pytest.approx(sharpness, rel=0.02)
    after = reliability(tempered(np.concatenate(logits), found), np.concatenate(truths)).ece
    assert after < 0.006
    if sharpness != 1:
        assert after < reliability(expit(np.concatenate(logits)), np.concatenate(truths)).ece / 5


def test_one_logit_has_its_temperature_in_closed_form():
    # sigmoid(2 / T) must be 3/4
    found = fit_temperature([np.full(4, 2.0)], [np.array([True, True, True, False])])
    assert found == pytest.approx(2 / logit(0.75), rel=1e-5)


def test_a_small_patient_weighs_as_much_as_a_large_one():
    few = fit_temperature([np.full(4, 2.0), np.full(4, 2.0)], [np.arange(4) < 3, np.arange(4) < 4])
    many = fit_temperature([np.full(4, 2.0), np.full(4000, 2.0)], [np.arange(4) < 3, np.arange(4000) < 4000])
    assert few == pytest.approx(many, rel=1e-5)
    assert few == pytest.approx(2 / logit(7 / 8), rel=1e-5)


def test_order_and_sign_are_kept():
    logits = np.sort(np.random.default_rng(0).normal(0, 5, 100))
    found = tempered(logits, 7.3)
    assert (np.diff(found) > 0).all()
    assert ((found > 0.5) == (logits > 0)).all()


def test_a_perfect_model_is_sharpened_to_the_end_of_the_range():
    assert fit_temperature([np.array([-1.0, 1.0])], [np.array([False, True])]) == pytest.approx(0.01)


def test_what_tells_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one patient"):
        fit_temperature([], [])
    with pytest.raises(ValueError, match="Leave empty patients out"):
        fit_temperature([np.zeros(0)], [np.zeros(0, bool)])
    with pytest.raises(ValueError, match="same truth"):
        fit_temperature([np.ones(3)], [np.ones(3, bool)])
