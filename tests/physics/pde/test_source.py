import math

import numpy as np
import pytest
import torch

from physics.pde.source import LinearSource, StiffSource, cell_jacobian


def relaxation(time):
    """Bound amount of a closed Langmuir batch, q' = c (1 - q) - q with c = 1 - q, q(0) = 0: roots (3 -+ sqrt 5)/2."""
    low, high, decay = (3 - math.sqrt(5)) / 2, (3 + math.sqrt(5)) / 2, math.exp(-math.sqrt(5) * time)
    return low * (1 - decay) / (1 - low / high * decay)


def langmuir_rate(values, time):
    exchange = values[:, 0] * (1 - values[:, 1]) - values[:, 1]
    return torch.stack([-exchange, exchange], dim=1)


def test_langmuir_batch_relaxes_along_its_closed_form_with_second_order():
    source, errors = StiffSource(langmuir_rate), []
    for steps in (20, 40, 80):
        values = torch.tensor([1.0, 0.0], dtype=torch.float64).reshape(1, 2, 1)
        for index in range(steps):
            values = source.advance(values, index / steps, 1 / steps)
        errors.append(abs(float(values[0, 1, 0]) - relaxation(1.0)))
        assert float(values.sum()) == pytest.approx(1.0, abs=1e-14)
    assert np.log2(errors[1] / errors[2]) > 1.9
    assert errors[2] < 2e-5


def test_a_step_far_beyond_the_time_scale_reaches_equilibrium():
    source = StiffSource(lambda values, time: -1e9 * (values - math.pi))
    values = source.advance(torch.zeros((1, 1, 4), dtype=torch.float64), 0.0, 1.0)
    torch.testing.assert_close(values, torch.full_like(values, math.pi), rtol=1e-7, atol=0)


def test_linear_exchange_is_the_cayley_transform_and_keeps_the_total():
    matrix = torch.tensor([[-12.0, 5.0], [12.0, -5.0]], dtype=torch.float64)
    values = torch.rand((3, 2, 7), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    new = LinearSource(matrix).advance(values, 0.0, 0.01)
    torch.testing.assert_close(new.sum(dim=1), values.sum(dim=1), rtol=1e-14, atol=0)
    departure = 12 * values[:, 0] - 5 * values[:, 1]
    factor = (1 - 0.5 * 17 * 0.01) / (1 + 0.5 * 17 * 0.01)
    torch.testing.assert_close(12 * new[:, 0] - 5 * new[:, 1], factor * departure, rtol=1e-12, atol=1e-14)


def test_cell_jacobian_equals_finite_differences():
    values = torch.rand((2, 2, 5), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    jacobian = cell_jacobian(langmuir_rate, values, 0.0)
    for j in range(2):
        shift = torch.zeros_like(values)
        shift[:, j] = 1e-6
        difference = (langmuir_rate(values + shift, 0.0) - langmuir_rate(values - shift, 0.0)) / 2e-6
        torch.testing.assert_close(jacobian[..., j], difference.movedim(1, -1), rtol=0, atol=1e-9)


def test_a_rate_that_is_not_finite_is_refused_with_advice():
    with pytest.raises(ValueError, match="halve the time step"):
        StiffSource(lambda values, time: values / 0.0).advance(torch.ones((1, 1, 1), dtype=torch.float64), 0.0, 0.1)
