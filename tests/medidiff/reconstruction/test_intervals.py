"""Intervals from samples: what conformal calibration promises, on volumes drawn alike."""

import json
import math

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.reconstruction.intervals import (
    SHARES,
    Calibration,
    Spread,
    calibrate,
    coverage,
    from_json,
    interval,
    map_name,
    spread,
    to_json,
    volume_scores,
)

FLOOR = 0.5
CONDITIONS = {"method": "nadds", "samples": 4, "views": 20}


def volume(rng: np.random.Generator, size: int = 1500) -> tuple[Spread, np.ndarray]:
    """A spread that is about three times too small, by another factor in every volume, and the truth."""
    std = rng.uniform(0.2, 3, size)
    mean = rng.normal(size=size)
    return Spread(mean, std, 4), mean + rng.uniform(2, 4) * std * rng.standard_t(5, size)


def scores(rng: np.random.Generator) -> tuple[float, ...]:
    found, truth = volume(rng)
    return volume_scores(found, truth, floor=FLOOR, body=np.ones(truth.shape, bool))


def test_a_fresh_volume_is_covered_with_the_probability_that_was_promised():
    rng = np.random.default_rng(0)
    promised, kept, trials = 0.8, 0, 400
    for _ in range(trials):
        calibration = calibrate([scores(rng) for _ in range(9)], floor=FLOOR, conditions=CONDITIONS)
        found, truth = volume(rng)
        low, high = interval(found, calibration, level=promised)
        kept += np.mean((truth >= low) & (truth <= high)) >= promised
    # 9 volumes: rank 8 of 9, so exactly 8 of 10 exchangeable volumes lie below on average
    assert abs(kept / trials - promised) < 3 * math.sqrt(promised * (1 - promised) / trials)


def test_intervals_that_aim_at_voxels_cover_the_level_on_average_and_are_narrower():
    rng = np.random.default_rng(1)
    calibration = calibrate([scores(rng) for _ in range(40)], floor=FLOOR, conditions=CONDITIONS)
    shares = []
    for _ in range(200):
        found, truth = volume(rng)
        shares.append(coverage(found, truth, calibration, body=np.ones(truth.shape, bool))["voxels_90"])
    assert np.mean(shares) == pytest.approx(0.9, abs=0.01)
    assert calibration.scale(0.9, "voxels") < calibration.scale(0.9)


def test_the_scale_is_the_conformal_rank_of_the_volumes_own_quantiles():
    place = SHARES.index(0.9)
    volumes = [tuple(sorted(np.full(len(SHARES), float(k)))) for k in (3, 1, 2, 5, 4, 9, 8, 7, 6, 10)]
    calibration = calibrate(volumes, floor=0, conditions={})
    assert volumes[0][place] == 3
    assert calibration.scale(0.9) == 10  # ceil(11 * .9) = 10
    assert calibration.scale(0.8) == 9  # ceil(11 * .8) = 9
    assert calibration.scale(0.5) == 6  # ceil(11 * .5) = 6
    assert calibration.scale(0.95) == math.inf  # ceil(11 * .95) = 11 of 10


def test_a_volumes_score_is_the_smallest_that_covers_the_share_of_its_body():
    rng = np.random.default_rng(2)
    found, truth = volume(rng, 1001)
    body = rng.random(truth.shape) < 0.7
    q = volume_scores(found, truth, floor=FLOOR, body=body)[SHARES.index(0.9)]
    covered = lambda scale: np.mean(np.abs(truth - found.mean)[body] <= scale * (found.std + FLOOR)[body])
    assert covered(q) >= 0.9 > covered(q * (1 - 1e-9))


def test_too_few_volumes_for_a_level_are_refused_with_how_many_it_takes():
    calibration = calibrate([scores(np.random.default_rng(3))] * 5, floor=FLOOR, conditions=CONDITIONS)
    found, _ = volume(np.random.default_rng(4))
    with pytest.raises(DataError, match="found 5 calibration volumes, expected 9 or more"):
        interval(found, calibration, level=0.9)
    with pytest.raises(DataError, match=r"expected a multiple of 0\.005"):
        interval(found, calibration, level=0.9012)


def test_the_map_is_called_uncertainty_only_after_calibration_under_the_same_conditions():
    calibration = calibrate([scores(np.random.default_rng(5))], floor=FLOOR, conditions=CONDITIONS)
    assert map_name(None, CONDITIONS) == "sample spread"
    assert map_name(calibration, CONDITIONS | {"views": 8}) == "sample spread"
    assert map_name(calibration, dict(CONDITIONS)) == "uncertainty"
    assert calibration.differences(CONDITIONS | {"views": 8}) == ["views: calibrated for 20, found 8"]


def test_the_file_gives_the_same_calibration_back_and_equal_text():
    calibration = calibrate([scores(np.random.default_rng(k)) for k in range(3)], floor=FLOOR, conditions=CONDITIONS)
    again = from_json(to_json(calibration), name="calibration.json")
    assert again == calibration
    assert to_json(again) == to_json(calibration)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "other"}, "format 'other'"),
        ({"scores": [[1.0, 2.0]]}, r"scores of shape \(1, 2\)"),
        ({"scores": [[2.0] * (len(SHARES) - 1) + [1.0]]}, "rising finite"),
        ({"floor": -1}, "floor -1"),
        ({"conditions": None}, "not a calibration"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused(change, match):
    good = json.loads(to_json(Calibration({}, 0.0, (tuple(SHARES),))))
    with pytest.raises(DataError, match=match):
        from_json(json.dumps(good | change), name="calibration.json")
    with pytest.raises(DataError, match=r"calibration\.json: not a calibration"):
        from_json("{", name="calibration.json")


def test_the_report_tells_raw_and_calibrated_coverage_apart():
    rng = np.random.default_rng(6)
    calibration = calibrate([scores(rng) for _ in range(40)], floor=FLOOR, conditions=CONDITIONS)
    found, truth = volume(rng, 20000)
    report = coverage(found, truth, calibration, body=np.ones(truth.shape, bool))
    assert report["raw_90"] < 0.65 < 0.85 < report["volumes_90"]
    assert 1.5 < report["too_sure"] < 6
    assert report["correlation"] > 0.3
    assert report["width_90"] == pytest.approx(2 * calibration.scale(0.9) * (found.std.mean() + FLOOR))


def test_raw_coverage_of_normal_errors_with_the_right_spread_is_nominal():
    rng = np.random.default_rng(7)
    found = Spread(np.zeros(40000), np.full(40000, 2.0), 8)
    report = coverage(found, 2 * rng.normal(size=40000), None, body=np.ones(40000, bool))
    for percent in (50, 80, 90, 95):
        assert report[f"raw_{percent}"] == pytest.approx(percent / 100, abs=0.01)
    assert "volumes_90" not in report
    assert report["correlation"] is None


def test_the_spread_is_that_of_independent_samples():
    samples = np.random.default_rng(8).normal(3, 2, (400, 50)).astype(np.float32)
    found = spread(samples)
    assert np.allclose(found.mean, 3, atol=0.5)
    assert np.mean(found.std**2) == pytest.approx(4, rel=0.03)
    with pytest.raises(DataError, match="found 1, expected 2 or more"):
        spread(samples[:1])
