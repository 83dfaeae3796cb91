"""The networks: shapes in any dimension, zero at the start, and the parts that caching and pruning rely on."""

import pytest
import torch

from medidiff.diffusion.networks.mlp import MLP
from medidiff.diffusion.networks.shuffle import depth_to_space, space_to_depth
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.errors import ConfigError, DataError

SPACES = {1: (32,), 2: (16, 24), 3: (8, 16, 12)}


def awake(network: torch.nn.Module, seed: int = 1) -> torch.nn.Module:
    """The network with every zero-initialised weight filled, so that nothing is hidden behind a zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("stem", [1, 2])
def test_unet_keeps_the_shape_and_starts_at_zero(dims, stem):
    network = UNet(UNetShape(dims=dims, channels=2, width=8, multipliers=(1, 2), stem=stem))
    x = torch.randn(3, 2, *SPACES[dims])
    out = network(x, torch.tensor([-1.0, 0.0, 0.5]))
    assert out.shape == x.shape
    assert not out.any()


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_space_to_depth_is_undone_by_its_inverse_and_keeps_neighbours_together(dims):
    x = torch.arange(2 * 3 * 4**dims, dtype=torch.float32).reshape(2, 3, *[4] * dims)
    packed = space_to_depth(x, 2)
    assert packed.shape == (2, 3 * 2**dims, *[2] * dims)
    assert torch.equal(depth_to_space(packed, 2), x)
    corner = packed[(0, slice(0, 2**dims), *[0] * dims)]
    block = x[(0, 0, *[slice(0, 2)] * dims)]
    assert torch.equal(corner.sort().values, block.flatten().sort().values)


def test_space_to_depth_equals_the_pixel_unshuffle_of_torch():
    x = torch.randn(2, 3, 8, 12)
    assert torch.equal(space_to_depth(x, 4), torch.nn.functional.pixel_unshuffle(x, 4))


def test_unet_result_of_an_item_depends_on_no_other_item():
    network = awake(UNet(UNetShape(width=8, multipliers=(1, 2), attention=1)).double())
    x, level = torch.randn(4, 1, 16, 16, dtype=torch.float64), torch.tensor([-1.0, 0.1, 0.2, 0.3], dtype=torch.float64)
    together, alone = network(x, level), network(x[2:3], level[2:3])
    assert (together[2:3] - alone).abs().max() < 1e-12
    assert together.std() > 1e-3


def test_unet_hears_noise_level_condition_and_label():
    network = awake(UNet(UNetShape(width=8, multipliers=(1, 2), condition=1, classes=3)))
    x, level, condition, label = torch.randn(1, 1, 8, 8), torch.zeros(1), torch.randn(1, 1, 8, 8), torch.tensor([0])
    first = network(x, level, condition, label)
    others = [
        network(x, level + 0.05, condition, label),
        network(x, level, condition + 0.1, label),
        network(x, level, condition, label + 1),
    ]
    assert all((first - other).abs().max() > 1e-4 for other in others)


def test_unet_is_equal_for_equal_seeds_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, other = (UNet(UNetShape(width=8), seed=s) for s in (3, 3, 4))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
    assert not torch.equal(first.first.weight, other.first.weight)


def test_unet_parts_run_one_by_one_equal_the_whole_and_a_replaced_part_is_used():
    network = awake(UNet(UNetShape(width=8, multipliers=(1, 2, 2))))
    x, level = torch.randn(2, 1, 16, 16), torch.zeros(2)
    h, embedded = network.enter(x, level, None, None)
    own = network.leave(network.through(h, embedded, replace={1: lambda h, e: network.through(h, e, 1)}))
    assert torch.equal(own, network(x, level))
    silent = network.leave(network.through(h, embedded, replace={1: lambda h, e: torch.zeros_like(h)}))
    assert not torch.equal(silent, own)


def test_unet_refuses_sides_that_do_not_divide_and_says_how_to_pad():
    network = UNet(UNetShape(width=8, multipliers=(1, 2, 4), stem=2))
    with pytest.raises(DataError, match="needs multiples of 8: pad to 256 x 256"):
        network(torch.zeros(1, 1, 250, 256), torch.zeros(1))


def test_unet_refuses_a_missing_condition_and_wrong_channels():
    network = UNet(UNetShape(width=8, condition=2))
    with pytest.raises(DataError, match="state has 1 channels and `condition` 0; the prior needs 1 and 2"):
        network(torch.zeros(1, 1, 16, 16), torch.zeros(1))
    with pytest.raises(DataError, match="state has 3 channels"):
        network(torch.zeros(1, 3, 16, 16), torch.zeros(1), torch.zeros(1, 2, 16, 16))


def test_unet_refuses_impossible_shapes():
    with pytest.raises(ConfigError, match="dims 4: expected 1"):
        UNet(UNetShape(dims=4))
    with pytest.raises(ConfigError, match="at least 1"):
        UNet(UNetShape(stem=0))
    with pytest.raises(ConfigError, match="multiple of 4"):
        UNet(UNetShape(width=6, attention=1))


def test_mlp_starts_at_zero_and_hears_two_levels():
    network = MLP(3, levels=2)
    x = torch.randn(4, 3)
    assert not network(x, torch.zeros(4, 2)).any()
    awake(network)
    assert not torch.equal(network(x, torch.zeros(4, 2)), network(x, torch.tensor([[0.0, 0.1]]).expand(4, 2)))
