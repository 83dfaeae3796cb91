"""The challenge's score gives what the challenge published."""

import math

import pytest

from medidiff.metrics.ultrasound_score import challenge_score

WINNER = {"cnr": 1.79, "gcnr": 0.799, "ks_a": 0.098, "ks_b": 0.685, "fid": 64.6, "dice": 0.907, "asd": 1.78}


def test_the_winner_has_the_score_that_was_published():
    assert challenge_score(WINNER).value == pytest.approx(86.55, abs=0.1)


def test_terms_are_cut_at_both_ends():
    best = {"cnr": 9, "gcnr": 1, "ks_a": 0, "ks_b": 1, "fid": 0, "dice": 1, "asd": 0}
    worst = {"cnr": 0, "gcnr": 0, "ks_a": 1, "ks_b": 0, "fid": 500, "dice": 0, "asd": 9}
    assert challenge_score(best).value == pytest.approx(100) and challenge_score(worst).value == 0


def test_without_networks_two_groups_are_partial_and_there_is_no_score():
    found = challenge_score({name: WINNER[name] for name in ("cnr", "gcnr", "ks_a", "ks_b")} | {"fid": math.nan})
    assert math.isnan(found.value) and found.missing == ("fid", "dice", "asd")
    assert found.groups["distributions"].points == pytest.approx(100)
    assert found.groups["quality"].possible == 67 and found.groups["quality"].points == pytest.approx(33 + 34 * 0.299 / 0.3)
    assert found.groups["segmentation"].possible == 0


def test_an_unknown_figure_is_refused():
    with pytest.raises(ValueError, match="found the figures psnr"):
        challenge_score({"psnr": 30.0})
