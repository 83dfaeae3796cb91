from dataclasses import replace

import numpy as np
import pytest
import torch

from physics.chromatography.kernel import pulse_response
from physics.chromatography.reference import PaperColumn, double_integral, finite_differences, longest_step


@pytest.fixture
def benzene(btex):
    return PaperColumn(
        float(btex.retention[0, 4]), 5.299, btex.velocity, btex.column.length, btex.column.pressure_ratio, btex.injection
    )


def kernel(column, times):
    k, kd, hold_up = (torch.tensor([v], dtype=torch.float64) for v in (column.retention, column.desorption, column.hold_up))
    return pulse_response(torch.tensor(times), retention=k, desorption=kd, hold_up=hold_up, injection=column.injection)[0].numpy()


def test_double_integral_equals_the_kernel(benzene):
    times = np.array([30.0, 36.0, 100.0, 119.0, 140.0])
    np.testing.assert_allclose(double_integral(benzene, times), kernel(benzene, times), atol=1e-9)


def test_finite_differences_approach_the_kernel_at_the_tabulated_errors(benzene):
    times = np.linspace(60.0, 200.0, 281)
    exact = kernel(benzene, times)
    errors = [np.abs(finite_differences(benzene, times, cells=n) - exact).max() / exact.max() for n in (125, 250, 500)]
    assert errors[0] < 0.25
    assert errors[1] < 0.13
    assert errors[2] < 0.035


def test_finite_differences_blow_up_beyond_their_stability_limit_and_not_below(benzene):
    times = np.array([200.0])
    limit = longest_step(benzene, 500)
    assert abs(finite_differences(benzene, times, cells=500, step=0.95 * limit)[0]) < 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        assert not abs(finite_differences(benzene, times, cells=500, step=1.6 * limit)[0]) < 1e50


def test_diffusion_shortens_the_longest_step_and_widens_the_peak(benzene):
    diffusing = replace(benzene, diffusion=0.02)
    assert longest_step(diffusing, 500) == pytest.approx((20 / 500) ** 2 / (2 * 0.02 / benzene.pressure_ratio))
    times = np.linspace(60.0, 200.0, 281)
    assert finite_differences(diffusing, times, cells=125).max() < finite_differences(benzene, times, cells=125).max()
