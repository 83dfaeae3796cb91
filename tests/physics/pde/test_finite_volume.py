import math

import numpy as np
import pytest
import torch

from physics.pde.finite_volume import Model, march
from physics.pde.inlet import box, smooth
from physics.pde.method_of_lines import solve_lines
from physics.pde.source import LinearSource, StiffSource
from physics.pde.tracer import decaying_steady_state, lindstrom, ogata_banks

ONE = torch.ones((1, 1), dtype=torch.float64)


def constant(speed):
    return lambda time: torch.tensor(speed, dtype=torch.float64).reshape(1, -1, 1)


def pulse_error(cells):
    """Mean error of a smooth pulse after it crossed the row: pure transport at Courant number 0.8."""
    length, speed = 1.0, 0.5
    history = lambda time: ONE * (math.sin(math.pi * time / 0.8) ** 4 if 0 < time < 0.8 else 0.0)
    step = 0.8 * length / cells / speed
    steps = round(1.8 / step)
    model = Model(length, constant(speed), smooth(history))
    run = march(model, torch.zeros((1, 1, cells), dtype=torch.float64), step=step, steps=steps)
    x = (np.arange(cells) + 0.5) / cells
    exact = np.array([float(history(steps * step - position / speed)) for position in x])
    return float(np.abs(run.final[0, 0].numpy() - exact).mean())


def test_transport_converges_with_its_order_and_keeps_mass():
    errors = [pulse_error(cells) for cells in (50, 100, 200)]
    assert np.log2(errors[0] / errors[1]) > 2.0
    assert np.log2(errors[1] / errors[2]) > 2.0


def tracer_error(cells, is_dirichlet):
    """Error against the closed form at t = 1, before the front feels the outlet."""
    length, speed, diffusion = 4.0, 1.0, 0.05
    spread = torch.full((cells + 1,), diffusion, dtype=torch.float64)
    model = Model(length, constant(speed), box(ONE, math.inf), diffusion=spread, is_dirichlet=is_dirichlet)
    step = 0.8 * length / cells / speed
    steps = round(1.0 / step)
    run = march(model, torch.zeros((1, 1, cells), dtype=torch.float64), step=step, steps=steps)
    x = (np.arange(cells) + 0.5) * length / cells
    assert float(run.imbalance.abs().max()) < 1e-12
    exact = ogata_banks if is_dirichlet else lindstrom
    return float(np.abs(run.final[0, 0].numpy() - exact(x, steps * step, velocity=speed, diffusion=diffusion)).max())


@pytest.mark.parametrize("is_dirichlet", [True, False])
def test_dispersed_front_converges_to_the_closed_form_of_its_inlet(is_dirichlet):
    errors = [tracer_error(cells, is_dirichlet) for cells in (80, 160, 320)]
    assert np.log2(errors[0] / errors[1]) > 1.85
    assert np.log2(errors[1] / errors[2]) > 1.85
    assert errors[2] < 4e-4


def test_reacting_tracer_settles_to_its_steady_state():
    speed, diffusion, rate, cells = 1.0, 0.1, 2.0, 50
    model = Model(
        2.0,
        constant(speed),
        box(ONE, math.inf),
        diffusion=torch.full((cells + 1,), diffusion, dtype=torch.float64),
        source=StiffSource(lambda values, time: -rate * values),
        conserved=torch.zeros((0, 1), dtype=torch.float64),
        is_dirichlet=True,
    )
    run = march(model, torch.zeros((1, 1, cells), dtype=torch.float64), step=0.03, steps=100)
    x = (np.arange(cells) + 0.5) * 0.04
    half = (x > 0.08) & (x < 1.0)
    np.testing.assert_allclose(
        run.final[0, 0].numpy()[half], decaying_steady_state(x, velocity=speed, diffusion=diffusion, rate=rate)[half], atol=4e-3
    )


def exchange_model(speed=0.5, ratio=2.0, rate=3.0):
    """A mobile and an immobile component that exchange."""
    matrix = rate * torch.tensor([[-ratio, 1.0], [ratio, -1.0]], dtype=torch.float64)
    velocity = lambda time: torch.tensor([[[speed], [0.0]]], dtype=torch.float64)
    inlet = box(torch.tensor([[1.0, 0.0]], dtype=torch.float64), 0.5)
    return Model(1.0, velocity, inlet, source=LinearSource(matrix), conserved=torch.ones((1, 2), dtype=torch.float64))


def test_total_of_a_reversible_exchange_balances_to_rounding():
    run = march(exchange_model(), torch.zeros((1, 2, 60), dtype=torch.float64), step=0.027, steps=900)
    assert float(run.imbalance.abs().max()) < 1e-13
    assert float(run.eluted[0, 0, -1]) == pytest.approx(0.25, rel=1e-4)


def test_splitting_agrees_with_the_method_of_lines():
    cells, speed, ratio, rate = 60, 0.5, 2.0, 3.0
    run = march(exchange_model(), torch.zeros((1, 2, cells), dtype=torch.float64), step=0.01, steps=300, save=(300,))

    def slope(time, state):
        faces = np.concatenate([[1.0 if time < 0.5 else 0.0], state[0]])
        exchange = rate * (ratio * state[0] - state[1])
        return np.stack([-speed * np.diff(faces) * cells - exchange, exchange])

    lines = solve_lines(slope, np.zeros((2, cells)), np.linspace(0, 3.0, 31), bandwidth=1, relative=1e-7)
    first_order = lines[0, :, -1]
    fine = run.profiles[0, 0, :, 0].numpy()
    assert np.abs(fine - first_order).max() < 0.15 * fine.max()
    assert np.sum(lines[:, :, -1]) / cells + speed * np.trapezoid(lines[0, -1], np.linspace(0, 3, 31)) == pytest.approx(
        0.25, rel=1e-2
    )


def test_a_velocity_that_changes_in_time_moves_the_pulse_by_its_integral():
    velocity = lambda time: torch.tensor(0.5 + 0.25 * time, dtype=torch.float64).reshape(1, 1, 1)
    cells = 400
    x = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells * 2.0
    start = torch.exp(-(((x - 0.4) / 0.08) ** 2)).reshape(1, 1, -1)
    run = march(Model(2.0, velocity, box(0 * ONE, 1.0)), start, step=0.005, steps=200)
    moved = float((run.final[0, 0] * x).sum() / run.final.sum())
    assert moved == pytest.approx(0.4 + 0.5 + 0.125, abs=2e-5)


def test_rows_of_a_batch_do_not_touch_each_other():
    inlet = box(torch.tensor([[1.0], [0.0]], dtype=torch.float64), 0.3)
    velocity = lambda time: torch.tensor([[[0.5]], [[0.25]]], dtype=torch.float64)
    run = march(Model(1.0, velocity, inlet), torch.zeros((2, 1, 40), dtype=torch.float64), step=0.04, steps=30)
    assert float(run.final[1].abs().max()) == 0.0
    alone = march(Model(1.0, constant(0.5), box(ONE, 0.3)), torch.zeros((1, 1, 40), dtype=torch.float64), step=0.04, steps=30)
    torch.testing.assert_close(run.final[:1], alone.final, rtol=0, atol=0)


def test_no_new_extrema_appear_at_a_sharp_front():
    run = march(Model(1.0, constant(1.0), box(ONE, 0.3)), torch.zeros((1, 1, 50), dtype=torch.float64), step=0.01, steps=60)
    assert float(run.final.min()) >= -1e-15
    assert float(run.final.max()) <= 1 + 1e-12


def test_too_long_a_step_and_lost_mass_are_refused_with_advice():
    start = torch.zeros((1, 1, 50), dtype=torch.float64)
    with pytest.raises(ValueError, match=r"Courant number u dt/dx is 2\.5 .* at most 0\.02 s"):
        march(Model(1.0, constant(1.0), box(ONE, 0.3)), start, step=0.05, steps=2)
    leaking = Model(1.0, constant(1.0), box(ONE, 0.3), source=StiffSource(lambda values, time: -values))
    with pytest.raises(ValueError, match="mass is out of balance"):
        march(leaking, start, step=0.02, steps=20)
