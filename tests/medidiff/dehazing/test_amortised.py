"""Models of mixtures: the identity at first, and samples that follow their condition."""

import pytest
import torch

from medidiff.dehazing.amortised import Regression, conditional_levels, conditional_samples, regressed
from medidiff.dehazing.domain import MuLaw, channels
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise

Y = 0.2 * torch.randn(2, 8, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
DEPTH = torch.zeros(2, 1, 8, 8)


def test_an_untrained_regression_returns_the_measurement():
    network = UNet(UNetShape(channels=2, condition=1, width=8, multipliers=(1, 2)))
    torch.testing.assert_close(regressed(Regression(network), Y, MuLaw(), DEPTH), Y, rtol=1e-4, atol=1e-6)


def test_samples_of_a_certain_posterior_are_the_posterior_with_the_calls_that_were_asked_for():
    half, calls = MuLaw().compress(0.5 * Y), []

    def certain(u, sigma, condition):
        calls.append(float(sigma[0]))
        torch.testing.assert_close(condition[:, :2], channels(MuLaw().compress(Y)))
        return channels(half)

    found = conditional_samples(
        certain, Y, MuLaw(), DEPTH, grid=conditional_levels(4, sigma_min=0.02, sigma_max=3.0), noise=Noise(1)
    )
    torch.testing.assert_close(found, 0.5 * Y, rtol=1e-4, atol=1e-6)
    assert calls == pytest.approx([3.0, *conditional_levels(4, sigma_min=0.02, sigma_max=3.0)[1:4].tolist()])
