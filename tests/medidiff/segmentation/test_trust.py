"""The traffic light, the reasons for it, and what a card promises."""

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from medidiff.metrics.calibration import reliability
from medidiff.segmentation.calibration import Calibration, fit_calibration, near, tempered_probability, volume_interval
from medidiff.segmentation.familiarity import features, ranges, strange
from medidiff.segmentation.trust import Evidence, judge

GOOD = {"volume_ml": 40.0, "baseline_dice": 0.7, "volume_gap": 0.05, "volume_low_ml": 38.0, "volume_high_ml": 42.0}


def test_a_mask_against_which_nothing_speaks_is_green_and_has_no_reason():
    assert judge(Evidence(**GOOD)).colour == "green" and judge(Evidence(**GOOD)).reasons == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"strange": ("Unlike the training's: cold.",)}, "Unlike the training's"),
        ({"baseline_dice": 0.2}, "hardly agrees with a watershed"),
        ({"volume_gap": -0.25}, "-25 % from the one-step answer"),
        ({"volume_low_ml": 20.0, "volume_high_ml": 60.0}, "from 20 to 60 ml"),
        ({"volume_ml": 0.0}, "The mask is empty"),
    ],
)
def test_each_doubt_makes_it_yellow_and_is_told(changes, reason):
    light = judge(Evidence(**GOOD | changes))
    assert light.colour == "yellow" and len(light.reasons) == 1 and reason in light.reasons[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"implausible": ("The PET is empty: no voxel is above 0.",)}, "The PET is empty"),
        ({"baseline_dice": 0.02}, "show different things"),
        ({"volume_gap": 0.45, "is_one_step": True}, r"drifted by +45 % in volume"),
    ],
)
def test_what_rules_a_mask_out_makes_it_red(changes, reason):
    light = judge(Evidence(**GOOD | changes))
    assert light.colour == "red" and len(light.reasons) == 1 and reason in light.reasons[0]


def test_three_doubts_are_red_together():
    light = judge(Evidence(**GOOD | {"baseline_dice": 0.2, "volume_gap": 0.25, "volume_low_ml": 20.0, "volume_high_ml": 60.0}))
    assert light.colour == "red" and len(light.reasons) == 3


def test_a_method_that_cannot_say_is_not_doubted_for_it():
    assert judge(Evidence(volume_ml=3.0)).colour == "green"


def channels(ct, pet):
    """A body of one CT value and one PET value in air, with noise from a fixed seed."""
    found = np.full((2, 12, 11, 10), -1.0, np.float32)
    noise = 0.02 * np.random.default_rng(0).normal(size=(2, 8, 8, 8))
    found[:, 2:10, 2:10, 1:9] = np.array([ct, pet])[:, None, None, None] + noise
    return found


def test_features_are_those_of_the_body_and_a_study_of_another_kind_is_strange():
    known = ranges(features(channels(ct, pet), ("ct", "pet")) for ct, pet in ((0.1, -0.6), (0.2, -0.5)))
    low, high = known["ct mean"]
    assert low == pytest.approx(0.1, abs=0.01) and high == pytest.approx(0.2, abs=0.01)
    assert not [text for text in strange(features(channels(0.15, -0.55), ("ct", "pet")), known) if "mean" in text]
    found = list(strange(features(channels(0.15, 0.6), ("ct", "pet")), known))
    assert any("mean of the PET is 0.60" in text for text in found) and not any("mean of the CT" in text for text in found)
    assert not list(strange({"pet mean": 5.0}, {}))


def test_an_empty_channel_has_features_all_the_same():
    found = features(np.full((1, 3, 3, 3), -1.0, np.float32), ("pet",))
    assert found == {"pet mean": -1.0, "pet spread": 0.0, "pet top": -1.0}


def test_the_temperature_keeps_one_half_and_the_order_and_is_found_again():
    p = np.linspace(0.01, 0.99, 99)
    softer = tempered_probability(p, 2.0)
    np.testing.assert_allclose(softer, expit(logit(p) / 2.0), rtol=1e-5)
    assert softer[49] == pytest.approx(0.5) and (np.diff(softer) > 0).all()
    assert tempered_probability(p, 1.0).dtype == np.float32

    generator = np.random.default_rng(1)
    true = [expit(generator.normal(0, 1.5, (20, 20, 20))) for _ in range(12)]
    truths = [generator.random(one.shape) < one for one in true]
    too_sure = [expit(2.5 * logit(one)) for one in true]
    domains = [np.ones((20, 20, 20), bool)] * 12
    temperature, ratio = fit_calibration(too_sure, truths, domains)
    assert temperature == pytest.approx(2.5, rel=0.05) and ratio >= 1
    before, after = (reliability(p, truths[0]).ece for p in (too_sure[0], tempered_probability(too_sure[0], temperature)))
    assert after < before / 3


def test_the_ratio_is_the_order_statistic_that_keeps_the_promise_and_few_patients_promise_nothing():
    truths, found = [], []
    for count in range(1, 10):  # volumes 100 against 100 + 10 count
        truth, mask = np.zeros(400, bool), np.zeros(400)
        truth[:100], mask[: 100 + 10 * count] = True, 0.9
        truths.append(truth), found.append(mask)
    domains = [np.ones(400, bool)] * 9
    assert fit_calibration(found, truths, domains)[1] == pytest.approx(1.9)  # rank 9 of 9
    assert fit_calibration(found, truths, domains, level=0.5)[1] == pytest.approx(1.5)  # rank 5
    assert fit_calibration(found[:8], truths[:8], domains[:8])[1] is None
    empty = [np.zeros(400), *found[1:]]
    assert fit_calibration(empty, truths, domains)[1] is None  # a missed lesion is beyond any ratio


def test_volumes_are_promised_only_by_cards_that_do():
    assert volume_interval(30.0, 1.5) == pytest.approx((20.0, 45.0))
    assert volume_interval(30.0, None) is None and Calibration().temperature == 1.0


def test_the_domain_is_what_lies_near_lesion_or_answer():
    truth, p = np.zeros((21, 21, 21), bool), np.zeros((21, 21, 21))
    truth[10, 10, 10], p[2, 10, 10] = True, 0.06
    domain = near(p, truth, (5.0, 4.0, 3.0))
    assert domain[12, 10, 10] and not domain[13, 10, 10] and domain[4, 10, 10] and domain[10, 10, 13]
    assert not domain[10, 10, 14] and math.isclose(domain.mean(), domain.sum() / 21**3)
