"""The oracles of the engine's tests: a Gaussian and a four-component mixture in 8 dimensions, and exact propagation."""

import math

import pytest
import torch

from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """White noise, float64."""
    return Noise(seed, ("oracle",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


@pytest.fixture(scope="session")
def gaussian() -> Gaussian:
    """d = 8, eigenvalues .1 to 4, in an oblique basis."""
    variance = torch.logspace(-1, math.log10(4), 8, dtype=torch.float64)
    return Gaussian(normal(8, seed=1), variance, torch.linalg.qr(normal(8, 8, seed=2))[0])


@pytest.fixture(scope="session")
def mixture() -> Mixture:
    """d = 8, four components of rank 3 above a floor of .1."""
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    return Mixture(weights, 2 * normal(4, 8, seed=3), 0.6 * normal(4, 8, 3, seed=4), torch.full((4,), 0.1, dtype=torch.float64))


@pytest.fixture(scope="session")
def start(gaussian):
    """64 states at level 5."""
    return gaussian.noisy(normal(64, 8, seed=5), 5.0)


class FixedNoise(Noise):
    """Noise that is one given tensor, to read the noise gain of a step."""

    def __init__(self, z):
        object.__setattr__(self, "z", z)

    def __call__(self, step, like, draw=0):
        return self.z


@pytest.fixture(scope="session")
def propagate():
    """Mean and variance after a run on independent Gaussian modes, exactly: every step is affine, so it is read off by probes."""

    def run(step, prior, grid, mean, variance):
        mean, covariance = mean[:, None], variance[:, None, None]
        for index in range(len(grid) - 1):
            k = mean.shape[1]  # u and what the method remembers
            probes = torch.cat([torch.zeros(1, k), torch.eye(k), torch.zeros(1, k)]).double()
            z = torch.zeros(k + 2, len(mean), dtype=torch.float64)
            z[-1] = 1.0
            u, *history = (probes[:, j : j + 1].expand(-1, len(mean)) for j in range(k))
            moved = step(prior, State(u, index, tuple(history)), grid, FixedNoise(z))
            out = torch.stack([moved.u, *moved.history], -1)
            gain = torch.stack([row - out[0] for row in out[1:-1]], -1)
            noise_gain = out[-1] - out[0]
            mean = (gain @ mean[..., None])[..., 0] + out[0]
            covariance = gain @ covariance @ gain.mT + noise_gain[..., None] * noise_gain[:, None, :]
        return mean[:, 0], covariance[:, 0, 0]

    return run
