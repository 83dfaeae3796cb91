import math

import pytest
import torch

from physics.ct.noise import count_photons, line_integrals, noise_std, whitening_weights

MANY = 200_000


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("electronic_std", [0.0, 12.0])
def test_counts_have_the_mean_and_variance_of_poisson_and_electronics(electronic_std):
    p = torch.full((MANY,), 3.0, dtype=torch.float64)
    counts = count_photons(p, photons=1e4, generator=generator(), electronic_std=electronic_std)
    mean, variance = 1e4 * math.exp(-3), 1e4 * math.exp(-3) + electronic_std**2
    assert float(counts.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / MANY))
    assert float(counts.var()) == pytest.approx(variance, rel=4 * math.sqrt(2 / MANY))


@pytest.mark.parametrize("electronic_std", [0.0, 12.0])
def test_whitened_errors_of_the_true_image_have_unit_chi_square(electronic_std):
    p = torch.linspace(0.0, 3.0, MANY, dtype=torch.float64)
    counts = count_photons(p, photons=1e5, generator=generator(), electronic_std=electronic_std)
    weights = whitening_weights(counts, electronic_std=electronic_std)
    chi_square = float((weights * (line_integrals(counts, photons=1e5) - p) ** 2).mean())
    assert chi_square == pytest.approx(1.0, abs=3 * math.sqrt(2 / MANY))


def test_counts_without_noise_come_back_as_their_line_integrals():
    p = torch.linspace(0.0, 6.0, 50, dtype=torch.float64)
    torch.testing.assert_close(line_integrals(1e4 * torch.exp(-p), photons=1e4), p, rtol=1e-12, atol=1e-12)


def test_bins_without_a_photon_are_finite_and_carry_no_weight():
    counts = torch.tensor([-3.0, 0.0, 0.5, 1.0, 100.0])
    assert line_integrals(counts, photons=1e4)[:3].tolist() == pytest.approx([math.log(1e4)] * 3)
    assert whitening_weights(counts).tolist() == [0.0, 0.0, 0.0, 1.0, 100.0]


def test_the_noise_level_is_the_root_mean_variance_of_trusted_bins():
    assert noise_std(torch.tensor([0.0, 4.0, 1.0])) == pytest.approx(math.sqrt((0.25 + 1.0) / 2))


def test_the_same_seed_gives_the_same_counts():
    p = torch.ones(100)
    one, two = (count_photons(p, photons=100.0, generator=generator(), electronic_std=1.0) for _ in range(2))
    assert torch.equal(one, two)


def test_impossible_doses_and_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match=r"found 0\.0 photons"):
        count_photons(torch.ones(3), photons=0.0, generator=generator())
    with pytest.raises(ValueError, match=r"electronic_std -1\.0"):
        whitening_weights(torch.ones(3), electronic_std=-1.0)
    with pytest.raises(ValueError, match="line integrals: found values that are not finite"):
        count_photons(torch.tensor([math.nan]), photons=10.0, generator=generator())
    with pytest.raises(ValueError, match="counts: found values that are not finite"):
        line_integrals(torch.tensor([math.inf]), photons=10.0)
    with pytest.raises(ValueError, match="No photon arrived"):
        noise_std(torch.zeros(3))
