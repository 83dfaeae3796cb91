"""The promise of conformal risk control, by simulation and on paper."""

import numpy as np
import pytest

from medidiff.metrics.conformal import conformal_threshold, missed_share


def test_the_missed_share_counts_true_voxels_below_the_threshold():
    p, y = np.array([[0.1, 0.5], [0.9, 0.95]]), np.array([[True, True], [True, False]])
    assert missed_share(p, y, np.array([0.0, 0.1, 0.11, 0.5, 0.6, 0.99])) == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert missed_share(p, np.zeros_like(y), np.array([0.0, 1.0])).tolist() == [0, 0]


def test_nine_patients_on_paper():
    thresholds = np.array([0.1, 0.2, 0.3])
    risks = np.zeros((9, 3))
    risks[:, 1], risks[:, 2] = 1 / 9, 0.5
    # (9 · 1/9 + 1) / 10 = 0.2 at 0.2, 0.55 at 0.3
    assert conformal_threshold(risks, thresholds, level=0.2) == 0.2
    assert conformal_threshold(risks, thresholds, level=0.19) == 0.1
    assert conformal_threshold(risks, thresholds, level=0.55) == 0.3


def test_nine_patients_just_suffice_for_ten_percent_and_eight_do_not():
    assert conformal_threshold(np.zeros((9, 1)), np.array([0.5]), level=0.1) == 0.5
    with pytest.raises(ValueError, match=r"found 8 calibration patients, expected at least 9 for a level of 0\.1"):
        conformal_threshold(np.zeros((8, 1)), np.array([0.5]), level=0.1)


def test_where_no_threshold_qualifies_the_whole_volume_is_not_returned():
    with pytest.raises(ValueError, match=r"no threshold keeps .* reaches 0.550 with 19 patients"):
        conformal_threshold(np.full((19, 1), 10 / 19), np.array([0.5]), level=0.1)


def test_risks_that_fall_are_refused():
    with pytest.raises(ValueError, match="growing order"):
        conformal_threshold(np.array([[1.0, 0.0]] * 20), np.array([0.1, 0.2]))


@pytest.mark.parametrize(("n", "level"), [(40, 0.2), (60, 0.1)])
def test_new_patients_lose_no_more_than_promised_and_not_much_less(n, level):
    """Exchangeable cohorts: each patient misses threshold^a of the tumour, a its own."""
    rng = np.random.default_rng(n)
    thresholds = np.linspace(0, 1, 201)
    power = rng.lognormal(0.5, 0.6, (2000, n + 1))
    lost = []
    for cohort in power:
        chosen = conformal_threshold(thresholds ** cohort[:n, None], thresholds, level=level)
        lost.append(chosen ** cohort[n])
    error = np.std(lost) / np.sqrt(len(lost))
    assert np.mean(lost) <= level + 2 * error
    assert np.mean(lost) >= level - 2 / (n + 1)
