"""Haze repeats walls at their spacing, has a wider beam than tissue, and drifts slowly."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from physics.ultrasound.haze import HazeStyle, Wall, draw_haze, moved
from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.pulse import Pulse, spread

GRID = PolarGrid(0.0103, 0.308e-3, 288, -0.7, 0.0103, 160)
PULSE = Pulse(centre_hz=2.5e6, demodulation_hz=2.5e6, bandwidth_hz=1.5e6, beam_rad=0.0284)
WALL = Wall(spacing_m=0.018, thickness_m=3e-3, reflection=0.6, tilt=0.0, curvature=0.0, weight=1.0)
STYLE = HazeStyle(2.5, 1.5, 0.1, (), onset_m=0.02, floor=0.3, decay_m=0.05, cloud_db=0.0, renewal=0.1, drift_m=0.0)


def _haze(style, *, frames=1, seed=0):
    return draw_haze(GRID, PULSE, style=style, frames=frames, generator=torch.Generator().manual_seed(seed))


def test_a_point_that_moves_is_the_point_drawn_there_with_the_phase_of_its_path():
    distance_m = 3 * GRID.range_step_m
    steady = replace(PULSE, attenuation_db_cm_mhz=0.0)
    point = torch.zeros(2, *GRID.shape, dtype=torch.complex64)
    point[0, 100, 80] = 1
    point[1, 103, 80] = complex(torch.exp(torch.tensor(-2j * math.pi * 2.5e6 * 2 * distance_m / 1540.0)))
    here, there = spread(point, GRID, pulse=steady)
    assert torch.allclose(moved(here, GRID, PULSE, distance_m), there, atol=1e-4)


def test_copies_of_a_wall_lie_at_multiples_of_its_spacing_and_fall_by_its_reflection():
    loud = replace(STYLE, walls=(replace(WALL, weight=100.0),), floor=1.0, onset_m=0.005)
    profile = torch.stack([_haze(loud, seed=s)[0].abs().square().mean(dim=1) for s in range(4)]).mean(dim=0)
    row = lambda r: round((r - GRID.first_range_m) / GRID.range_step_m)
    power = [float(profile[row(m * 0.018) : row(m * 0.018 + 3e-3)].mean()) for m in (1, 2, 3, 4)]
    ratios = [later / earlier for earlier, later in pairwise(power)]
    assert ratios == pytest.approx([0.36] * 3, rel=0.25)
    between = float(profile[row(1.6 * 0.018) : row(1.75 * 0.018)].mean())
    assert between < 0.02 * power[0]


def test_haze_has_a_wider_beam_than_tissue():
    haze = _haze(STYLE)[0, 60:]
    rho = float((haze[:, :-3].conj() * haze[:, 3:]).mean().abs() / haze.abs().square().mean())
    sigma = 2.5 * PULSE.beam_rad / 2.3548 / GRID.angle_step_rad
    assert rho == pytest.approx(math.exp(-9 / (4 * sigma**2)), abs=0.06)


def test_haze_begins_at_its_onset_and_decays_to_its_floor():
    profile = torch.stack([_haze(STYLE, seed=s)[0].abs().square().mean(dim=1) for s in range(12)]).mean(dim=0).sqrt()
    r = GRID.range_m()
    shape = 0.3 + 0.7 * torch.exp(-(r - 0.02).clamp(min=0) / 0.05)
    deep = r > 0.03
    assert float(profile[r < 0.012].max()) < 0.02
    assert float((profile / shape)[deep].mean()) == pytest.approx(1, abs=0.05)
    assert float(profile[r > 0.09].mean() / profile[(r > 0.03) & (r < 0.04)].mean()) == pytest.approx(0.477 / 0.806, abs=0.06)


def test_frames_of_haze_forget_each_other_at_the_rate_of_renewal():
    clip = _haze(replace(STYLE, renewal=0.5), frames=3, seed=3)[:, 40:]
    inner = lambda a, b: float((clip[a].conj() * clip[b]).sum().real / (clip[a].norm() * clip[b].norm()))
    assert inner(0, 1) == pytest.approx(math.sqrt(0.75), abs=0.06) and inner(0, 2) == pytest.approx(0.75, abs=0.08)
