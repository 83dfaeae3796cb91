from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from medidiff.chromatography.batch import fit_many
from medidiff.chromatography.bootstrap import best_block, block_bootstrap
from medidiff.chromatography.dependence import dependences
from medidiff.chromatography.fit import fit_chromatogram
from medidiff.chromatography.intervals import intervals
from medidiff.chromatography.problem import evaluate, pose
from medidiff.chromatography.profile import profile_likelihood
from medidiff.chromatography.search import Search
from medidiff.chromatography.uncertainty import uncertainty
from medidiff.errors import NumericsError
from physics.chromatography.chromatogram import chromatogram, peak_shapes

RATES = ("retention", "desorption")


@pytest.fixture(scope="module")
def fit(btex, start):
    return fit_chromatogram(btex.times, btex.noisy(7), start, analytes=btex.analytes)


@pytest.fixture(scope="module")
def equal_heights(btex):
    """Peaks of height 1 behind 0.5 s of mixing, with 1 % noise."""
    peaks = replace(btex.peaks, mixing=0.5)
    areas = 1 / peak_shapes(btex.times, peaks).amax(dim=-1)
    noise = 0.01 * torch.randn((1, len(btex.times)), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return peaks, chromatogram(btex.times, peaks, areas) + noise


def at_the_truth(times, peaks, signal, free):
    problem = pose(times, signal, peaks, free=free, search=Search(noise=0.01))
    return problem, evaluate(problem, problem.parameters.pack(peaks))


@pytest.mark.parametrize(
    ("extra", "condition", "retention", "desorption"),
    [
        ((), 2.5, (0.004, 0.02), (0.5, 0.7)),
        (("injection",), 4e2, (0.34, 2.3), (3.0, 5.9)),
        (("mixing",), 5e2, (0.43, 2.8), (2.7, 4.7)),
        (("delay",), 3e3, (2.5, 16), (2.5, 16)),
        (("hold_up",), 3e4, (42, 55), (2.5, 16)),
    ],
)
def test_freeing_the_instrument_costs_what_the_specification_computed(
    btex, equal_heights, extra, condition, retention, desorption
):
    known = uncertainty(*at_the_truth(btex.times, *equal_heights, (*RATES, *extra)))
    percent = 100 * known.deviations[0]
    assert float(known.condition) == pytest.approx(condition, rel=0.1)
    np.testing.assert_allclose(percent[[0, 4]], retention, rtol=0.15)
    np.testing.assert_allclose(percent[[5, 9]], desorption, rtol=0.15)


def test_fixed_hold_up_time_is_named_with_what_it_decides(fit):
    (sentence,) = [each for each in fit.statements if "the hold-up time is" in each]
    assert (
        "only known if the hold-up time is: it was fixed at 34.18 s, and 1 % more would change them by -1.06 % (o-xylene), -1.4"
        in sentence
    )
    assert "a standard deviation of 4" in sentence
    assert any("the start of the injection is" in each for each in fit.statements)


@pytest.mark.parametrize(("name", "step"), [("hold_up", 1e-3), ("delay", 0.02)])
def test_influence_of_a_fixed_time_is_how_the_refit_moves(btex, start, name, step):
    clean = fit_chromatogram(btex.times, btex.clean, btex.peaks)
    value = float(getattr(btex.peaks, name).reshape(-1)[0])
    moved = value * (1 + step) if name == "hold_up" else value + step
    again = fit_chromatogram(btex.times, btex.clean, replace(btex.peaks, **{name: moved}))
    predicted = dependences(clean.problem, evaluate(clean.problem, clean.theta), names=(name,))[0].influence
    np.testing.assert_allclose((again.values - clean.values)[:10], step * predicted[:10], rtol=0.02, atol=1e-6)


@pytest.mark.parametrize("name", ["hold_up", "delay", "injection"])
def test_deviations_with_a_freed_time_equal_those_of_the_larger_problem(btex, equal_heights, name):
    problem, best = at_the_truth(btex.times, *equal_heights, RATES)
    larger = uncertainty(*at_the_truth(btex.times, *equal_heights, (*RATES, name)))
    np.testing.assert_allclose(dependences(problem, best, names=(name,))[0].freed[:10], larger.deviations[0, :10], rtol=1e-3)


def test_a_flat_direction_moves_the_curve_as_little_as_it_says(btex, equal_heights):
    peaks, signal = equal_heights
    problem, best = at_the_truth(btex.times, peaks, signal, (*RATES, "hold_up"))
    known = uncertainty(problem, best)
    direction, visible = known.directions[0, -1], float(known.visible[0, -1])
    small = 1e-4 / float(direction[10])
    theta = problem.parameters.pack(peaks) + small * direction[:11]
    moved = problem.parameters.unpack(theta)
    areas = best.coefficients[:, :5] + small * direction[11:16]
    change = chromatogram(btex.times, moved, areas) - chromatogram(btex.times, peaks, best.coefficients[:, :5])
    change = change[0] + small * direction[16:] @ problem.baseline
    assert float(change.norm()) / float(known.deviation) == pytest.approx(abs(small) * visible, rel=0.02)
    plain = chromatogram(btex.times, replace(peaks, hold_up=peaks.hold_up * 1.0001), areas) - signal
    assert change.norm() < 1e-2 * (plain[0] - problem.signal[0] + signal[0]).norm()


def test_a_freed_hold_up_time_is_reported_as_not_determined(btex, start):
    free = (*RATES, "hold_up")
    found = fit_chromatogram(btex.times, btex.noisy(3), start, free=free, analytes=btex.analytes)
    (sentence,) = [each for each in found.statements if each.startswith("Not determined")]
    assert "retention factors of 5 analytes" in sentence and "hold-up time" in sentence
    with pytest.raises(NumericsError, match=r"retention factor of o-xylene, .*hold-up time free by a third or more"):
        profile_likelihood(found)


def test_profile_and_bootstrap_agree_with_the_covariance_where_all_is_determined(fit):
    profile = profile_likelihood(fit)
    bootstrap = block_bootstrap(fit, generator=torch.Generator().manual_seed(0), refits=64)
    deviations = fit.uncertainty.deviations[0, :15]
    np.testing.assert_allclose((profile.high - profile.low) / (2 * 1.96), deviations, rtol=0.02)
    ratio = bootstrap.deviations[:15] / deviations
    assert 0.8 < ratio.mean() < 1.15 and ratio.min() > 0.6 and ratio.max() < 1.4
    assert len(bootstrap.samples) == bootstrap.refits
    table = intervals(fit, profile=profile, bootstrap=bootstrap)
    benzene = table["retention factor of benzene"]
    assert benzene["profile_low"] < benzene["value"] < benzene["profile_high"]
    assert benzene["profile_low"] == pytest.approx(benzene["low"], rel=1e-4)
    assert benzene["bootstrap_high"] == pytest.approx(benzene["high"], rel=1e-3)
    assert benzene["deviation"] == pytest.approx((benzene["high"] - benzene["low"]) / (2 * 1.96), rel=1e-3)
    assert set(table) == set(fit.names[:15])


def test_profile_ends_lie_where_a_refit_with_the_value_fixed_costs_as_much(btex, fit):
    """The independent way: hold the delay at the end, fit the rest by the trust region."""
    search = Search(priors={"delay": (0.0, 0.05)}, noise=fit.noise)
    free = (*RATES, "delay")
    best = fit_chromatogram(btex.times, btex.noisy(7), fit.peaks, free=free, search=search)
    profile = profile_likelihood(best)
    i = best.labels.index(("delay", None))
    end = float(profile.high[i])
    held = fit_chromatogram(btex.times, btex.noisy(7), replace(best.peaks, delay=end), search=Search(noise=fit.noise))
    rise = ((held.residual**2).sum() - (best.residual**2).sum()) / best.sigma**2
    rise += (end / 0.05) ** 2 - (float(best.peaks.delay) / 0.05) ** 2
    assert float(rise) == pytest.approx(1.96**2, rel=0.02)


def test_bootstrap_keeps_the_prior_of_a_freed_time(btex, start):
    free = (*RATES, "hold_up")
    known = fit_chromatogram(btex.times, btex.noisy(1), start, free=free, search=Search(priors={"hold_up": (34.18, 0.05)}))
    bootstrap = block_bootstrap(known, generator=torch.Generator().manual_seed(0), refits=64)
    i = known.labels.index(("hold_up", None))
    assert bootstrap.deviations[i] == pytest.approx(known.uncertainty.deviations[0, i], rel=0.25)


def test_block_bootstrap_holds_for_correlated_noise_where_the_covariance_is_three_times_too_small(btex, start):
    correlation, generator = 0.8, np.random.default_rng(0)
    noise = lfilter([btex.noise], [1, -correlation], generator.standard_normal((40, len(btex.times) + 200)))[:, 200:]
    signals = btex.clean + torch.from_numpy(noise.copy())
    truth = fit_many(btex.times, signals, start).theta.std(dim=0)
    found = fit_chromatogram(btex.times, signals[0], start)
    bootstrap = block_bootstrap(found, generator=torch.Generator().manual_seed(0), refits=40)
    assert (found.uncertainty.deviations[0, :10] / truth).mean() < 0.45
    assert 0.7 < (bootstrap.deviations[:10] / truth).mean() < 1.3
    assert any("Durbin-Watson" in each and "block bootstrap" in each for each in found.statements)


def test_best_block_grows_with_the_correlation():
    white = torch.from_numpy(np.random.default_rng(1).standard_normal(4000))
    waves = torch.from_numpy(lfilter([1], [1, -0.9], white.numpy()))
    assert best_block(white - white.mean()) <= 5
    assert 30 < best_block(waves - waves.mean()) < 190
