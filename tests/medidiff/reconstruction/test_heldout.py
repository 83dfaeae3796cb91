import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medidiff.errors import DataError
from medidiff.reconstruction.heldout import MARGIN, choose, judge, split, spread
from medidiff.reconstruction.operators import ct_scan

WINDOW = (-1000.0, 1000.0)


@given(size=st.integers(2, 200), share=st.floats(0.01, 1.0), seed=st.integers(0, 10_000))
def test_hidden_views_are_distinct_and_never_neighbours(size, share, seed):
    wanted = max(1, int(share * size))
    chosen = spread(size, wanted, seed=seed)
    assert len(set(chosen)) == len(chosen) == min(wanted, size // 2)
    assert set(chosen) <= set(range(size))
    if len(chosen) > 1:
        assert not {(place + 1) % size for place in chosen} & set(chosen)


def test_every_view_is_hidden_by_some_seed():
    assert {place for seed in range(60) for place in spread(9, 2, seed=seed)} == set(range(9))


def test_a_split_parts_the_views_and_neither_part_knows_the_other(measure, hu, window_units):
    scan = ct_scan(measure(hu, views=20), WINDOW)
    parts = split(scan, share=0.1, seed=0)
    assert (parts.fit.operator.range[1], parts.held.operator.range[1]) == (18, 2)
    views = parts.fit.operator.operator.angles_rad, parts.held.operator.operator.angles_rad
    assert sorted(views[0] + views[1]) == sorted(scan.operator.operator.angles_rad)
    for part in (parts.fit, parts.held):
        assert part.misfit(window_units(hu)) < 1e-4
        assert part.operator.norm == pytest.approx(1.0)


def test_at_least_two_views_are_hidden_and_too_few_are_refused(measure, hu):
    assert split(ct_scan(measure(hu, views=6), WINDOW), share=0.1, seed=0).held.operator.range[1] == 2
    with pytest.raises(DataError, match="found 5 views or lines that can be held out, expected at least 6"):
        split(ct_scan(measure(hu, views=5), WINDOW), share=0.1, seed=0)


def test_the_candidate_nearest_to_the_truth_is_chosen_without_seeing_it(measure, hu, window_units):
    scan, truth = ct_scan(measure(hu, views=20), WINDOW), window_units(hu)
    error = 0.05 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    candidates = {f"{size}": (lambda part, size=size: truth + size * error) for size in (1.0, 0.3, 0.6)}
    choice = choose(scan, candidates, share=0.1, tie=0.02, seed=0)
    assert (choice.name, choice.splits) == ("0.3", 1)
    assert choice.scores["0.3"] < choice.scores["0.6"] < choice.scores["1.0"]
    assert choice.scores["0.3"] == pytest.approx(0.3 * choice.scores["1.0"], rel=0.05)


def test_a_tie_asks_for_a_second_split(measure, hu, window_units):
    scan, truth = ct_scan(measure(hu, views=20), WINDOW), window_units(hu)
    noise = 0.05 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    choice = choose(scan, {"a": lambda part: truth + noise, "b": lambda part: truth + 1.001 * noise}, share=0.1, tie=0.02, seed=0)
    assert (choice.name, choice.splits) == ("a", 2)


@pytest.mark.parametrize(
    ("better", "is_supported", "splits"), [(3.0, True, 1), (1.25, True, 2), (1.05, False, 2), (0.97, False, 2), (0.5, False, 1)]
)
@pytest.mark.parametrize("noise_std", [0.0, 0.02])
def test_a_prior_is_supported_where_its_error_is_smaller_by_the_margin_whatever_the_noise(
    measure, hu, window_units, noise_std, better, is_supported, splits
):
    """Errors of known ratio are told apart, though noise of twice their size lies over both."""
    scan, truth = ct_scan(measure(hu, views=40, noise_std=noise_std), WINDOW), window_units(hu)
    error = 0.05 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    verdict = judge(scan, plain=lambda part: truth + error, prior=lambda part: truth + error / better, share=0.3, seed=0)
    assert verdict.gain == pytest.approx(better, rel=0.2 if noise_std else 1e-3)
    assert (verdict.is_supported, verdict.splits) == (is_supported, splits)
    assert verdict.is_supported == (verdict.gain > MARGIN)


def test_two_perfect_predictions_of_noisy_data_are_alike_and_the_prior_is_not_needed(measure, hu, window_units):
    scan, truth = ct_scan(measure(hu, views=20, noise_std=0.02), WINDOW), window_units(hu)
    verdict = judge(scan, plain=lambda part: truth, prior=lambda part: truth, share=0.1, seed=0)
    assert verdict.gain == pytest.approx(1.0) and not verdict.is_supported
