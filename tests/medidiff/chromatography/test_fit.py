from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from medidiff.chromatography.fit import fit_chromatogram
from medidiff.chromatography.parameters import FREE, Parameters
from medidiff.chromatography.problem import Problem, evaluate, legendre
from medidiff.chromatography.projection import project
from medidiff.chromatography.search import Search
from medidiff.errors import ConfigError
from physics.chromatography.chromatogram import chromatogram
from physics.chromatography.peaks import Peaks


def zeros(*shape):
    return torch.zeros(shape, dtype=torch.float64)


def test_jacobian_of_the_projected_residual_equals_central_differences(btex):
    peaks = replace(btex.peaks, dispersion=3e-5, mixing=0.5, tailing=0.4, pressure_ratio=0.25)
    parameters = Parameters(peaks, FREE)
    centre, generator = parameters.pack(peaks), torch.Generator().manual_seed(1)
    theta = centre + 0.01 * torch.randn(centre.shape, dtype=torch.float64, generator=generator)
    weights = 1 / btex.noise + zeros(1, len(btex.times))
    knowledge = ((centre, 2.0 + 0 * centre), (zeros(1, 7), 1e-3 + zeros(1, 7)))
    problem = Problem(btex.times, btex.noisy(0)[None], weights, legendre(btex.times, 1), parameters, *knowledge)
    exact = evaluate(problem, theta).jacobian[0]
    for i in range(theta.shape[1]):
        step = torch.nn.functional.one_hot(torch.tensor(i), theta.shape[1]) * 1e-5
        difference = (evaluate(problem, theta + step).residual - evaluate(problem, theta - step).residual)[0] / 2e-5
        assert (difference - exact[i]).norm() < 2e-6 * exact[i].norm() + 2e-5, parameters.labels[i]


def test_jacobian_is_exact_where_the_kernel_serves_and_where_an_area_is_held_at_zero(btex):
    peaks = Peaks(torch.tensor([[0.9, 2.0]], dtype=torch.float64), 1.0, 20.0, 4.0)
    times = torch.arange(0, 150, 1.0, dtype=torch.float64)
    signal = chromatogram(times, peaks, torch.tensor([[3.0, -0.5]], dtype=torch.float64))
    parameters = Parameters(peaks, ("retention", "desorption"))
    nothing = ((zeros(1, 4), zeros(1, 4)), (zeros(1, 3), zeros(1, 3)))
    problem = Problem(times, signal, 1 + zeros(1, len(times)), legendre(times, 0), parameters, *nothing)
    theta = parameters.pack(peaks) + 0.05
    value = evaluate(problem, theta)
    assert value.coefficients[0, 1] == 0
    for i in (0, 2):
        step = torch.nn.functional.one_hot(torch.tensor(i), 4) * 1e-6
        difference = (evaluate(problem, theta + step).residual - evaluate(problem, theta - step).residual)[0] / 2e-6
        smooth = torch.ones(len(times), dtype=torch.bool)
        smooth[19:26] = False  # the edges of the unretained box
        assert (difference - value.jacobian[0, i])[: len(times)][smooth].norm() < 1e-5 * value.jacobian[0, i].norm()


def test_projection_solves_the_bounded_problem(btex):
    generator = torch.Generator().manual_seed(3)
    basis = torch.randn((20, 6, 40), dtype=torch.float64, generator=generator)
    signal = torch.randn((20, 40), dtype=torch.float64, generator=generator)
    found = project(basis, signal, positive=4)
    gradient = (basis @ found.residual.unsqueeze(-1)).squeeze(-1)
    held = found.coefficients[:, :4] == 0
    assert held.any() and not held.all()
    assert (found.coefficients[:, :4] >= 0).all()
    assert gradient[:, 4:].abs().max() < 1e-12 and gradient[:, :4][~held].abs().max() < 1e-12
    assert (gradient[:, :4][held] <= 0).all()


def test_legendre_polynomials_equal_numpys(btex):
    x = np.linspace(-1, 1, len(btex.times))
    for n, row in enumerate(legendre(btex.times, 4)):
        np.testing.assert_allclose(row, np.polynomial.legendre.Legendre.basis(n)(x), atol=1e-12)


@pytest.mark.parametrize("factors", [{}, {"dispersion": 3.5e-7, "radial": 2e-4, "pressure_ratio": 0.2526}])
def test_a_clean_chromatogram_gives_back_its_parameters_areas_and_baseline(btex, start, factors):
    truth = replace(btex.peaks, **factors)
    clean = chromatogram(btex.times, truth, btex.areas[None])[0] + btex.baseline
    fit = fit_chromatogram(btex.times, clean, replace(start, **factors), analytes=btex.analytes)
    np.testing.assert_allclose(fit.peaks.retention, truth.retention, rtol=1e-8)
    np.testing.assert_allclose(fit.peaks.desorption, truth.desorption, rtol=1e-6)
    np.testing.assert_allclose(fit.areas, btex.areas, rtol=1e-7)
    np.testing.assert_allclose(fit.baseline, btex.baseline, atol=1e-5)
    assert fit.converged


def test_single_precision_inputs_are_fitted_in_double(btex, start):
    single = Peaks(start.retention.float(), start.desorption.float(), 34.18, 4.0)
    fit = fit_chromatogram(btex.times.float(), btex.clean.float(), single, analytes=btex.analytes)
    assert fit.theta.dtype == torch.float64
    np.testing.assert_allclose(fit.peaks.retention, btex.peaks.retention, rtol=1e-6)


def test_overlapping_peaks_are_fitted_together(btex, start):
    close = replace(btex.peaks, retention=btex.peaks.retention * torch.tensor([[0.97, 1.04, 1.09, 1.0, 1.0]]))
    clean = chromatogram(btex.times, close, btex.areas[None])[0]
    noisy = clean + 0.2 * btex.noise * torch.randn(len(clean), dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    guess = replace(close, retention=close.retention * (start.retention / btex.peaks.retention), desorption=start.desorption)
    fit = fit_chromatogram(btex.times, noisy, guess, analytes=btex.analytes)
    off = (fit.peaks.retention - close.retention)[0]
    deviations = torch.tensor([fit.deviation("retention", i) for i in range(5)], dtype=torch.float64)
    assert (off.abs() < 4 * deviations).all()


def test_errors_of_noisy_fits_are_those_of_the_covariance(btex, start):
    fits = [fit_chromatogram(btex.times, btex.noisy(seed), start, analytes=btex.analytes) for seed in range(20)]
    z = torch.stack(
        [(fit.theta - fit.problem.parameters.pack(btex.peaks))[0] / fit.uncertainty.deviations[0, :10] for fit in fits]
    )
    assert 0.8 < z.std() < 1.2 and z.mean().abs() < 0.3


def test_freed_instrument_with_a_prior_stays_near_it_and_without_moves(btex, start):
    prior = Search(priors={"hold_up": (34.18, 0.05)})
    known = fit_chromatogram(btex.times, btex.noisy(1), start, free=("retention", "desorption", "hold_up"), search=prior)
    assert abs(float(known.peaks.hold_up) - 34.18) < 0.2
    assert known.deviation("hold_up") == pytest.approx(0.05, rel=0.01)
    assert known.deviation("retention", 0) / float(known.peaks.retention[0, 0]) == pytest.approx(1.063 * 0.05 / 34.18, rel=0.02)


def test_tailing_of_the_injection_is_recovered_when_freed(btex, start):
    truth = replace(btex.peaks, tailing=2.0)
    clean = chromatogram(btex.times, truth, btex.areas[None])[0]
    free = ("retention", "desorption", "tailing")
    fit = fit_chromatogram(btex.times, clean, replace(start, tailing=0.5), free=free, analytes=btex.analytes)
    assert float(fit.peaks.tailing) == pytest.approx(2.0, rel=1e-4)


def test_soft_loss_resists_spikes(btex, start):
    spiked = btex.noisy(2)
    spiked[[1146, 1165]] += 60 * btex.noise
    plain = fit_chromatogram(btex.times, spiked, start, analytes=btex.analytes)
    soft = fit_chromatogram(btex.times, spiked, start, analytes=btex.analytes, search=Search(loss="soft_l1"))
    off = [abs(float(fit.peaks.desorption[0, 0]) / 14.291 - 1) for fit in (plain, soft)]
    assert 2 * off[1] < off[0] and off[0] > 0.1


def test_other_starts_are_tried_where_the_first_leaves_the_peaks(btex):
    far = replace(btex.peaks, desorption=btex.peaks.desorption * 30)
    fit = fit_chromatogram(btex.times, btex.noisy(4), far, analytes=btex.analytes)
    np.testing.assert_allclose(fit.peaks.desorption, btex.peaks.desorption, rtol=0.05)


def test_times_with_gaps_give_the_same_answer(btex, start):
    kept = torch.ones(len(btex.times), dtype=torch.bool)
    kept[700:760] = False
    fit = fit_chromatogram(btex.times[kept], btex.clean[kept], start, analytes=btex.analytes)
    np.testing.assert_allclose(fit.peaks.retention, btex.peaks.retention, rtol=1e-7)
    assert any("not uniform" in sentence for sentence in fit.statements)


def test_unknown_names_and_bounds_are_refused(btex, start):
    with pytest.raises(ConfigError, match=r"fit\.free: found unknown width"):
        fit_chromatogram(btex.times, btex.clean, start, free=("width",))
    with pytest.raises(ConfigError, match=r"fit\.bounds\.hold_up: found bounds, but it is not free"):
        fit_chromatogram(btex.times, btex.clean, start, search=Search(bounds={"hold_up": (30, 40)}))
    with pytest.raises(ConfigError, match=r"fit\.bounds\.desorption: .* leave out the start"):
        fit_chromatogram(btex.times, btex.clean, start, search=Search(bounds={"desorption": (100, 200)}))
    with pytest.raises(ConfigError, match=r"fit\.priors\.hold_up: found \(34\.0, 0\.1\), .* of a free quantity"):
        fit_chromatogram(btex.times, btex.clean, start, search=Search(priors={"hold_up": (34.0, 0.1)}))
    with pytest.raises(ConfigError, match="logarithm is fitted"):
        fit_chromatogram(btex.times, btex.clean, start, free=("retention", "dispersion"))
    with pytest.raises(ConfigError, match=r"fit\.loss: found cauchy"):
        Search(loss="cauchy")
    with pytest.raises(ConfigError, match="for analytes a, b; expected"):
        fit_chromatogram(btex.times, btex.clean, start, analytes=("a", "b"))


@pytest.mark.realdata
def test_fit_of_the_131072_cell_reference_gives_back_the_parameters_it_was_made_with(mirror):
    path = mirror / "chromatography" / "cadet_reference" / "ref_LRM_dynLin_1comp_sensbenchmark1_FV_Z131072.h5"
    with h5py.File(path) as file:
        times = torch.tensor(file["output/solution/SOLUTION_TIMES"][:])
        signal = torch.tensor(file["output/solution/unit_001/SOLUTION_OUTLET"][:, 0])
    guess = Peaks(torch.tensor([[0.6]], dtype=torch.float64), 1.3, hold_up=30.0, injection=60.0, dispersion=2e-3)
    free = ("retention", "desorption", "dispersion")
    fit = fit_chromatogram(times, signal, guess, free=free, search=Search(baseline=-1, noise=1e-9))
    assert float(fit.peaks.retention) == pytest.approx(0.4 / 0.6, rel=1e-7)
    assert float(fit.peaks.desorption) == pytest.approx(1.0, rel=1e-6)
    assert float(fit.peaks.dispersion) == pytest.approx(1e-4 * 30.0, rel=1e-6)
    assert float(fit.areas) == pytest.approx(60.0, rel=1e-8)
    assert fit.sigma < 1e-9
