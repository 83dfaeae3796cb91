import pytest
import torch

from medidiff.diffusion.grid import (
    check_grid,
    karras,
    on_table,
    trailing,
    uniform_flow,
    uniform_lambda,
    uniform_sigma,
    with_zero,
)
from medidiff.diffusion.process import ddpm
from medidiff.errors import ConfigError


@pytest.mark.parametrize("grid", [karras, uniform_lambda, uniform_sigma, uniform_flow], ids=lambda f: f.__name__)
def test_a_grid_falls_from_smax_to_smin_exactly(grid):
    levels = grid(20, smin=0.002, smax=80.0)
    assert len(levels) == 20 and levels.dtype == torch.float64
    assert float(levels[0]) == 80.0 and float(levels[-1]) == 0.002
    check_grid(levels)
    check_grid(with_zero(levels))


def test_each_grid_is_uniform_in_its_own_coordinate():
    for levels, coordinate in (
        (karras(9, smin=0.1, smax=5.0), lambda s: s ** (1 / 7)),
        (uniform_lambda(9, smin=0.1, smax=5.0), torch.log),
        (uniform_flow(9, smin=0.1, smax=5.0), lambda s: s / (1 + s)),
        (uniform_flow(9, smin=0.1, smax=5.0, shift=3.0), lambda s: s / (3 + s)),
        (uniform_sigma(9, smin=0.1, smax=5.0), lambda s: s),
    ):
        steps = coordinate(levels).diff()
        assert steps == pytest.approx(steps.mean().expand(8), rel=1e-10)


def test_karras_with_rho_1_is_uniform_in_sigma():
    assert karras(9, smin=0.1, smax=5.0, rho=1.0) == pytest.approx(uniform_sigma(9, smin=0.1, smax=5.0))


def test_trailing_indices_include_the_last_level():
    table = ddpm()
    levels = trailing(10, table)
    assert table.time(levels) == pytest.approx(torch.arange(999, 0, -100).double())


def test_a_grid_moved_onto_a_table_holds_table_levels_only():
    table = ddpm()
    levels = on_table(karras(12, smin=0.02, smax=100.0), table)
    check_grid(levels)
    times = table.time(levels)
    assert times == pytest.approx(times.round(), abs=1e-9)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (
            [1.0, 0.31, 0.35, 0.1],
            r"sigma rises from 0\.31 to 0\.35 at level 2; levels must fall \(equal ones only with renoise\)",
        ),
        ([1.0, 0.5, 0.5, 0.1], r"sigma stays from 0\.5 to 0\.5 at level 2"),
        ([1.0, 0.0, 0.1], r"level 1 is 0; levels must be positive and finite, only the last may be 0"),
        ([1.0, -0.1], r"level 1 is -0\.1"),
        ([1.0, float("nan"), 0.1], r"level 1 is nan"),
        ([float("inf"), 0.1], r"level 0 is inf"),
        ([1.0], r"grid has shape \(1,\); expected at least two levels"),
    ],
)
def test_a_wrong_grid_is_refused_with_its_level(levels, message):
    with pytest.raises(ConfigError, match=message):
        check_grid(torch.tensor(levels, dtype=torch.float64))


def test_levels_may_repeat_where_noise_is_put_back_on():
    check_grid(torch.tensor([1.0, 0.5, 0.5, 0.0]), may_repeat=True)
