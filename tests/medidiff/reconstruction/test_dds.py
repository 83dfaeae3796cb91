"""DDS as released: its levels, its blind last step, its bias; DiffusionMBIR as released: its reach for the data."""

import math

import pytest
import torch

from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.grid import with_zero
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State
from medidiff.diffusion.stochastic import Renoise
from medidiff.reconstruction.dds import DDS, ReleasedStep, dds_released, released_levels
from medidiff.reconstruction.mbir import MBIR, mbir_released
from medidiff.reconstruction.operators import ct_scan
from medidiff.reconstruction.sweep import Sweep, VolumeStep

WINDOW = (-1000.0, 1000.0)


class Recorder:
    """The denoiser of white data around a mean, which keeps what it was asked."""

    limits = Limits(0.002, 80.0, 0.5)

    def __init__(self, mean=-0.5):
        self.mean, self.calls = mean, []

    def __call__(self, u, sigma):
        self.calls.append((float(sigma[0]), u))
        share = (0.25 / (0.25 + sigma**2)).to(u).reshape(-1, 1, 1, 1)
        return self.mean + share * (u - self.mean)


def test_levels_are_every_twentieth_of_the_ddpm_table_and_end_at_its_first():
    grid = released_levels(50, unit=2.0)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    bar = torch.cumprod(1 - betas, 0)
    expected = [2 * math.sqrt((1 - float(bar[t])) / float(bar[t])) for t in range(980, -1, -20)]
    assert grid.tolist() == pytest.approx(expected, rel=1e-9)
    assert float(released_levels(50, unit=2.0, largest=30.0)[0]) <= 30.0


def test_no_noise_is_put_back_before_the_last_call(measure, hu):
    measurement = ct_scan(measure(hu), WINDOW).measurement()
    grid, noise = with_zero(released_levels(20, unit=2.0)), Noise(0)
    inner = VolumeStep(Renoise(eta=0.85, rule="fresh", noise_from="prior"), Sweep(measurement, 5, 0.1, 0.01), lambda sigma: 0.0)
    u = torch.randn((3, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    for step, is_quiet in ((16, False), (17, False), (18, True), (19, True)):
        level = torch.full((3,), float(grid[step]), dtype=torch.float64)
        clean, _ = inner.sweep(Recorder()(u, level), 0.0, inner.sweep.no_duals(u))
        after = ReleasedStep(inner)(Recorder(), State(u, step), grid, noise)
        assert after.step == step + 1
        assert torch.equal(after.u, clean) == is_quiet


def test_dds_fits_the_noise_whatever_the_measurement_says_of_itself(measure, hu):
    measurement = measure(hu, views=20, noise_std=0.05)
    scan = ct_scan(measurement, WINDOW)
    found = dds_released(Recorder(), scan.measurement(), (3, 1, 16, 16), options=DDS(steps=20), noise=Noise(0))
    blind = Measurement(scan.measurement().operator, scan.measurement().y, 0.0)
    assert torch.equal(found, dds_released(Recorder(), blind, (3, 1, 16, 16), options=DDS(steps=20), noise=Noise(0)))
    assert scan.chi_square(scan.volume(found)) < 0.8


def test_mbir_calls_twice_per_level_and_ends_near_the_data(measure, hu):
    scan = ct_scan(measure(hu, views=20), WINDOW)
    denoiser = Recorder()
    found = mbir_released(denoiser, scan.measurement(), (3, 1, 16, 16), options=MBIR(steps=40), noise=Noise(0))
    assert len(denoiser.calls) == 80
    assert [level for level, _ in denoiser.calls][::2] == [level for level, _ in denoiser.calls][1::2]
    assert (denoiser.calls[0][0], denoiser.calls[-1][0]) == pytest.approx((80.0, 0.02))
    assert scan.misfit(scan.volume(found)) < 0.1


def test_more_steps_towards_the_data_take_the_prior_away_from_mbir(measure, hu):
    scan = ct_scan(measure(hu, views=20), WINDOW)

    def away(data_steps: int) -> float:
        """Distance of the results of two priors."""
        options = MBIR(steps=20, data_steps=data_steps)
        low, high = (
            mbir_released(Recorder(mean), scan.measurement(), (3, 1, 16, 16), options=options, noise=Noise(0))
            for mean in (-0.9, -0.1)
        )
        return float((low - high).norm())

    assert away(30) < 0.5 * away(1)
