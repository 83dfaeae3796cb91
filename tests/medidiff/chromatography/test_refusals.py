from dataclasses import replace

import numpy as np
import pytest
import torch

from medidiff.chromatography.fit import fit_chromatogram
from medidiff.chromatography.refusals import (
    check_analytes,
    check_balance,
    check_finite,
    check_injection,
    check_loading,
    check_retention,
    check_times,
    late_sentences,
    saturated,
)
from medidiff.chromatography.search import Search
from medidiff.errors import ConfigError, DataError, NumericsError
from physics.chromatography.chromatogram import chromatogram
from physics.chromatography.peaks import Peaks


def one(peaks, i):
    return replace(peaks, retention=peaks.retention[:, i : i + 1], desorption=peaks.desorption[:, i : i + 1])


def test_samples_out_of_order_or_not_finite_are_named(btex):
    swapped = btex.times.clone()
    swapped[[10, 11]] = swapped[[11, 10]]
    with pytest.raises(DataError, match=r"run\.csv: time does not increase after sample 10 \(5\.5 s, then 5 s\)\. Sort"):
        check_times(swapped, btex.clean, source="run.csv")
    broken = btex.clean.clone()
    broken[7] = torch.inf
    with pytest.raises(DataError, match=r"run\.csv: signal is not finite at sample 7\. Remove"):
        check_times(btex.times, broken, source="run.csv")
    with pytest.raises(DataError, match="1599 times for 1600 signals, expected equal counts"):
        check_times(btex.times[1:], btex.clean, source="run.csv")
    with pytest.raises(DataError, match="chromatogram: time does not increase after sample 10"):
        fit_chromatogram(swapped, btex.clean, btex.peaks)


def test_uneven_times_are_said_and_jitter_below_a_thousandth_of_a_step_is_not(btex):
    jitter = 4e-4 * torch.sin(torch.arange(len(btex.times), dtype=torch.float64))
    assert check_times(btex.times + 0.5 * jitter, btex.clean, source="run.csv") == []
    (sentence,) = check_times(btex.times + 50 * jitter, btex.clean, source="run.csv")
    assert sentence.startswith("The time axis is not uniform (steps 0.48")


def test_a_saturated_detector_loses_its_flat_top_and_keeps_its_rates(btex, start):
    ceiling = float(btex.clean.max()) - 20
    clipped = btex.clean.clamp_max(ceiling)
    flat = btex.times[btex.clean >= ceiling]
    fit = fit_chromatogram(btex.times, clipped, start, analytes=btex.analytes)
    said = f"The detector is saturated at {float(flat[0]):.4g} s: {len(flat)} samples of its flat top are left out."
    assert said in fit.statements
    np.testing.assert_allclose(fit.peaks.desorption, btex.peaks.desorption, rtol=1e-5)
    assert not saturated(btex.clean).any()


def test_a_flat_top_is_three_equal_maxima_in_a_row():
    assert saturated(torch.tensor([1.0, 5, 5, 5, 2, 5, 1])).tolist() == [False, True, True, True, False, False, False]
    assert not saturated(torch.tensor([1.0, 5, 5, 2, 5, 1])).any()


def test_sparse_samples_are_said(btex):
    sparse = btex.times[::5]
    fit = fit_chromatogram(sparse, btex.clean[::5], btex.peaks, analytes=btex.analytes)
    assert any("has 5.4 samples across its half height, fewer than 8" in each for each in fit.statements)


def test_few_transfer_units_switch_to_the_kernel_and_say_so():
    peaks = Peaks(torch.tensor([[1.5]], dtype=torch.float64), 1.0, 20.0, 4.0)
    times = torch.arange(0, 150, 0.5, dtype=torch.float64)
    noise = 1e-3 * torch.randn(len(times), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    signal = chromatogram(times, peaks, torch.tensor([[10.0]], dtype=torch.float64))[0] + noise
    fit = fit_chromatogram(times, signal, replace(peaks, desorption=peaks.desorption * 1.1), analytes=("argon",))
    np.testing.assert_allclose(fit.peaks.desorption, 1.0, rtol=0.01)
    assert any(each.startswith("argon: 36 transfer units or fewer") for each in fit.statements)


def test_analytes_without_a_peak_or_with_one_name_are_refused():
    with pytest.raises(DataError, match=r"run\.csv: found 1 peaks for 2 analytes \(toluene, benzene\)\. Lower"):
        check_analytes(["toluene", "benzene"], 1, source="run.csv")
    with pytest.raises(ConfigError, match="analytes: toluene is listed twice"):
        check_analytes(["toluene", "toluene"], 2, source="run.csv")
    check_analytes(["toluene"], 2, source="run.csv")


def test_injections_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"injection\.duration_s: -1, expected a positive time, or 0 for a sharp"):
        check_injection(-1.0, [100.0])
    with pytest.raises(ConfigError, match=r"injection\.duration_s: 60 s is more than half of the first retention time, 100 s"):
        check_injection(60.0, [300.0, 100.0])
    check_injection(4.0, [100.0])


def test_a_peak_before_the_hold_up_time_is_refused():
    with pytest.raises(DataError, match=r"run\.csv: benzene elutes at 2 s, before the hold-up time 34\.18 s"):
        check_retention([100.0, 2.0], ["toluene", "benzene"], hold_up=34.18, source="run.csv")


def test_loading_is_said_warned_of_and_refused():
    assert "negligible" in check_loading(1e-3, is_forced=False)[0]
    assert "shifts peaks by about 0.25" in check_loading(5e-2, is_forced=False)[0]
    with pytest.raises(DataError, match=r"fill 0\.2 of the film \(theta0\), above 0\.1.*force the linear one"):
        check_loading(0.2, is_forced=False)
    assert "shifts peaks" in check_loading(0.2, is_forced=True)[0]


def test_lost_mass_and_values_that_are_not_finite_are_refused():
    check_balance(-1e-9, source="langmuir")
    for imbalance in (1e-7, float("nan")):
        with pytest.raises(NumericsError, match=r"langmuir: mass imbalance .*, expected at most 1e-08"):
            check_balance(imbalance, source="langmuir")
    with pytest.raises(NumericsError, match=r"run\.csv: the curve is not finite\. Give the fit a start"):
        check_finite(torch.tensor([1.0, torch.nan]), "the curve", source="run.csv")


def test_solutes_after_the_end_of_a_programme_are_said():
    assert late_sentences(np.array([False, True]), ["C9", "C30"]) == [
        "C30 elute after the programme's end: its last temperature is held."
    ]
    assert late_sentences(np.array([False]), ["C9"]) == []


def test_start_and_length_of_the_injection_of_one_analyte_need_a_prior(btex):
    single, clean = one(btex.peaks, 4), btex.clean
    free = ("retention", "desorption", "injection", "delay")
    with pytest.raises(ConfigError, match=r"fit\.free: injection and delay of a single analyte .* 80 to 230 times"):
        fit_chromatogram(btex.times, clean, single, free=free)
    alone = chromatogram(btex.times, single, btex.areas[None, 4:])[0] + btex.noisy(0) - btex.clean
    known = Search(priors={"delay": (0.0, 0.05)})
    fit = fit_chromatogram(btex.times, alone, single, free=free, search=known)
    assert abs(float(fit.peaks.delay)) < 0.2


def test_a_parameter_at_its_bound_is_refused_by_name(btex, start):
    bounds = Search(bounds={"desorption": (1.0, 16.8)})
    guess = replace(start, desorption=btex.peaks.desorption * 0.9)
    with pytest.raises(NumericsError, match=r"desorption rate of ethylbenzene ended at its highest value, 16\.8\. Give a better"):
        fit_chromatogram(btex.times, btex.noisy(6), guess, analytes=btex.analytes, search=bounds)


def test_a_time_that_the_data_put_at_zero_is_a_result(btex, start):
    free = ("retention", "desorption", "tailing")
    sharp = chromatogram(btex.times, replace(btex.peaks, injection=3.5), btex.areas[None])[0] + btex.noisy(0) - btex.clean
    fit = fit_chromatogram(btex.times, sharp, replace(start, tailing=0.3), free=free, analytes=btex.analytes)
    assert float(fit.peaks.tailing) < 0.05


def test_an_analyte_that_is_not_there_is_refused(btex, start):
    without = btex.noisy(0) - 1.1 * chromatogram(btex.times, one(btex.peaks, 3), btex.areas[None, 3:4])[0]
    with pytest.raises(NumericsError, match="the area of toluene is not positive: the signal shows no such peak"):
        fit_chromatogram(btex.times, without, start, analytes=btex.analytes)


def test_hold_up_and_delay_together_are_singular_and_the_direction_is_said(btex, start):
    """Only tM + t0 and k tM shape the curve: no data tell them apart."""
    free = ("retention", "desorption", "hold_up", "delay")
    with pytest.raises(NumericsError, match=r"the Jacobian is singular\. Not determined: .*hold-up time.* Fix one of them"):
        fit_chromatogram(btex.times, btex.noisy(0), btex.peaks, free=free, analytes=btex.analytes)


def test_a_model_without_a_computation_is_a_typed_error(btex, start):
    few = replace(start, mixing=0.3, desorption=start.desorption * 0.01)
    with pytest.raises(NumericsError, match=r"left the range of the model\. .*Give its dispersion|needs? the kernel"):
        fit_chromatogram(btex.times, btex.clean, few)


def test_misfit_is_said(btex, start):
    tailing = chromatogram(btex.times, replace(btex.peaks, tailing=6.0), btex.areas[None])[0]
    noise = 0.1 * (btex.noisy(0) - btex.clean)
    fit = fit_chromatogram(btex.times, tailing + noise, start, analytes=btex.analytes)
    assert any("times the noise: the model leaves out something" in each for each in fit.statements)
