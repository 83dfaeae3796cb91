import torch

from medidiff.metrics.ensemble import coverage, spread_skill
from medidiff.operators.calibration import fit_inflation, fit_interval, half_width, inflate
from medidiff.operators.layout import OperatorLayout

LAYOUT = OperatorLayout(("u",), family="haar")


def ensembles(ratio, *, count=400, members=8, seed=0):
    """Members and truth of one law around a common mean, members with `ratio` of its spread."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    mean = draw(count, 1, 1, 4, 8)
    return mean + ratio * draw(count, members, 1, 4, 8), mean[:, 0] + draw(count, 1, 4, 8)


def test_members_drawn_from_the_law_of_the_truth_have_spread_equal_to_skill():
    members, truth = ensembles(1.0)
    assert abs(spread_skill(members.numpy(), truth.numpy()) - 1) < 0.02
    assert all(abs(factor - 1) < 0.05 for factor in fit_inflation(members, truth, LAYOUT))


def test_half_the_spread_is_doubled_up_to_the_error_of_the_mean():
    members, truth = ensembles(0.5)
    factors = fit_inflation(members, truth, LAYOUT)
    wide = inflate(members, factors, LAYOUT)
    torch.testing.assert_close(wide.mean(1), members.mean(1))
    assert abs(spread_skill(wide.numpy(), truth.numpy()) - 1) < 1e-6 and spread_skill(members.numpy(), truth.numpy()) < 0.55


def test_every_band_has_a_factor_of_its_own():
    members, truth = ensembles(1.0)
    w = LAYOUT.encode(members.flatten(0, 1))
    w[:, 3] = 0.25 * w[:, 3] + 0.75 * LAYOUT.encode(members.mean(1)).repeat_interleave(8, 0)[:, 3]
    squeezed = LAYOUT.decode(w, (4, 8)).unflatten(0, (400, 8))
    factors = fit_inflation(squeezed, truth, LAYOUT)
    assert factors[3] > 3.5 and all(0.9 < factor < 1.1 for factor in factors[:3])


def test_the_interval_holds_ninety_percent_of_new_trajectories():
    members, truth = ensembles(1.0, seed=1)
    factor = fit_interval(members, truth)
    members, truth = ensembles(1.0, seed=2)
    found = coverage(members.mean(1).numpy(), half_width(members, factor).numpy(), truth.numpy())
    assert abs(found - 0.9) < 0.01


def test_one_member_has_no_spread():
    assert half_width(torch.randn(2, 1, 1, 4, 8), 1.6).abs().max() == 0
