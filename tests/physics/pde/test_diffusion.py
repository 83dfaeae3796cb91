import math

import numpy as np
import pytest
import torch

from physics.pde.diffusion import ImplicitDiffusion
from physics.pde.transport import convect_and_diffuse

NONE = torch.zeros(1, dtype=torch.float64)
STILL = torch.zeros(1, dtype=torch.float64)


def cosine_error(cells, steps, total=0.02):
    """Error of one decaying mode of the closed row, D = 1, L = 1, after `total` seconds, without the error of space."""
    width = 1.0 / cells
    x = (torch.arange(cells, dtype=torch.float64) + 0.5) * width
    values = torch.cos(2 * math.pi * x)[None]
    diffusion = ImplicitDiffusion(torch.ones(cells + 1, dtype=torch.float64), width, is_dirichlet=False)
    for _ in range(steps):
        values = convect_and_diffuse(values, STILL, inlet=NONE, number=total / steps / width, diffusion=diffusion)[0]
    discrete_rate = (2 - 2 * math.cos(2 * math.pi * width)) / width**2
    return float((values - math.exp(-discrete_rate * total) * torch.cos(2 * math.pi * x)).abs().max())


def test_a_cosine_decays_at_its_rate_with_second_order_in_time():
    errors = [cosine_error(37, steps) for steps in (4, 8, 16)]
    assert np.log2(errors[1] / errors[2]) > 1.9
    assert errors[2] < 1e-3


def test_a_huge_step_flattens_the_row_instead_of_ringing():
    values = torch.zeros((1, 40), dtype=torch.float64)
    values[0, 20] = 1.0
    diffusion = ImplicitDiffusion(torch.ones(41, dtype=torch.float64), 0.025, is_dirichlet=False)
    new = convect_and_diffuse(values, STILL, inlet=NONE, number=1e6 / 0.025, diffusion=diffusion)[0]
    torch.testing.assert_close(new, torch.full_like(new, 1 / 40), rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_dirichlet", [True, False])
def test_a_stage_solves_the_dense_system_with_variable_coefficients(is_dirichlet):
    generator = torch.Generator().manual_seed(3)
    cells, width, step = 23, 0.1, 0.03
    diffusion = torch.rand((2, 3, cells + 1), generator=generator, dtype=torch.float64) + 0.1
    values = torch.randn((2, 3, cells), generator=generator, dtype=torch.float64)
    inlet = torch.randn((2, 3), generator=generator, dtype=torch.float64)
    operator = ImplicitDiffusion(diffusion, width, is_dirichlet)
    new, slope = operator.stage(values, inlet, step)
    torch.testing.assert_close(operator.rate(new, inlet), slope, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(width * slope.sum(dim=-1), operator.inflow(new, inlet), rtol=1e-10, atol=1e-11)
    conductance = (diffusion / width).numpy().copy()
    conductance[..., 0] *= 2 * is_dirichlet
    conductance[..., -1] = 0
    for row in np.ndindex(2, 3):
        g = conductance[row]
        matrix = (np.diag(-g[1:] - g[:-1]) + np.diag(g[1:-1], 1) + np.diag(g[1:-1], -1)) / width
        right = values[row].numpy().copy()
        right[0] += step * g[0] * float(inlet[row]) / width
        np.testing.assert_allclose(new[row], np.linalg.solve(np.eye(cells) - step * matrix, right), atol=1e-12)
