import math
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.exact import DataSet
from medidiff.diffusion.grid import karras
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import heun
from medidiff.diffusion.pfgm import HeavyTailedNoise
from medidiff.diffusion.sample import sample
from medidiff.errors import ConfigError

POINTS = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [-2.0, 1.0], [1.0, -2.0]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.1, 0.15, 0.2, 0.25, 0.3], dtype=torch.float64)


def test_the_denoiser_goes_to_edm_with_slope_minus_1_in_d():
    u = 2 * Noise(0)(0, torch.empty(200, 2, dtype=torch.float64))
    sigma = torch.full((200,), 1.0, dtype=torch.float64)
    limit = DataSet(POINTS, WEIGHTS)(u, sigma)
    errors = [float((DataSet(POINTS, WEIGHTS, 10.0**k)(u, sigma) - limit).square().mean().sqrt()) for k in range(2, 7)]
    slopes = [math.log10(b / a) for a, b in pairwise(errors)]
    assert slopes == pytest.approx([-1] * 4, abs=0.06)


def test_samples_go_to_edm_with_slope_minus_1_in_d():
    u = 20 * Noise(0)(0, torch.empty(64, 2, dtype=torch.float64))
    grid = karras(21, smin=1.0, smax=20.0)  # above the level at which paths part for single points
    limit = sample(DataSet(POINTS, WEIGHTS), u, grid, heun)
    errors = [float((sample(DataSet(POINTS, WEIGHTS, 10.0**k), u, grid, heun) - limit).square().mean().sqrt()) for k in (4, 5, 6)]
    assert [math.log10(b / a) for a, b in pairwise(errors)] == pytest.approx([-1] * 2, abs=0.06)


def test_the_mean_squared_radius_is_the_theoretical_one():
    """E R^2 = N D sigma^2 / (D - 2)."""
    like, dims = torch.empty(3000, 7, dtype=torch.float64), 16.0
    z = HeavyTailedNoise(dims, Noise(1))(0, like, torch.full((3000,), 1.3, dtype=torch.float64))
    assert float((z**2).sum(1).mean()) == pytest.approx(7 * dims * 1.3**2 / (dims - 2), rel=0.05)
    assert z.mean(0).abs().max() < 0.1  # no direction is preferred


def test_heavy_tailed_noise_of_many_dimensions_is_gaussian():
    like = torch.empty(3000, 3, dtype=torch.float64)
    z = HeavyTailedNoise(1e7, Noise(1))(0, like, torch.ones(3000).double())
    assert float(z.var()) == pytest.approx(1, rel=0.05) and float((z**4).mean()) == pytest.approx(3, rel=0.1)


def test_heavy_tailed_noise_is_stateless_too():
    like, sigma = torch.empty(3, 1, 4, 4), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    whole = HeavyTailedNoise(64.0, Noise(1, ("a", "b", "c")))(5, like, sigma)
    assert whole.dtype == torch.float32
    assert torch.equal(HeavyTailedNoise(64.0, Noise(1, ("b",)))(5, like[:1], sigma[1:2])[0], whole[1])


@pytest.mark.parametrize("dims", [2.0, 8.0, 128.0])
def test_the_ode_meets_the_weights_of_the_data(dims):
    count = 2000
    u = HeavyTailedNoise(dims, Noise(4))(0, torch.empty(count, 2, dtype=torch.float64), torch.full((count,), 40.0).double())
    u = u + WEIGHTS @ POINTS
    x = sample(DataSet(POINTS, WEIGHTS, dims), u, karras(41, smin=0.02, smax=40.0), heun)
    nearest = torch.cdist(x, POINTS).argmin(1)
    shares = torch.bincount(nearest, minlength=5) / count
    assert (shares - WEIGHTS).abs().max() < 0.03  # three standard errors of a share


def test_extra_dimensions_are_positive():
    with pytest.raises(ConfigError, match="extra_dimensions 0: expected above 0"):
        HeavyTailedNoise(0.0, Noise(0))
