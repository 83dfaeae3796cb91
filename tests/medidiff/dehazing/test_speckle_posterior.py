"""The joint sampler with priors that are exact, companding and all: it must reach what Bayes' rule allows, and no more."""

import math

import pytest
import torch
from torch import Tensor

from medidiff.dehazing.domain import MuLaw, channels, signal
from medidiff.dehazing.split_gibbs import SplitGibbs, cold_start, repeated_levels
from medidiff.diffusion.joint import Pair
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import sample

MU, SAMPLES = 255.0, 8
AMPLITUDES, RADII = torch.linspace(2e-3, 1.2, 120, dtype=torch.float64), 120


class Speckle:
    """E[C(x) | C(x) + sigma z] where the samples of x are independent, circular Gaussian and of known power.

    power   (axial, lateral), mean |x|^2

        E = integral of c I1(r c / sigma^2) w(c) dc / integral of I0(r c / sigma^2) w(c) dc,   r = |u|, c = |C(x)|,
        w(c) = p(|x|) d|x| / dc exp(-(c^2 + r^2) / 2 sigma^2),   |x| Rayleigh: the phase is integrated out
    """

    def __init__(self, power: Tensor):
        self.levels, self.where = power.unique(return_inverse=True)
        self.tables: dict[float, Tensor] = {}  # a level comes in several rounds

    def __call__(self, u: Tensor, sigma: Tensor) -> Tensor:
        noisy, level = signal(u), float(sigma[0])
        top = 1.2 + 6 * level
        place = noisy.abs() / top * (RADII - 1)
        below = place.long().clamp(max=RADII - 2)
        if level not in self.tables:
            radius = torch.linspace(0, top, RADII, dtype=torch.float64)
            self.tables[level] = torch.stack([self.mean(radius, float(power), level) for power in self.levels])
        table = self.tables[level]
        low, high = (table[self.where.expand_as(below), index] for index in (below, below + 1))
        found = low + (place - below) * (high - low)
        return channels(noisy / noisy.abs().clamp(min=1e-12) * found).to(u)

    def mean(self, radius: Tensor, power: float, sigma: float) -> Tensor:
        c, r = AMPLITUDES, radius[:, None]
        growth = (c * math.log1p(MU)).exp()
        a = (growth - 1) / MU
        log_weight = (a * growth).log() - a**2 / power - (r - c) ** 2 / (2 * sigma**2)
        weight = (log_weight - log_weight.amax(1, keepdim=True)).exp()
        x = r * c / sigma**2
        return (weight * c * torch.special.i1e(x)).sum(1) / (weight * torch.special.i0e(x)).sum(1)


@pytest.fixture(scope="module")
def separated():
    """Bright tissue beside a dark chamber, haze over both: (tissue, Wiener filter, its mean squared error, samples)."""
    generator = torch.Generator().manual_seed(4)
    own = torch.full((32, 32), 0.02).index_fill(1, torch.arange(20, 32), 2e-4)
    other = torch.full((32, 32), 2e-3)
    x, h = (power.sqrt() * torch.randn(1, 32, 32, dtype=torch.complex64, generator=generator) for power in (own, other))
    step, noise = SplitGibbs((x + h).expand(SAMPLES, -1, -1), MuLaw(MU)), Noise(5, tuple(map(str, range(SAMPLES))))
    grid = repeated_levels(8, 3, sigma_min=0.02, sigma_max=1.0)
    u = sample(Pair(Speckle(own), Speckle(other)), cold_start(step, 1.0, noise), grid, step, noise=noise)
    return x, own / (own + other) * (x + h), own * other / (own + other), step.separated(u)[0]


@pytest.mark.parametrize("columns", [slice(0, 20), slice(20, 32)], ids=["tissue", "chamber"])
def test_samples_of_speckle_have_the_mean_and_the_spread_of_the_posterior(separated, columns):
    _, wiener, variance, samples = separated
    expected = float(variance[:, columns].sum())
    apart = float((samples.mean(0) - wiener)[..., columns].abs().square().sum())
    spread = float(samples[..., columns].var(0).sum())
    assert spread == pytest.approx(expected, rel=0.15)
    assert apart < 0.35 * expected  # 1/8 from the number of samples; the rest is the bias of 24 rounds


def test_one_sample_has_twice_the_error_of_the_wiener_filter_and_a_mean_of_eight_an_eighth_more(separated):
    x, wiener, _, samples = separated
    least = float((wiener - x).abs().square().sum())
    assert float((samples[0] - x).abs().square().sum()) == pytest.approx(2 * least, rel=0.15)
    assert float((samples.mean(0) - x).abs().square().sum()) == pytest.approx((1 + 1 / SAMPLES) * least, rel=0.15)
