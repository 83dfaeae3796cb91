"""Coils with dependent noise become independent ones, and the image stays what it was."""

import pytest
import torch

from physics.mri.coils import normalised_maps, simulated_maps
from physics.mri.whitening import mix_coils, noise_covariance, whitening_matrix

COILS = 5


def generator(seed):
    return torch.Generator().manual_seed(seed)


def mixture():
    """A well-conditioned complex matrix."""
    return torch.eye(COILS) + 0.4 * torch.randn((COILS, COILS), dtype=torch.complex128, generator=generator(0))


def test_whitened_noise_is_independent_with_unit_parts():
    noise = mixture() @ torch.randn((COILS, 40_000), dtype=torch.complex128, generator=generator(1))
    white = whitening_matrix(noise_covariance(noise)) @ noise
    assert torch.allclose(noise_covariance(white), 2 * torch.eye(COILS, dtype=torch.complex128), atol=1e-9)
    assert float(white.real.std()) == pytest.approx(1, abs=0.01)
    assert float(white.imag.std()) == pytest.approx(1, abs=0.01)


def test_the_covariance_is_that_of_the_mixture():
    m = mixture()
    noise = m @ torch.randn((COILS, 200_000), dtype=torch.complex128, generator=generator(2))
    exact = m @ m.mH
    assert float((noise_covariance(noise) - exact).norm() / exact.norm()) < 0.02


def test_signal_and_sensitivities_mix_alike():
    maps = simulated_maps(6, 7, coils=COILS)
    image = torch.randn((6, 7), dtype=torch.complex64, generator=generator(3))
    matrix = whitening_matrix(mixture() @ mixture().mH)
    mixed = mix_coils(maps, matrix)
    assert torch.allclose(mix_coils(maps * image, matrix), mixed * image, atol=1e-5)
    size = torch.linalg.vector_norm(mixed, dim=0)
    assert torch.allclose(normalised_maps(mixed) * size, mixed, atol=1e-5)


def test_a_dead_or_doubled_coil_is_refused():
    covariance = torch.eye(3, dtype=torch.complex128)
    covariance[1, 1] = 0
    for wrong in (covariance, torch.ones((3, 3)), torch.tensor([[1.0, 0.5], [0.0, 1.0]])):
        with pytest.raises(ValueError, match="not Hermitian and positive definite"):
            whitening_matrix(wrong)
    with pytest.raises(ValueError, match="found 4 samples of 5 coils"):
        noise_covariance(torch.zeros((5, 4), dtype=torch.complex64))
