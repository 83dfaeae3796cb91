from dataclasses import replace

import numpy as np
import pytest
import torch
from dask.distributed import Client, LocalCluster

from medidiff.chromatography.batch import CHUNK, fit_many
from medidiff.chromatography.fit import fit_chromatogram
from medidiff.chromatography.problem import evaluate, pose
from medidiff.chromatography.search import Search
from medidiff.chromatography.slopes import shapes_and_slopes
from medidiff.chromatography.uncertainty import uncertainty
from medidiff.errors import ConfigError, DataError
from physics.chromatography.chromatogram import chromatogram
from physics.chromatography.peaks import Peaks

FIELDS = ("theta", "areas", "baseline", "deviations", "sigma", "is_converged", "is_at_bound", "iterations")


def bound(btex):
    """Smallest possible standard deviations of ln k and ln kd (Cramer and Rao), from the Fisher information at the truth."""
    search = Search(noise=btex.noise)
    problem = pose(btex.times, btex.clean[None], btex.peaks, free=("retention", "desorption"), search=search)
    best = evaluate(problem, problem.parameters.pack(btex.peaks))
    known = uncertainty(problem, replace(best, residual=torch.ones_like(best.residual)))
    return known.deviations[0, :10] / known.deviation[0] * btex.noise


def test_200_noisy_chromatograms_give_back_their_rates_within_the_cramer_rao_bound(btex, start):
    fits = fit_many(btex.times, btex.noisy(0, 200), start)
    assert fits.is_converged.all() and not fits.is_at_bound.any()
    truth = torch.cat([btex.peaks.retention, btex.peaks.desorption], dim=1).log()
    error = (fits.theta - truth).pow(2).mean(dim=0).sqrt()
    ratio = error / bound(btex)
    assert (ratio < 1.2).all() and (ratio > 0.8).all(), ratio


def test_batched_fits_equal_single_ones(btex, start):
    signals = btex.noisy(1, 3)
    fits = fit_many(btex.times, signals, start)
    for row in range(3):
        single = fit_chromatogram(btex.times, signals[row], start)
        torch.testing.assert_close(fits.theta[row], single.theta[0], rtol=0, atol=2e-6)
        torch.testing.assert_close(fits["retention"][row], single.peaks.retention[0], rtol=1e-7, atol=0)
        torch.testing.assert_close(fits.areas[row], single.areas, rtol=1e-6, atol=0)
        torch.testing.assert_close(fits.deviations[row], single.uncertainty.deviations[0], rtol=1e-3, atol=0)
        assert float(fits.sigma[row]) == pytest.approx(single.sigma, rel=1e-6)


def test_soft_loss_equals_that_of_single_fits(btex, start):
    spiked = btex.noisy(2, 2)
    spiked[:, [400, 1146]] += 60 * btex.noise
    fits = fit_many(btex.times, spiked, start, search=Search(loss="soft_l1"))
    single = fit_chromatogram(btex.times, spiked[1], start, search=Search(loss="soft_l1"))
    torch.testing.assert_close(fits.theta[1], single.theta[0], rtol=0, atol=1e-4)


def test_workers_of_a_cluster_give_the_same_numbers(btex, start):
    signals = btex.noisy(3, CHUNK + 3)
    here = fit_many(btex.times, signals, start)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        there = fit_many(btex.times, signals, start, client=client)
    for name in FIELDS:
        torch.testing.assert_close(getattr(here, name), getattr(there, name), rtol=0, atol=0)


@pytest.mark.slow
def test_workers_in_processes_of_their_own_give_the_same_numbers(btex, start):
    signals = btex.noisy(4, 2 * CHUNK + 1)
    here = fit_many(btex.times, signals, start)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        there = fit_many(btex.times, signals, start, client=client)
    for name in FIELDS:
        torch.testing.assert_close(getattr(here, name), getattr(there, name), rtol=1e-10, atol=1e-12)


def test_each_chromatogram_may_have_its_own_start(btex, start):
    spread = torch.tensor([[1.0], [1.05]], dtype=torch.float64)
    truth = replace(btex.peaks, retention=btex.peaks.retention * spread)
    signals = chromatogram(btex.times, truth, btex.areas.expand(2, -1)) + btex.baseline
    fits = fit_many(btex.times, signals, replace(start, retention=start.retention * spread))
    np.testing.assert_allclose(fits["retention"], truth.retention, rtol=1e-8)
    np.testing.assert_allclose(fits["desorption"], truth.desorption.expand(2, -1), rtol=1e-6)


def test_a_chromatogram_that_cannot_be_computed_leaves_the_others_alone(btex, start):
    """Few transfer units behind a mixing volume: neither the FFT nor the kernel serves."""
    rates = start.desorption * torch.tensor([[1.0], [0.01]], dtype=torch.float64)
    guess = replace(start, retention=start.retention.expand(2, -1), desorption=rates, mixing=0.3)
    fits = fit_many(btex.times, btex.noisy(5, 2), guess)
    assert fits.is_converged.tolist() == [True, False]
    assert torch.isnan(fits.theta[1]).all() and torch.isnan(fits.sigma[1])
    alone = fit_chromatogram(btex.times, btex.noisy(5, 2)[0], replace(start, mixing=0.3))
    torch.testing.assert_close(fits.theta[0], alone.theta[0], rtol=0, atol=2e-6)


def test_a_parameter_at_a_bound_is_flagged(btex, start):
    fits = fit_many(btex.times, btex.noisy(6, 2), start, search=Search(bounds={"desorption": (1.0, 18.0)}))
    assert not fits.is_at_bound.any()
    near = Search(bounds={"desorption": (1.0, 16.8)})
    bounded = fit_many(btex.times, btex.noisy(6, 2), replace(start, desorption=btex.peaks.desorption * 0.9), search=near)
    assert bounded.is_at_bound[:, 7].any() and (bounded["desorption"] <= 16.8 * (1 + 1e-12)).all()


def test_rows_that_need_the_kernel_are_computed_apart():
    times = torch.arange(0, 120, 1.0, dtype=torch.float64)
    peaks = Peaks(torch.tensor([[1.0], [3.0], [0.8]], dtype=torch.float64), torch.tensor([[1.0], [4.0], [1.2]]), 20.0, 4.0)
    shapes, slopes = shapes_and_slopes(times, peaks, names=("retention", "desorption"))
    for row in range(3):
        alone, own = shapes_and_slopes(times, peaks.rows(slice(row, row + 1)), names=("retention", "desorption"))
        torch.testing.assert_close(shapes[row], alone[0], rtol=0, atol=1e-13)
        torch.testing.assert_close(slopes["desorption"][row], own["desorption"][0], rtol=0, atol=1e-13)


def test_bad_samples_are_refused_before_any_fit(btex, start):
    signals = btex.noisy(8, 2)
    signals[1, 100] = torch.nan
    with pytest.raises(DataError, match="chromatograms: signal is not finite at sample 100"):
        fit_many(btex.times, signals, start)
    with pytest.raises(ConfigError, match=r"fit\.free: found nothing"):
        fit_many(btex.times, btex.noisy(8, 2), start, free=())
