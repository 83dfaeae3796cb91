"""The mask model: levels, logits, its start from a plain network, and lesions drawn as often as they are there."""

import math

import pytest
import torch

from medidiff.diffusion.exact import Lesion
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import euler
from medidiff.diffusion.sample import sample
from medidiff.segmentation.denoiser import SIGMA_MAX, SIGMA_MIN, MaskDenoiser, level_grid, plain_logits
from medidiff.segmentation.planes import Planes, neighbourhood
from medidiff.segmentation.warm_start import from_plain

SHAPE = UNetShape(dims=3, channels=1, condition=2, width=8, multipliers=(1, 2), stem=2)


def trained(shape=SHAPE, seed=4):
    """A network whose every weight says something."""
    network = UNet(shape, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            value += 0.1 * torch.randn(value.shape, generator=generator)
    return network


def inputs(*space):
    generator = torch.Generator().manual_seed(9)
    return torch.randn(2, 1, *space, generator=generator), torch.randn(2, 2, *space, generator=generator)


@pytest.mark.parametrize("lam", [-8.0, -3.0, 2.0])
def test_a_diffusion_model_starts_as_the_plain_network_at_every_level(lam):
    plain, (state, condition) = trained(), inputs(8, 8, 8)
    expected = plain_logits(plain, condition)
    network = UNet(SHAPE)
    network.load_state_dict(from_plain(plain.state_dict(), network))
    sigma = torch.full((2,), math.exp(-lam), dtype=torch.float64)
    found = MaskDenoiser(network).logits(state * math.exp(-lam), sigma, condition)
    assert torch.allclose(found, expected, atol=1e-5)


def test_what_the_warm_start_silenced_is_learned_from_the_first_step_on():
    network, (state, condition) = UNet(SHAPE), inputs(8, 8, 8)
    network.load_state_dict(from_plain(trained().state_dict(), network))
    MaskDenoiser(network).logits(state, torch.ones(2, dtype=torch.float64), condition).square().mean().backward()
    assert network.first.weight.grad[:, :8].abs().max() > 0
    assert network.embedding.second.weight.grad.abs().max() > 0


def test_the_network_sees_unit_variance_and_a_quarter_of_minus_lambda():
    seen = {}

    def network(x, noise_level, condition):
        seen.update(x=x, noise_level=noise_level)
        return x

    z = torch.randn(1, 1, 20, 20, 20, generator=torch.Generator().manual_seed(0))
    for lam in (-8.0, 0.0, 2.0):
        sigma = torch.tensor([math.exp(-lam)], dtype=torch.float64)
        MaskDenoiser(network)(z.sign() + float(sigma) * z.flip(2), sigma, z)
        assert float(seen["noise_level"]) == pytest.approx(-lam / 4)
        assert float(seen["x"].var()) == pytest.approx(1, rel=0.05)


def test_the_grid_has_equal_steps_of_lambda_and_ends_with_the_denoised_image():
    grid = level_grid(20)
    assert len(grid) == 21 and grid[-1] == 0
    assert grid[:-1].log().diff() == pytest.approx(torch.full((19,), -10 / 19, dtype=torch.float64))


# A lesion of n equal voxels moves along one direction only: in v = sum u / n it is one voxel with noise sigma / sqrt(n).


def share_drawn(p, voxels, steps, *, step=pp2m, draws=20_000, grid=None):
    prior = Lesion(p)

    def along(v, sigma):
        return prior(v, sigma / math.sqrt(voxels))

    grid = level_grid(steps) if grid is None else grid
    z = Noise(3, ("draws",))(0, torch.empty(1, draws, dtype=torch.float64))[0][:, None]
    start = z * float(grid[0]) / math.sqrt(voxels)
    return float((sample(along, start, grid, step) > 0).double().mean())


@pytest.mark.parametrize("voxels", [1, 100, 1000, 10_000])
@pytest.mark.parametrize("p", [0.05, 0.2, 0.5, 0.8, 0.95])
def test_a_lesion_of_any_size_is_drawn_as_often_as_it_is_there(p, voxels):
    assert share_drawn(p, voxels, 20) == pytest.approx(p, abs=0.015)
    assert share_drawn(p, voxels, 10) == pytest.approx(p, abs=0.02)


def cosine_trailing(steps):
    """The popular grid: cosine schedule of 1000 steps, every (1000 / steps)-th index from the last on."""
    time = torch.arange(1, 1001, dtype=torch.float64) / 1000
    angle = (time + 0.008) / 1.008 * math.pi / 2
    beta = 1 - torch.cos(angle) ** 2 / torch.cos((time - 0.001 + 0.008) / 1.008 * math.pi / 2) ** 2
    alpha = torch.cumprod(1 - beta.clamp(max=0.999), 0)
    index = torch.arange(1000, 0, -1000 / steps).round().long() - 1
    return torch.cat([((1 - alpha[index]) / alpha[index]).sqrt(), torch.zeros(1, dtype=torch.float64)])


def test_the_popular_grid_never_draws_a_doubtful_lesion_of_a_thousand_voxels():
    # guards the test above: it must be able to fail
    assert share_drawn(0.2, 1000, 10, step=euler, grid=cosine_trailing(10)) < 0.02


@pytest.mark.parametrize("p", [0.05, 0.2, 0.8])
def test_one_step_from_noise_gives_the_probability(p):
    z = torch.randn(50, 1000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    one_voxel = torch.tanh(math.log(p / (1 - p)) / 2 + SIGMA_MAX * z / SIGMA_MAX**2)
    assert float((one_voxel.mean() + 1) / 2) == pytest.approx(p, abs=1e-3)
    levels = torch.full((50,), SIGMA_MAX, dtype=torch.float64)
    lesion = Lesion(p)(SIGMA_MAX * z[:, :1] / math.sqrt(1000), levels / math.sqrt(1000))
    assert float((lesion.mean() + 1) / 2) == pytest.approx(p, abs=1e-2)


def test_a_network_of_slices_sees_each_slice_by_itself():
    network = trained(UNetShape(dims=2, channels=1, condition=2, width=8, multipliers=(1, 2), stem=1))
    state, condition = inputs(8, 8, 5)
    level = torch.tensor([0.3, 1.2])
    found = Planes(network)(state, level, condition)
    for k in range(5):
        assert torch.allclose(found[..., k], network(state[..., k], level, condition[..., k]), atol=1e-5)


def test_two_and_a_half_dimensions_put_the_slices_beside_in_order_and_air_beyond_the_ends():
    volume = torch.arange(4.0).view(1, 1, 1, 1, 4).expand(1, 1, 2, 2, 4)
    assert neighbourhood(volume, 1)[0, :, 0, 0].tolist() == [[-1, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, -1]]


def test_the_model_may_be_used_where_it_was_trained():
    limits = MaskDenoiser(UNet(SHAPE)).limits
    assert (limits.sigma_min, limits.sigma_max, limits.multiple) == (SIGMA_MIN, SIGMA_MAX, 4)
