"""The centred transform: orthonormal, right for odd sizes, and a filter that is the same without its shifts."""

import math

import pytest
import torch

from physics.mri.fourier import filter_kspace, to_image, to_kspace

SIZES = [(6, 8), (7, 5), (8, 9), (1, 6)]


def noise(shape, *, seed=0):
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def by_definition(image):
    """The double sum of the docstring, as two matrices."""
    matrices = []
    for size in image.shape:
        index = torch.arange(size, dtype=torch.float64) - size // 2
        matrices.append(torch.exp(-2j * math.pi * torch.outer(index, index) / size) / math.sqrt(size))
    return matrices[0] @ image @ matrices[1].T


@pytest.mark.parametrize("shape", SIZES)
def test_the_transform_is_the_sum_of_its_docstring_for_even_and_odd_sizes(shape):
    image = noise(shape)
    assert torch.allclose(to_kspace(image), by_definition(image), atol=1e-12)


@pytest.mark.parametrize("shape", SIZES)
def test_the_inverse_gives_the_image_back_and_energy_is_kept(shape):
    image = noise((3, *shape))
    kspace = to_kspace(image)
    assert torch.allclose(to_image(kspace), image, atol=1e-12)
    assert float(kspace.norm()) == pytest.approx(float(image.norm()), rel=1e-12)


@pytest.mark.parametrize("shape", SIZES)
def test_a_constant_image_is_one_sample_at_the_centre(shape):
    kspace = to_kspace(torch.ones(shape, dtype=torch.complex128))
    centre = (shape[0] // 2, shape[1] // 2)
    assert kspace[centre].real == pytest.approx(math.sqrt(math.prod(shape)))
    kspace[centre] = 0
    assert float(kspace.abs().max()) < 1e-12


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("is_lines", [True, False])
def test_a_filter_needs_no_shift_of_the_image(shape, is_lines):
    image = noise((2, *shape))
    weights = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    weights = weights[:1].expand(shape) if is_lines else weights
    assert torch.allclose(filter_kspace(image, weights), to_image(weights * to_kspace(image)), atol=1e-12)
