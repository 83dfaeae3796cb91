"""Volumes seen through windows: one state, no seams, and memory of a few slices."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import sample
from medidiff.errors import ConfigError
from medidiff.io.slab_file import SlabArray, slab_store
from medidiff.segmentation.denoiser import SIGMA_MAX, MaskDenoiser, level_grid
from medidiff.segmentation.sliding import Look, Scene, look_once, sample_jointly
from medidiff.segmentation.windows import Windows, blended, padding, window_size

SHAPE = (20, 24, 28)


def random_scene(roi, *, shape=SHAPE, overlap=0.25, batch=1):
    condition = SlabArray((shape[0], 2, *shape[1:]))
    condition.write(0, np.random.default_rng(5).uniform(-0.9, 1, condition.shape).astype(np.float32))
    return Scene(condition, Windows(shape, roi, overlap, batch))


class Pointwise(nn.Module):
    """Logits that depend on the voxel alone."""

    def forward(self, x, noise_level, condition):
        return 2 * x + condition[:, :1] - condition[:, 1:] * noise_level.view(-1, 1, 1, 1, 1)


class Local(nn.Module):
    """Three convolutions without normalisation: a voxel sees three voxels far."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            layers = [nn.Conv3d(a, b, 3, padding=1) for a, b in ((3, 6), (6, 6), (6, 1))]
        self.layers = nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])

    def forward(self, x, noise_level, condition):
        return 4 * self.layers(torch.cat([x, condition], 1))


def unet():
    network = UNet(UNetShape(dims=3, channels=1, condition=2, width=8, multipliers=(1, 2), stem=2), seed=1)
    with torch.no_grad():
        network.last.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(3))
    return network


def noise_of(slice_index):
    return Noise(7, (f"study/0/{slice_index}",))


def drawn(scene, network, *, steps=4, make=SlabArray):
    shape = scene.windows.shape
    state, history, last = make(shape), make(shape), make(shape)

    def observe(step, first, probability):
        last.write(first, probability.numpy())

    sample_jointly(
        scene,
        Look(MaskDenoiser(network)),
        level_grid(steps),
        state=state,
        history=history,
        noise=noise_of,
        observe=observe,
    )
    return torch.from_numpy(last.read(0, shape[0]))


def whole(scene, network, *, steps=4):
    """The same by the engine's own loop on the undivided volume."""
    length, *plane = scene.windows.shape
    start = SIGMA_MAX * torch.cat([noise_of(i)(0, torch.empty(1, *plane)) for i in range(length)])[None, None]
    condition = torch.from_numpy(scene.condition.read(0, length)).movedim(1, 0)[None]
    with torch.no_grad():
        return (1 + sample(MaskDenoiser(network), start, level_grid(steps), pp2m, condition=condition)[0, 0]) / 2


def test_one_window_gives_what_the_engine_gives_on_the_volume():
    network, scene = unet(), random_scene(SHAPE)
    assert torch.allclose(drawn(scene, network), whole(scene, network), atol=1e-5)


@pytest.mark.parametrize(
    ("roi", "overlap"), [((8, 8, 8), 0.0), ((8, 12, 28), 0.25), ((7, 9, 11), 0.5), ((20, 5, 6), 0.7)], ids=str
)
def test_windows_change_nothing_for_a_pointwise_denoiser(roi, overlap):
    scene = random_scene(roi, overlap=overlap)
    assert torch.allclose(drawn(scene, Pointwise()), whole(scene, Pointwise()), atol=1e-5)


def test_a_local_network_agrees_where_no_edge_of_a_window_counts():
    # each look reaches 3 voxels far: with windows of 16 of which the inner ones overlap by half, weights at a window's edge are
    # small but not nothing, so one look agrees exactly only in the corner that a single window sees
    scene = random_scene((16, 16, 16), shape=(24, 24, 24), overlap=0.5)
    found, expected = one_look(scene, Local()), one_look(random_scene((24, 24, 24), shape=(24, 24, 24)), Local())
    assert torch.allclose(found[:5, :5, :5], expected[:5, :5, :5], atol=1e-5)
    assert (found - expected).abs().max() < 0.2


def one_look(scene, network):
    state, found = SlabArray(scene.windows.shape), torch.zeros(scene.windows.shape)

    def observe(step, first, probability):
        found[first : first + len(probability)] = probability

    look_once(scene, Look(MaskDenoiser(network)), SIGMA_MAX, state=state, observe=observe)
    return found


def test_windows_that_sample_alone_disagree_where_they_meet():
    # what MONAI's inferer around a whole sampler does; shows that the tests above could fail
    scene, network = random_scene((12, 24, 28), overlap=0.0), unet()
    parts = []
    for first, last in ((0, 12), (12, 20)):
        shape = (last - first, *SHAPE[1:])
        part = SlabArray((shape[0], 2, *shape[1:]))
        part.write(0, scene.condition.read(first, last))
        parts.append(drawn(Scene(part, Windows(shape, shape)), network))
    assert (torch.cat(parts) - drawn(scene, network)).abs().mean() > 0.01


def test_slabs_on_disk_batches_of_windows_and_their_order_change_nothing():
    network = unet()
    expected = drawn(random_scene((12, 12, 12)), network)
    with slab_store(in_memory=False) as make:
        assert torch.equal(drawn(random_scene((12, 12, 12)), network, make=make), expected)
    assert torch.allclose(drawn(random_scene((12, 12, 12), batch=4), network), expected, atol=1e-4)


def test_air_around_the_study_holds_nothing_and_costs_nothing():
    scene = random_scene((10, 12, 14), overlap=0.0)
    scene.condition.write(0, np.full((10, 2, *SHAPE[1:]), -1, np.float32))
    network = Pointwise()
    calls = []
    network.register_forward_hook(lambda *seen: calls.append(len(seen[1][0])))
    found = drawn(scene, network)
    assert not found[:10].any() and found[10:].any()
    assert sum(calls) == 4 * 4  # steps · windows of the lower layer


def test_a_look_in_a_mirror_is_mirrored_back():
    scene, network = random_scene(SHAPE), Local()
    condition = torch.from_numpy(scene.condition.read(0, SHAPE[0])).movedim(1, 0)[None]
    u = SIGMA_MAX * torch.randn(1, 1, *SHAPE, generator=torch.Generator().manual_seed(0))
    seen = Look(MaskDenoiser(network), flip=(0, 2))(u, SIGMA_MAX, condition)
    turned = Look(MaskDenoiser(network))(u.flip(2, 4), SIGMA_MAX, condition.flip(2, 4))
    assert torch.allclose(seen, turned.flip(1, 3))


def test_weights_sum_to_the_product_of_three_vectors():
    windows = Windows((13, 17, 19), (8, 6, 19), overlap=0.4)
    ones = torch.cat([slab for _, slab in blended(windows, lambda start: lambda corners: torch.ones(len(corners), 8, 6, 19))])
    assert torch.allclose(ones, torch.ones(13, 17, 19), atol=1e-6)
    for axis in range(3):
        starts = windows.starts(axis)
        assert starts[0] == 0 and starts[-1] == windows.shape[axis] - windows.roi[axis]
        assert max(b - a for a, b in zip(starts, (*starts[1:], starts[-1]))) <= windows.roi[axis]


def test_a_volume_smaller_than_the_window_is_filled_up_to_it_or_to_the_next_multiple():
    window = window_size((30, 50, 200), roi=(64, 64, 64), least=(48, 48, 48), multiple=8)
    assert window == (48, 56, 64)
    assert padding((30, 50, 200), window) == ((9, 9), (3, 3), (0, 0))


def test_impossible_windows_are_refused():
    with pytest.raises(ConfigError, match="do not fit into"):
        Windows((8, 8, 8), (8, 16, 8))
    with pytest.raises(ConfigError, match="overlap 1, batch 1"):
        Windows((8, 8, 8), (8, 8, 8), overlap=1.0)


def test_the_first_level_hides_the_largest_lesion():
    assert -math.log(SIGMA_MAX) <= -math.log(1e4) / 2 - 3
