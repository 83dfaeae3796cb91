"""The gate: 1 for the best linear denoiser itself, below 1 for the truth, and a refusal above."""

import pytest
import torch

from medidiff.dehazing.gate import LEVELS, check_gate, error_over_linear
from medidiff.diffusion.spectrum import Stationary
from medidiff.errors import DataError

SIGNS = torch.tensor([1.0, -1.0]).repeat(16).reshape(-1, 1, 1, 1).expand(-1, 2, 4, 4)  # whole images of one sign
LINEAR = Stationary.of(SIGNS)


def exact(u, sigma):
    """E[x0 | u] where x0 is a whole image of 1 or of -1."""
    return torch.tanh(u.flatten(1).sum(1) / sigma.to(u) ** 2).reshape(-1, 1, 1, 1).expand_as(u)


def test_linear_denoiser_is_as_good_as_itself():
    assert error_over_linear(LINEAR, SIGNS, LINEAR) == {f"{level:g}": 1.0 for level in LEVELS}


def test_exact_denoiser_of_signs_beats_every_linear_one():
    ratios = error_over_linear(exact, SIGNS, LINEAR)
    assert all(ratio < 0.1 for ratio in ratios.values())
    check_gate("signs", {"tissue": ratios})


def test_conditions_go_with_their_items():
    label = torch.arange(len(SIGNS))
    told = lambda u, sigma, label: SIGNS[label]
    assert max(error_over_linear(told, SIGNS, LINEAR, label=label).values()) == 0


def test_a_ratio_above_one_or_unknown_is_refused():
    with pytest.raises(DataError, match=r"models of tests: prior not trained. At noise level 0.3 its haze denoiser makes 1.50"):
        check_gate("models of tests", {"tissue": {"0.3": 0.2}, "haze": {"0.3": 1.5}})
    with pytest.raises(DataError, match="prior not trained"):
        check_gate("x", {"tissue": {"0.3": float("nan")}})
    with pytest.raises(DataError, match="no test against a linear denoiser"):
        check_gate("x", {})
