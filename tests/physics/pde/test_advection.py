import math

import pytest
import torch

from physics.pde.advection import advect

F64 = torch.float64


def wave(x):
    return torch.sin(2 * math.pi * x) + 0.3 * torch.cos(6 * math.pi * x + 0.4)


def test_a_period_brings_the_profile_back_and_one_cell_is_a_roll():
    u0 = torch.randn(2, 1, 48, generator=torch.Generator().manual_seed(0), dtype=F64)
    back = advect(u0, torch.tensor([0.5, -2.0], dtype=F64), times=[2.0], length=1.0)
    assert float((back[:, :, 0] - u0).abs().max()) < 4e-14
    smooth = wave(torch.arange(48, dtype=F64) / 48).reshape(1, 1, -1)
    moved = advect(smooth, 1.0, times=[1 / 48])
    assert float((moved[:, :, 0] - smooth.roll(1, dims=-1)).abs().max()) < 3e-15


def test_each_trajectory_follows_its_own_speed_on_a_period_of_any_length():
    x = torch.arange(33, dtype=F64) / 33 * 2.5
    speeds = torch.tensor([0.1, -4.0], dtype=F64)
    times = torch.tensor([0.3, 1.1], dtype=F64)
    frames = advect(wave(x / 2.5).expand(2, 1, -1), speeds, times=times, length=2.5)
    exact = wave((x - speeds[:, None, None] * times[:, None]) / 2.5).unsqueeze(1)
    assert float((frames - exact).abs().max()) < 1e-13


def test_the_result_depends_linearly_and_differentiably_on_speed():
    x = torch.arange(32, dtype=F64).reshape(1, 1, -1) / 32
    assert torch.autograd.gradcheck(
        lambda speed: advect(wave(x), speed, times=[0.2, 0.7]), torch.tensor([0.8], dtype=F64, requires_grad=True)
    )


def test_frames_that_do_not_advance_and_data_that_are_not_finite_are_refused():
    u0 = torch.zeros(2, 1, 16, dtype=F64)
    with pytest.raises(ValueError, match=r"frame 1 is at t = 0\.5 after 0\.5"):
        advect(u0, 1.0, times=[0.5, 0.5])
    u0[1, 0, 12] = math.nan
    with pytest.raises(ValueError, match="trajectory 1: 1 values of u0 are not finite, first at index"):
        advect(u0, 1.0, times=[0.5])
