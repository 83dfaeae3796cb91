"""The hallucination score on a smoothed mixture, whose samples between the modes are known."""

import pytest
import torch

from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.grid import karras
from medidiff.diffusion.hallucination import PathVariance, auroc, best_window, removed_share
from medidiff.diffusion.onestep import euler
from medidiff.diffusion.sample import sample
from medidiff.errors import ConfigError

STD, WINDOWS = 0.05, ((0.02, 0.1), (0.02, 0.2), (0.05, 0.5))


def square_of_modes(smoothing: float) -> Mixture:
    """25 modes of std .05 on a grid of spacing 1."""
    places = torch.arange(-2, 3, dtype=torch.float64)
    means = torch.cartesian_prod(places, places)
    flat = torch.zeros(25, 2, 1, dtype=torch.float64)
    return Mixture(torch.full((25,), 1 / 25).double(), means, flat, torch.full((25,), STD**2).double(), smoothing=smoothing)


def scored_samples(smoothing: float, count: int, *, levels: int = 100, smax: float = 4.0):
    """Score of every sample by window, and whether it lies beyond 5 std of every mode."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(count, 2, generator=generator, dtype=torch.float64)
    truth = square_of_modes(0.0)
    watched = square_of_modes(smoothing)
    recorders = {}
    for window in WINDOWS:
        watched = recorders[window] = PathVariance(watched, low=window[0], high=window[1])
    start = truth.draw(z, torch.rand(count, generator=generator, dtype=torch.float64), smax)
    x = sample(watched, start, karras(levels, smin=0.01, smax=smax), euler)
    is_wrong = (x[:, None] - truth.means).norm(dim=2).min(1).values > 5 * STD
    return {window: recorder.score() for window, recorder in recorders.items()}, is_wrong


def test_the_right_window_removes_hallucinations_and_the_wrong_one_does_not():
    scores, is_wrong = scored_samples(0.15, 6000, levels=60, smax=10.0)
    assert 0.002 < float(is_wrong.double().mean()) < 0.01
    window, area = best_window(scores, is_wrong)
    assert window == (0.02, 0.1)
    assert area > 0.98
    assert removed_share(scores[window], is_wrong, kept=0.96) >= 0.95
    wrong = scores[(0.05, 0.5)]
    assert auroc(wrong, is_wrong) < 0.75
    assert removed_share(wrong, is_wrong, kept=0.96) < 0.3


@pytest.mark.slow
def test_removal_holds_for_a_smoother_model_with_more_hallucinations():
    scores, is_wrong = scored_samples(0.2, 20_000, smax=20.0)
    assert float(is_wrong.double().mean()) == pytest.approx(0.02, abs=0.004)
    assert auroc(scores[(0.02, 0.1)], is_wrong) > 0.97
    assert removed_share(scores[(0.02, 0.1)], is_wrong, kept=0.96) >= 0.95
    assert auroc(scores[(0.05, 0.5)], is_wrong) < 0.65


def test_an_exact_model_has_no_samples_between_the_modes():
    _, is_wrong = scored_samples(0.0, 2000)
    assert not is_wrong.any()


def test_the_map_is_the_variance_of_what_the_denoiser_said_inside_the_window():
    prior = Gaussian(torch.zeros(3, dtype=torch.float64), torch.tensor([0.1, 1.0, 4.0], dtype=torch.float64))
    said, watched = [], PathVariance(prior, low=0.3, high=2.0)
    grid = karras(20, smin=0.05, smax=10.0)

    def spy(u, sigma):
        denoised = watched(u, sigma)
        if 0.3 <= float(sigma[0]) <= 2.0:
            said.append(denoised)
        return denoised

    x = sample(spy, 10 * torch.ones(4, 3, dtype=torch.float64), grid, euler)
    assert torch.equal(x, sample(prior, 10 * torch.ones(4, 3, dtype=torch.float64), grid, euler))
    expected = torch.stack(said).var(0)
    assert (watched.map() - expected).abs().max() < 1e-14
    assert (watched.score() - expected.sum(1)).abs().max() < 1e-14


def test_auroc_counts_pairs_and_ties():
    score, is_wrong = torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([False, False, True, True])
    assert auroc(score, is_wrong) == pytest.approx((1 + 0.5 + 1 + 1) / 4)


def test_a_window_that_the_path_never_meets_is_refused():
    watched = PathVariance(square_of_modes(0.1), low=50.0, high=60.0)
    sample(watched, torch.ones(2, 2, dtype=torch.float64), karras(5, smin=0.01, smax=4.0), euler)
    with pytest.raises(ConfigError, match="0 levels of the path fell into the hallucination window"):
        watched.map()
    with pytest.raises(ConfigError, match="expected 0 <= low < high"):
        PathVariance(watched, low=0.3, high=0.2)
