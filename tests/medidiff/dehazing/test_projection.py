"""The paper's sampler: the numbers that it prints, and its projection where that has a closed form."""

import pytest
import torch

from medidiff.dehazing.domain import Linear, MuLaw, channels, joined, parted
from medidiff.dehazing.projection import Projection, paper_levels, paper_start, separated
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.joint import Pair
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, sample


def gaussian(variance):
    """E[x0 | u] where every channel of every sample is N(0, variance)."""
    return Gaussian(torch.zeros(1), torch.tensor([variance]))


def test_levels_are_those_of_the_paper():
    levels = paper_levels(8, start=0.8)
    assert levels[[0, 3, 6]].tolist() == pytest.approx([5.16, 1.93, 0.64], abs=0.005)
    assert levels[-1] == 0


def test_half_weights_project_onto_the_noisy_sum_where_nothing_is_companded():
    y = torch.randn(1, 6, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    u = torch.randn(1, 4, 6, 5, generator=torch.Generator().manual_seed(2))
    keep = lambda state, sigma: state  # a last step to level 0 returns what the denoiser is given
    x, h = parted(Projection(y, Linear())(keep, State(u), torch.tensor([0.7, 0.0]), Noise(3)).u)
    noisy = channels(y) + 0.7 * Noise(3)(0, channels(y), "measurement")
    torch.testing.assert_close(channels(x + h), noisy)


def test_a_step_lowers_the_misfit_of_companded_images():
    y = 0.1 * torch.randn(1, 6, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    step = Projection(y, MuLaw(), tissue_weight=0.05, haze_weight=0.05)
    u = joined(MuLaw().compress(0.5 * y), MuLaw().compress(0.1 * y))
    keep = lambda state, sigma: state
    after = step(keep, State(u), torch.tensor([1e-9, 0.0]), Noise(3)).u
    misfit = lambda state: float((channels(MuLaw().compress(y)) - step.predicted(state)).norm())
    assert misfit(after) < misfit(u)


def test_tissue_and_haze_start_from_the_same_tensor():
    y = 0.1 * torch.ones(2, 4, 4, dtype=torch.complex64)
    x, h = paper_start(y, MuLaw(), 1.0, Noise(1)).chunk(2, 1)
    assert torch.equal(x, h)


def test_a_whole_run_ends_near_the_gaussian_mean():
    y = torch.ones(1, 32, 32, dtype=torch.complex64)
    grid = paper_levels(100, start=0.8)
    start = paper_start(y, Linear(), float(grid[0]), Noise(4))
    pair = Pair(gaussian(1.0), gaussian(1.0))
    x, h = separated(sample(pair, start, grid, Projection(y, Linear()), noise=Noise(4)), Linear())
    assert float(x.real.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(h.real.mean()) == pytest.approx(0.5, abs=0.05)
