import math

import pytest
import torch

from medidiff.diffusion.process import (
    PFGM,
    VE,
    Flow,
    GeometricVE,
    Interpolant,
    MeanReverting,
    ResShift,
    Trigonometric,
    VPCosine,
    VPLinear,
    ddpm,
    rddm,
    vp_table,
)
from medidiff.errors import ConfigError

RAMP = torch.linspace(1e-3, 1, 100, dtype=torch.float64)
PROCESSES = {
    "ve": VE(),
    "geometric": GeometricVE(),
    "vp-linear": VPLinear(),
    "vp-cosine": VPCosine(),
    "flow": Flow(),
    "flow-shifted": Flow(3.0),
    "trigonometric": Trigonometric(),
    "interpolant": Interpolant(lambda t: (1 - t) ** 2, lambda t: t),
    "mean-reverting": MeanReverting(0.2),
    "resshift": ResShift(),
    "pfgm": PFGM(16),
    "ddpm": ddpm(),
    "rddm": rddm(0.95 * RAMP, RAMP),
}
SIGMA = torch.logspace(-1.5, 1.1, 40, dtype=torch.float64)


@pytest.mark.parametrize("name", PROCESSES)
def test_time_is_the_inverse_of_sigma(name):
    process = PROCESSES[name]
    assert process.sigma(process.time(SIGMA)) == pytest.approx(SIGMA, rel=4e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_state_and_its_own_variable_are_two_forms_of_one_thing(name):
    process, u, anchor = PROCESSES[name], torch.randn(40, 2, 3, dtype=torch.float64), torch.randn(40, 2, 3, dtype=torch.float64)
    assert process.to_state(process.to_x(u, SIGMA, anchor), SIGMA, anchor) == pytest.approx(u, abs=1e-11)


@pytest.mark.parametrize("name", [name for name in PROCESSES if name not in ("ddpm", "rddm")])
def test_rates_are_the_slopes_of_the_weights(name):
    process = PROCESSES[name]
    time = process.time(SIGMA[::4])
    step = 1e-6 * time
    scale, noise = process.rates(time)
    numeric = (process.scale(time + step) - process.scale(time - step)) / (2 * step)
    spread = [process.scale(t) * process.sigma(t) for t in (time + step, time - step)]
    assert scale == pytest.approx(numeric, rel=1e-5, abs=1e-7)
    assert noise == pytest.approx((spread[0] - spread[1]) / (2 * step), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", ["vp-linear", "vp-cosine", "ddpm"])
def test_variance_preserving_weights_have_unit_square_sum(name):
    process = PROCESSES[name]
    time = process.time(SIGMA)
    if name == "vp-cosine":  # cos f / cos f0 and its sigma: alpha^2 (1 + sigma^2) = 1
        assert process.scale(time) ** 2 * (1 + SIGMA**2) == pytest.approx(torch.ones(40).double(), rel=1e-12)
    tolerance = 1e-4 if name == "ddpm" else 1e-12  # between the indices the table interpolates
    assert process.scale(time) ** 2 * (1 + SIGMA**2) == pytest.approx(torch.ones(40).double(), rel=tolerance)


def test_linear_flow_is_the_straight_line_between_image_and_noise():
    time = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    assert Flow().scale(time).tolist() == [0.75, 0.5, 0.25]
    assert (Flow().scale(time) * Flow().sigma(time)).tolist() == pytest.approx([0.25, 0.5, 0.75], abs=1e-15)
    assert Flow(3.0).sigma(time) == pytest.approx(3 * Flow().sigma(time))


def test_mean_reverting_weights_are_those_of_an_ornstein_uhlenbeck_process():
    process, time = MeanReverting(0.2), torch.tensor([0.3, 2.0], dtype=torch.float64)
    assert process.shift(time) == pytest.approx(1 - torch.exp(-time))
    assert process.scale(time) * process.sigma(time) == pytest.approx(0.2 * torch.sqrt(1 - torch.exp(-2 * time)))


def test_restoration_processes_end_at_the_anchor():
    anchor, u = torch.full((1, 1), 3.0).double(), torch.ones(1, 1).double()
    high = torch.tensor([1e4], dtype=torch.float64)
    for process in (ResShift(), MeanReverting(0.2)):
        spread = process.scale(process.time(high)) * high
        assert float(process.to_x(u, high, anchor)) == pytest.approx(3.0, abs=3e-3)
        assert float(spread) == pytest.approx(2.0 if isinstance(process, ResShift) else 0.2, rel=1e-3)


def test_pfgm_radius_is_sigma_times_root_d():
    assert float(PFGM(16).time(torch.tensor([0.5]))) == 2.0


def test_ddpm_table_ends_at_its_known_level():
    table = ddpm()
    assert float(table.levels[-1]) == pytest.approx(157.4, abs=0.05)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    assert table.levels == pytest.approx(torch.sqrt((1 - abar) / abar), rel=1e-10)
    assert vp_table(betas).scales == pytest.approx(abar.sqrt(), rel=1e-12)


def test_table_times_are_indices_and_linear_in_log_sigma():
    table = ddpm()
    assert table.time(table.levels) == pytest.approx(torch.arange(1000).double(), abs=1e-9)
    between = torch.sqrt(table.levels[10] * table.levels[11])[None]
    assert float(table.time(between)) == pytest.approx(10.5, abs=1e-9)


def test_a_level_beyond_the_table_is_refused():
    with pytest.raises(ConfigError, match=r"sigma 211 is beyond the last level of linear-1000 \(157\.4\)"):
        ddpm().time(torch.tensor([1.0, 211.0], dtype=torch.float64))


def test_interpolant_reproduces_the_trigonometric_one():
    general = Interpolant(lambda t: torch.cos(math.pi / 2 * t), lambda t: torch.sin(math.pi / 2 * t))
    assert general.time(SIGMA) == pytest.approx(Trigonometric().time(SIGMA), abs=1e-14)
    for ours, known in zip(general.rates(SIGMA / 20), Trigonometric().rates(SIGMA / 20)):
        assert ours == pytest.approx(known, abs=1e-12)
