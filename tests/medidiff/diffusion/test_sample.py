import doctest

import pytest
import torch

from medidiff.diffusion import multistep
from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.exact import DataSet, Gaussian
from medidiff.diffusion.grid import karras
from medidiff.diffusion.multistep import HeavyBall, UniPC, pp2m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import Heun, euler
from medidiff.diffusion.sample import State, sample, start
from medidiff.diffusion.stochastic import PP2MSDE, InterpolantSDE, Renoise
from medidiff.errors import ConfigError, DataError, NumericsError

GRID = karras(9, smin=0.05, smax=5.0)
U = 5 * Noise(0)(0, torch.empty(6, 1, 8, 8))


class Prior:
    """A silent network with limits: D = u / (1 + sigma^2)."""

    def __init__(self, **limits):
        self.limits = Limits(**limits)
        self.calls = 0

    def __call__(self, u, sigma, **condition):
        self.calls += 1
        return u / (1 + sigma.view(-1, 1, 1, 1) ** 2).to(u)


def test_the_example_of_the_documentation_runs():
    result = doctest.testmod(multistep)
    assert result.attempted > 0 and result.failed == 0


def test_a_sample_keeps_the_dtype_of_its_start():
    for dtype in (torch.float32, torch.float64):
        assert sample(Prior(), U.to(dtype), GRID, pp2m).dtype == dtype


def test_float32_states_follow_float64_ones():
    error = sample(Prior(), U, GRID, pp2m).double() - sample(Prior(), U.double(), GRID, pp2m)
    assert float(error.abs().max()) < 2e-6


def test_conditions_reach_the_denoiser_by_name(gaussian):
    seen = []

    def denoiser(u, sigma, label):
        seen.append(label)
        return u

    sample(denoiser, U, GRID, euler, label=torch.arange(6))
    assert len(seen) == 8 and all(torch.equal(label, torch.arange(6)) for label in seen)


def test_levels_are_handed_over_one_per_item_in_float64():
    def denoiser(u, sigma):
        assert sigma.shape == (6,) and sigma.dtype == torch.float64
        return u

    sample(denoiser, U, GRID, pp2m)


def test_every_state_is_shown():
    steps = []
    sample(Prior(), U, GRID, euler, on_step=lambda state: steps.append(state.step))
    assert steps == list(range(1, 9))


def test_the_start_is_white_noise_or_a_draw_from_the_gaussian_of_the_prior():
    assert torch.equal(start((2, 1, 4, 4), 3.0, noise=Noise(5)), 3.0 * Noise(5)(0, torch.empty(2, 1, 4, 4)))
    prior = Gaussian(torch.full((1, 4, 4), 2.0), torch.full((1, 4, 4), 16.0))
    assert start((2, 1, 4, 4), 3.0, noise=Noise(5), gaussian=prior) == pytest.approx(
        2 + 5 * Noise(5)(0, torch.empty(2, 1, 4, 4)), abs=1e-5
    )


def test_the_noise_of_a_step_is_not_the_noise_of_the_start():
    used = []

    class Spy(Noise):
        def __call__(self, step, like, draw=0):
            used.append((step, draw))
            return super().__call__(step, like, draw)

    for step in (Renoise(), PP2MSDE(), Heun(churn=3.0), InterpolantSDE()):
        sample(Prior(), U, GRID, step, noise=Spy(0))
    assert used and all(draw != 0 for _, draw in used)


@pytest.mark.parametrize(
    ("prior", "begin", "grid", "error", "message"),
    [
        (Prior(), U, [1.0, 0.31, 0.35], ConfigError, r"sigma rises from 0\.31 to 0\.35 at level 2; levels must fall"),
        (Prior(), U, [1.0, 0.5, 0.0, 0.1], ConfigError, r"level 2 is 0; .* only the last may be 0"),
        (
            Prior(sigma_min=0.004, sigma_max=38.2),
            U,
            [80.0, 1.0],
            ConfigError,
            r"sigma_max 80 but this prior was trained on 0\.004 to 38\.2; use at most 38",
        ),
        (
            Prior(sigma_min=0.004, sigma_max=38.2),
            U,
            [30.0, 0.001, 0.0],
            ConfigError,
            r"sigma_min 0\.001 but this prior was trained on 0\.004 to 38\.2; use at least 0\.004",
        ),
        (
            Prior(multiple=8),
            torch.zeros(16, 1, 250, 256),
            [5.0, 1.0],
            DataError,
            r"state \(16, 1, 250, 256\); the prior needs multiples of 8: pad to 256 x 256",
        ),
        (Prior(), U + 0j, [5.0, 1.0], DataError, "state is complex64; sample as_channels"),
        (Prior(), U.half(), [5.0, 1.0], DataError, "state is float16; use float32"),
        (Prior(), U.bfloat16(), [5.0, 1.0], DataError, "state is bfloat16; use float32"),
        (Prior(), U.long(), [5.0, 1.0], DataError, "state is int64; use float32"),
    ],
)
def test_bad_input_is_refused_before_the_first_call(prior, begin, grid, error, message):
    with pytest.raises(error, match=message):
        sample(prior, begin, torch.tensor(grid, dtype=torch.float64), pp2m)
    assert prior.calls == 0


def test_values_that_are_not_finite_are_named():
    y = torch.zeros(6, 3, 8)
    y[0, 1, 7] = float("nan")
    y[2, 0, 0] = float("inf")
    y[5, 2, 1] = -float("inf")
    with pytest.raises(DataError, match=r"y has 3 values that are not finite, first at \(0, 1, 7\)"):
        sample(Prior(), U, GRID, pp2m, y=y)
    with pytest.raises(DataError, match=r"start has 3 values that are not finite"):
        sample(Prior(), y, GRID, pp2m)


def test_levels_may_repeat_only_where_noise_is_put_back_on():
    grid = torch.tensor([5.0, 1.0, 1.0, 0.5], dtype=torch.float64)
    assert bool(torch.isfinite(sample(Prior(), U, grid, Renoise(rule="fresh"))).all())
    with pytest.raises(ConfigError, match="sigma stays from 1 to 1 at level 2"):
        sample(Prior(), U, grid, pp2m)


def test_a_run_that_stops_being_finite_names_level_and_item():
    def denoiser(u, sigma):
        out = u.clone()
        if float(sigma[0]) < 1:
            out[5] = float("nan")
        return out

    with pytest.raises(
        NumericsError, match=r"not finite at level 5 \(sigma 0\.407\), item 5; last rms .* Lower the guidance or use more"
    ):
        sample(denoiser, U, GRID, euler)


def test_a_run_that_leaves_the_noise_shell_is_stopped():
    class Wild(Prior):
        def __call__(self, u, sigma):
            return 200 * u

    with pytest.raises(NumericsError, match=r"left the noise shell at level 1: rms \d+, expected 3\.\d"):
        sample(Wild(data_std=0.5), U, GRID, euler)


def test_stochastic_rules_are_refused_for_a_heavy_tailed_kernel():
    heavy = DataSet(torch.zeros(2, 1, 8, 8), extra_dimensions=128.0)
    for step in (Renoise(), PP2MSDE(), InterpolantSDE(), Heun(churn=1.0)):
        with pytest.raises(ConfigError, match=r"PFGM\+\+ with finite D has no Gaussian kernel: use a deterministic method"):
            sample(heavy, U, GRID, step)
    sample(heavy, U, GRID, Renoise(eta=0.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Renoise(eta=1.4), r"eta 1\.4: expected 0 to 1"),
        (lambda: Renoise(eta=float("nan")), "eta nan: expected 0 to 1"),
        (lambda: Renoise(rule="fast"), "rule 'fast': expected ancestral, fresh or resshift"),
        (lambda: Renoise(noise_from="z"), "noise_from 'z': expected posterior or prior"),
        (lambda: PP2MSDE(eta=-0.1), r"eta -0\.1: expected 0 to 1"),
        (lambda: InterpolantSDE(-1.0), "diffusion -1: expected 0 or more"),
        (lambda: Heun(churn=-1.0), "churn -1: expected 0 or more"),
        (lambda: UniPC(0), "order 0, variant 'bh2': expected an order of 1 or more"),
        (lambda: HeavyBall(5), "order 5: expected 1 to 4"),
        (lambda: HeavyBall(2, 0.0), "beta 0: expected above 0, at most 1"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_state_goes_on_where_it_stands():
    calls = []
    sample(lambda u, sigma: calls.append(float(sigma[0])) or u, State(U, 6), GRID, euler)
    assert calls == GRID[6:8].tolist()


@pytest.mark.gpu
def test_a_gpu_gets_the_noise_and_so_the_sample_of_the_processor():
    for step in (pp2m, Renoise(), PP2MSDE(), UniPC(3)):
        there = sample(Prior(), U.cuda(), GRID, step, noise=Noise(3)).cpu()
        assert there == pytest.approx(sample(Prior(), U, GRID, step, noise=Noise(3)), abs=1e-5)
