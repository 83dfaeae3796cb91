"""Guidance through the denoiser: exact for Gaussians where theory says so, and independent of the batch."""

import pytest
import torch

from medidiff.dehazing.domain import Linear, MuLaw, parted
from medidiff.dehazing.guided import DPS, Measured, PiGDM
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.joint import Pair
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, sample


def gaussian(variance):
    """E[x0 | u] where every channel of every sample is N(0, variance)."""
    return Gaussian(torch.zeros(1), torch.tensor([variance]))


def test_pigdm_samples_the_gaussian_posterior():
    y, (a, b) = torch.ones(1, 32, 32, dtype=torch.complex64), (1.0, 0.25)
    grid = with_zero(karras(150, smin=0.005, smax=20.0))
    pair = Pair(gaussian(a), gaussian(b))
    start = 20.0 * Noise(1)(0, torch.zeros(1, 4, 32, 32))
    x, h = parted(sample(pair, start, grid, PiGDM(Measured(y, Linear()), (a**0.5, b**0.5)), noise=Noise(1)))
    assert float(x.real.mean()) == pytest.approx(a / (a + b), abs=0.02)
    assert float(h.real.mean()) == pytest.approx(b / (a + b), abs=0.02)
    assert float(x.real.var()) == pytest.approx(a * b / (a + b), rel=0.12)


def test_dps_step_follows_the_gradient_of_the_norm_of_each_frame():
    y = torch.ones(1, 2, 2, dtype=torch.complex64)
    u, grid, pair = torch.zeros(1, 4, 2, 2), torch.tensor([0.5, 0.0]), Pair(gaussian(1.0), gaussian(1.0))
    moved = DPS(Measured(y, Linear()), 1.0)(pair, State(u), grid, Noise(0)).u
    # misfit = y - (c u_x + c u_h), c = 1 / 1.25; grad of its norm = -c misfit / |misfit|, |misfit| = 2
    torch.testing.assert_close(moved[:, 0], torch.full((1, 2, 2), 0.8 / 2))
    torch.testing.assert_close(moved[:, 1], torch.zeros(1, 2, 2))


@pytest.mark.parametrize("kind", [lambda m: DPS(m, 0.7), lambda m: PiGDM(m, (0.3, 0.2))])
def test_a_frame_does_not_depend_on_its_batch(kind):
    y = 0.2 * torch.randn(2, 6, 6, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
    u, grid, pair = torch.randn(2, 4, 6, 6), torch.tensor([0.5, 0.3]), Pair(gaussian(0.09), gaussian(0.04))
    both = kind(Measured(y, MuLaw()))(pair, State(u), grid, Noise(0, ("a", "b"))).u
    alone = kind(Measured(y[1:], MuLaw()))(pair, State(u[1:]), grid, Noise(0, ("b",))).u
    torch.testing.assert_close(both[1:], alone)
