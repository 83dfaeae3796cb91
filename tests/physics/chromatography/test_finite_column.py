import numpy as np
import pytest
import torch

from physics.chromatography.column import hold_up_factor
from physics.chromatography.finite_column import ProgrammedExchange, compressible_model, programmed_model
from physics.chromatography.kernel import pulse_response
from physics.pde.finite_volume import march
from physics.pde.source import StiffSource


def peak_error(retention, desorption, column, cells):
    """Largest error of one peak by finite volumes, over its height; the column's hold-up follows from its other numbers."""
    model = compressible_model(retention, desorption, **column)(cells)
    P, length, u0, injection = (column[name] for name in ("pressure_ratio", "length", "inlet_velocity", "injection"))
    hold_up = hold_up_factor(P) * length / u0 * torch.ones_like(retention)
    step = 0.8 * length / cells * P / u0
    step = injection / np.ceil(injection / step)
    last = float(hold_up * (1 + retention) + injection + 6 * torch.sqrt(2 * retention * hold_up / desorption))
    run = march(model, torch.zeros((1, 2, cells), dtype=torch.float64), step=step, steps=int(last / step))
    assert float(run.imbalance.abs().max()) < 1e-12
    exact = pulse_response(run.times, retention=retention, desorption=desorption, hold_up=hold_up, injection=injection)[0]
    return float((run.outlet[0, 0] / P - exact).abs().max() / exact.max())


def test_a_short_column_by_finite_volumes_converges_to_the_kernel():
    k, kd = torch.tensor([1.5], dtype=torch.float64), torch.tensor([6.0], dtype=torch.float64)
    column = {"length": 2.0, "inlet_velocity": 0.4, "pressure_ratio": 0.6, "injection": 2.0}
    errors = [peak_error(k, kd, column, cells) for cells in (40, 80)]
    assert errors[1] < 0.01
    assert np.log2(errors[0] / errors[1]) > 1.5


@pytest.mark.slow
def test_benzene_by_finite_volumes_converges_with_second_order(btex):
    column = {
        "length": btex.column.length,
        "inlet_velocity": btex.velocity,
        "pressure_ratio": btex.column.pressure_ratio,
        "injection": btex.injection,
    }
    k, kd = btex.retention[0, 4:], btex.desorption[0, 4:]
    errors = [peak_error(k, kd, column, cells) for cells in (100, 200, 400)]
    assert (np.array(errors) < 1.05 * np.array([0.17, 0.047, 0.010])).all()
    assert np.log2(errors[1] / errors[2]) > 1.9


def test_programmed_model_at_constant_temperature_is_the_isothermal_one():
    k, kd = torch.tensor([3.0], dtype=torch.float64), torch.tensor([40.0], dtype=torch.float64)
    common = {"length": 1.0, "pressure_ratio": 0.5, "injection": 0.2}
    isothermal = compressible_model(k, kd, inlet_velocity=0.4, **common)(40)
    programmed = programmed_model(lambda time: k, kd, inlet_velocity=lambda time: 0.4, **common)(40)
    start = torch.zeros((1, 2, 40), dtype=torch.float64)
    ours = march(programmed, start, step=0.01, steps=60).final
    theirs = march(isothermal, start, step=0.01, steps=60).final
    assert (ours - theirs).abs().max() < 5e-3 * theirs.max()


def test_programmed_exchange_is_the_general_stiff_source():
    k = lambda time: torch.tensor([3.0 - time, 1e6 * (1 - time)], dtype=torch.float64)
    kd = torch.tensor([40.0, 1e4], dtype=torch.float64)

    def rate(values, time):
        exchange = kd[:, None] * (k(time)[:, None] * values[:, 0] - values[:, 1])
        return torch.stack([-exchange, exchange], dim=1)

    values = torch.rand((2, 2, 6), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    ours = ProgrammedExchange(k, kd).advance(values, 0.1, 0.05)
    torch.testing.assert_close(ours, StiffSource(rate).advance(values, 0.1, 0.05), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(ours.sum(dim=1), values.sum(dim=1), rtol=1e-14, atol=0)
