import numpy as np
import pytest
import torch

from physics.chromatography.finite_column import compressible_model, programmed_model
from physics.chromatography.kernel import pulse_response
from physics.pde.finite_volume import march


def peak_error(btex, cells):
    """Largest error of benzene's peak by finite volumes, over its height."""
    k, kd, P = btex.retention[0, 4:], btex.desorption[0, 4:], btex.column.pressure_ratio
    model = compressible_model(
        k, kd, length=btex.column.length, inlet_velocity=btex.velocity, pressure_ratio=P, injection=btex.injection
    )(cells)
    step = 0.8 * btex.column.length / cells / (btex.velocity / P)
    step = btex.injection / np.ceil(btex.injection / step)
    run = march(model, torch.zeros((1, 2, cells), dtype=torch.float64), step=step, steps=int(160 / step))
    assert float(run.imbalance.abs().max()) < 1e-12
    exact = pulse_response(run.times, k, kd, torch.tensor([btex.hold_up], dtype=torch.float64), btex.injection)[0]
    return float((run.outlet[0, 0] / P - exact).abs().max() / exact.max())


def test_benzene_by_finite_volumes_has_the_tabulated_error(btex):
    coarse, fine = peak_error(btex, 40), peak_error(btex, 80)
    assert fine < 0.25
    assert np.log2(coarse / fine) > 1.2


@pytest.mark.slow
def test_benzene_by_finite_volumes_converges_with_second_order(btex):
    errors = [peak_error(btex, cells) for cells in (100, 200, 400, 800)]
    assert (np.array(errors) < 1.05 * np.array([0.17, 0.047, 0.010, 0.0024])).all()
    assert np.log2(errors[2] / errors[3]) > 1.9


def test_programmed_model_at_constant_temperature_is_the_isothermal_one():
    k, kd = torch.tensor([3.0], dtype=torch.float64), torch.tensor([40.0], dtype=torch.float64)
    common = {"length": 1.0, "pressure_ratio": 0.5, "injection": 0.2}
    isothermal = compressible_model(k, kd, inlet_velocity=0.4, **common)(40)
    programmed = programmed_model(lambda time: k, kd, inlet_velocity=lambda time: 0.4, **common)(40)
    start = torch.zeros((1, 2, 40), dtype=torch.float64)
    ours = march(programmed, start, step=0.01, steps=60).final
    theirs = march(isothermal, start, step=0.01, steps=60).final
    assert (ours - theirs).abs().max() < 5e-3 * theirs.max()
