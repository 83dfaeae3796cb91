import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medidiff.diffusion.denoiser import Limits
from medidiff.errors import DataError
from medidiff.reconstruction.patches import InChunks, Padded, Patched, mirrored, partition


class Pointwise:
    """A denoiser that looks at one pixel at a time, and tells the shapes it was given."""

    limits = Limits(0.01, 50.0, 0.5, 8)

    def __init__(self):
        self.shapes = []

    def __call__(self, u, sigma):
        self.shapes.append(tuple(u.shape))
        return u / (1 + sigma.to(u)[:, None, None, None] ** 2)


class Blurred:
    """A denoiser that mixes each pixel with the mean of the patch it lies in."""

    limits = Limits()

    def __call__(self, u, sigma):
        return u + u.mean(dim=(-2, -1), keepdim=True)


def noisy(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    u = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    return u, torch.linspace(0.5, 2.0, len(u), dtype=torch.float64)


@given(size=st.integers(1, 70), edge=st.integers(1, 40), offset=st.integers(0, 60))
def test_tiles_give_every_pixel_once_and_their_patches_lie_within_the_axis(size, edge, offset):
    tiles = list(partition(size, edge, offset=offset))
    assert [pixel for tile in tiles for pixel in range(tile.first, tile.last)] == list(range(size))
    for tile in tiles:
        assert 0 <= tile.start <= max(0, size - edge)
        assert tile.start <= tile.first < tile.last <= tile.start + edge


@pytest.mark.parametrize("size", [(40, 24), (17, 33), (16, 16), (11, 30)])
def test_patches_of_a_pointwise_denoiser_are_the_whole_slice(size):
    u, sigma = noisy(3, 1, *size)
    inner = Pointwise()
    torch.testing.assert_close(Patched(inner, 16)(u, sigma), Pointwise()(u, sigma), rtol=0, atol=0)
    assert {shape[1:] for shape in inner.shapes} == {(1, 16, 16)}


def test_every_noise_level_cuts_elsewhere_and_equal_levels_cut_alike():
    u, _ = noisy(1, 1, 40, 40)
    denoiser = Patched(Blurred(), 16, seed=4)
    levels = [torch.full((1,), level, dtype=torch.float64) for level in (1.0, 1.0, 0.7)]
    first, again, other = (denoiser(u, level) for level in levels)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, Patched(Blurred(), 16, seed=5)(u, levels[0]))


def test_padding_reaches_the_multiple_and_is_cut_off_again():
    u, sigma = noisy(2, 1, 13, 21)
    inner = Pointwise()
    torch.testing.assert_close(Padded(inner)(u, sigma), Pointwise()(u, sigma), rtol=0, atol=0)
    assert inner.shapes == [(2, 1, 16, 24)]


def test_padding_goes_on_with_the_noise_level_of_the_slice():
    u, _ = noisy(4, 1, 33, 40)
    large = mirrored(u, 64, 64)
    assert torch.equal(large[..., :33, :40], u)
    for added in (large[..., 33:, :40], large[..., :33, 40:]):
        assert float(added.std()) == pytest.approx(float(u.std()), abs=0.1)


def test_chunks_change_nothing_and_are_counted_without_gradients():
    u, sigma = noisy(7, 1, 8, 8)
    whole, inner = Pointwise()(u, sigma), Pointwise()
    denoiser = InChunks(inner, 3)
    torch.testing.assert_close(denoiser(u.requires_grad_(), sigma), whole, rtol=0, atol=0)
    assert [shape[0] for shape in inner.shapes] == [3, 3, 1]
    assert denoiser.slices == 7
    assert not denoiser(u, sigma).requires_grad
    assert denoiser.limits == Pointwise.limits


def test_a_denoiser_of_any_size_asks_for_no_multiple_but_keeps_its_noise_levels():
    for denoiser in (Padded(Pointwise()), Patched(Pointwise(), 16)):
        assert denoiser.limits == Limits(0.01, 50.0, 0.5, 1)


def test_slices_of_less_than_half_a_patch_are_refused():
    u, sigma = noisy(1, 1, 7, 30)
    with pytest.raises(DataError, match="7 x 30 pixels are too small for a prior that needs 16 x 30"):
        Patched(Pointwise(), 16)(u, sigma)


def test_the_gradient_through_chunks_is_that_of_the_whole_and_counts_its_slices():
    u, sigma = noisy(5, 1, 8, 8)
    chunks = InChunks(Blurred(), 2)
    derived = []
    for denoiser in (chunks.with_gradient, Blurred()):
        v = u.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(denoiser(v, sigma).square().sum(), v)
        derived.append(gradient)
    torch.testing.assert_close(*derived)
    assert chunks.slices == 5
