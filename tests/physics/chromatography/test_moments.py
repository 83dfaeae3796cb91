from dataclasses import replace

import numpy as np
import pytest
import torch

from physics.chromatography.moments import cumulants, diffusion_variance, kinetic_cumulants
from physics.chromatography.peaks import Peaks


def test_derived_numbers_of_the_five_aromatics_are_those_of_the_specification(btex, btex_peaks):
    mean, variance, _ = kinetic_cumulants(btex_peaks)[0].T.numpy()
    sigma = np.sqrt(variance)
    units = (btex.retention * btex.desorption)[0].numpy() * btex.hold_up
    np.testing.assert_allclose(btex.retention[0], [15.81, 13.03, 12.07, 5.705, 2.428], atol=5.1e-3)
    np.testing.assert_allclose(units, [7723, 4924, 6990, 2243, 440], atol=0.6)
    np.testing.assert_allclose(mean, [576.6, 481.5, 448.8, 231.2, 119.2], atol=0.06)
    np.testing.assert_allclose(sigma, [8.77, 9.05, 7.07, 5.94, 5.71], atol=5.1e-3)
    np.testing.assert_allclose((mean / sigma) ** 2, [4319, 2831, 4024, 1516, 435], atol=1.1)
    by_time = np.argsort(mean)
    resolution = np.diff(mean[by_time]) / (2 * (sigma[by_time][1:] + sigma[by_time][:-1]))
    np.testing.assert_allclose(resolution, [4.81, 8.36, 1.01, 2.67], atol=6e-3)


def test_dimensionless_groups_of_the_paper_reduce_to_retention_factors(btex):
    tau, scale = 1 / btex.desorption[0, 0], btex.velocity * btex.column.radius / (2 * btex.column.film * btex.adsorption[0, 0])
    assert float(scale / (btex.velocity * tau)) == pytest.approx(1 / float(btex.retention[0, 0]), rel=1e-14)
    assert 1 / float(btex.retention[0, 0]) == pytest.approx(0.0633, abs=6e-5)
    assert float(scale) == pytest.approx(1.8145e-3, rel=1e-4)
    assert float(tau) == pytest.approx(0.06997, abs=1e-5)
    assert btex.column.length / 1.8722e-3 == pytest.approx(10683, rel=1e-4)
    assert btex.diffusion[0, 0] == pytest.approx(2.06e-6, rel=5e-3)
    assert btex.diffusion[0, 4] == pytest.approx(2.89e-6, rel=5e-3)


def test_exact_cumulants_equal_the_closed_form_without_diffusion(btex_peaks):
    composed = replace(btex_peaks, tailing=0.7, mixing=0.3, delay=5.0)
    torch.testing.assert_close(cumulants(composed), kinetic_cumulants(composed), rtol=1e-10, atol=0)


@pytest.mark.parametrize("peclet", [2.0, 30.0, 1000.0])
def test_closed_closed_column_has_danckwerts_variance(peclet):
    none = torch.tensor([[0.0]], dtype=torch.float64)
    mean, variance, _ = cumulants(Peaks(none, 1.0, 10.0, dispersion=1 / peclet))[0, 0].tolist()
    assert mean == pytest.approx(10.0, rel=1e-12)
    assert variance == pytest.approx(100 * (2 / peclet - 2 / peclet**2 * (1 - np.exp(-peclet))), rel=1e-11)


def test_diffusion_adds_its_leading_variance_in_a_compressible_column(btex, btex_peaks):
    diffusing = replace(
        btex_peaks,
        dispersion=btex.diffusion / (btex.velocity * btex.column.length),
        pressure_ratio=btex.column.pressure_ratio,
    )
    added = cumulants(diffusing)[..., 1] - cumulants(btex_peaks)[..., 1]
    np.testing.assert_allclose(added / diffusion_variance(diffusing), 1.0, atol=2e-3)
