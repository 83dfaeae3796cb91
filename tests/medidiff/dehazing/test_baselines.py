"""Methods without a model on fields whose answer is known."""

import math

import pytest
import torch

from medidiff.dehazing.baselines import black_fill, dark_region, high_pass, local_power, nlm, oracle_wiener, wiener
from medidiff.dehazing.domain import MuLaw


def speckle(*shape, seed=1):
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def chamber():
    """Bright tissue around a dark chamber, haze of one power over both: (y, tissue, haze, chamber)."""
    inside = torch.zeros(1, 96, 64, dtype=torch.bool)
    inside[:, 24:72, 16:48] = True
    tissue = torch.where(inside, 0.003, 0.3) * speckle(1, 96, 64)
    haze = 0.03 * speckle(1, 96, 64, seed=2)
    return tissue + haze, tissue, haze, inside


def error_db(found, truth, where):
    return 10 * math.log10(float((found - truth)[where].abs().square().sum() / truth[where].abs().square().sum()))


def test_local_power_of_a_constant_is_its_square_up_to_the_edges():
    torch.testing.assert_close(local_power(torch.full((1, 12, 10), 3 + 4j), 5), torch.full((1, 12, 10), 25.0))


def test_dark_region_is_the_chamber(chamber):
    y, _, _, inside = chamber
    found = dark_region(y, window=9)
    assert float((found == inside).float().mean()) > 0.9


def test_a_frame_of_one_level_has_no_dark_region():
    assert not dark_region(torch.ones(1, 16, 16, dtype=torch.complex64), window=5).any()


def test_black_fill_wins_nothing_that_knows_the_truth(chamber):
    y, tissue, _, inside = chamber
    found = black_fill(y, inside)
    assert error_db(found, tissue, inside) == pytest.approx(0, abs=1e-5)  # all of the chamber's signal is lost
    torch.testing.assert_close(found[~inside], y[~inside])


def test_wiener_takes_the_haze_out_of_the_chamber_and_leaves_the_tissue(chamber):
    y, tissue, _, inside = chamber
    found, core = wiener(y, window=9), inside & (local_power(inside + 0j, 9) > 0.999)  # away from the walls' windows
    assert float(found[core].abs().square().mean()) < 0.1 * float(y[core].abs().square().mean())
    assert error_db(found, tissue, ~inside) < error_db(y, tissue, ~inside) + 0.5


def test_oracle_is_better_than_the_measurement_everywhere(chamber):
    y, tissue, haze, inside = chamber
    found = oracle_wiener(y, tissue, haze, window=9)
    for where in (inside, ~inside):
        assert error_db(found, tissue, where) < error_db(y, tissue, where)


def test_high_pass_halves_the_amplitude_at_its_cutoff_and_drops_what_is_the_same_in_all_lines():
    lines = torch.arange(64)
    wave = torch.exp(2j * math.pi * 8 / 64 * lines).expand(1, 3, 64).to(torch.complex64)  # a quarter of the largest frequency
    torch.testing.assert_close(high_pass(wave, cutoff=0.25), 0.5 * wave, rtol=1e-4, atol=1e-5)
    assert float(high_pass(torch.ones_like(wave), cutoff=0.25).abs().max()) < 1e-6


def test_non_local_means_keep_what_repeats():
    stripes = (0.3 * torch.cos(torch.arange(48) * 0.8)).expand(1, 32, 48) + 0j
    noisy = stripes + 0.02 * speckle(1, 32, 48)
    found = nlm(noisy.to(torch.complex64), MuLaw(), strength=0.8)
    everywhere = torch.ones(1, 32, 48, dtype=torch.bool)
    assert error_db(found, stripes, everywhere) < error_db(noisy, stripes, everywhere) - 2
