"""Series of traces with known truth: what each row says, alone, beside failing neighbours, and on a cluster."""

from dataclasses import replace

import numpy as np
import pytest
from dask.distributed import Client, LocalCluster

from medidiff.chromatography.alignment import on_one_axis
from medidiff.chromatography.series import HEADING, as_table, fit_series
from medidiff.chromatography.settings import AnalyteSettings, ChromatographSettings, ReadingSettings
from medidiff.chromatography.task import chromatograph
from medidiff.errors import DataError
from medidiff.io.chromatogram.trace import Chromatogram
from medidiff.phantoms.chromatogram import AROMATICS, make_chromatogram, true_peaks
from medidiff.phantoms.trace_settings import ChromatogramPhantom

SETTINGS = ChromatographSettings(analytes=tuple(AnalyteSettings(name=name) for name in AROMATICS))
AMOUNTS = {"c.cdf": 1.5, "a.cdf": 1.0, "b.cdf": 0.5}


def made(**settings):
    return make_chromatogram(ChromatogramPhantom(**{"noise": 0.003} | settings))


@pytest.fixture(scope="module")
def traces():
    return {name: made(amount=amount, seed=i) for i, (name, amount) in enumerate(AMOUNTS.items())}


@pytest.fixture(scope="module")
def series(traces):
    return fit_series(traces, settings=SETTINGS)


def test_rows_stand_in_order_and_give_back_the_known_parameters(series):
    assert [(row.file, row.analyte) for row in series.rows] == [(f, a) for f in sorted(AMOUNTS) for a in AROMATICS]
    for i, row in enumerate(series.rows):
        peaks, areas = true_peaks(ChromatogramPhantom(amount=AMOUNTS[row.file]))
        n = i % len(AROMATICS)
        assert abs(row.retention - float(peaks.retention[0, n])) < 4 * row.retention_deviation
        assert abs(row.desorption_per_s - float(peaks.desorption[0, n])) < 4 * row.desorption_per_s_deviation
        assert abs(row.area - float(areas[0, n])) < 4 * row.area_deviation
        assert 0 < row.desorption_per_s_deviation < 0.05 * row.desorption_per_s
        assert 0 < row.area_deviation < 0.05 * row.area
        assert row.converged == "yes" and row.note == "" and row.misfit == pytest.approx(1.0, abs=0.2)
    assert series.statements == ()


def test_a_row_equals_the_fit_of_its_trace_alone(traces, series):
    alone = chromatograph(traces["b.cdf"], settings=SETTINGS).numbers["analytes"]
    for row in series.rows[5:10]:
        numbers = alone[row.analyte]
        assert row.retention == pytest.approx(numbers["retention"], rel=1e-6)
        assert row.desorption_per_s == pytest.approx(numbers["desorption_per_s"], rel=1e-4)
        assert row.area == pytest.approx(numbers["area"], rel=1e-4)
        assert row.area_deviation == pytest.approx((numbers["area_high"] - numbers["area"]) / 1.96, rel=0.01)


def test_a_cluster_writes_the_same_bytes(traces, series):
    quiet = {"dashboard_address": None, "processes": False}
    with LocalCluster(n_workers=2, threads_per_worker=1, **quiet) as cluster, Client(cluster) as client:
        there = fit_series(traces, settings=SETTINGS, client=client)
    assert as_table(there).encode() == as_table(series).encode()
    backwards = dict(reversed(traces.items()))
    assert as_table(fit_series(backwards, settings=SETTINGS)) == as_table(series)


def test_a_failing_trace_is_flagged_and_leaves_the_others_as_they_are(traces, series):
    flat = Chromatogram(traces["a.cdf"].times, np.random.default_rng(0).standard_normal(len(traces["a.cdf"].times)))
    found = fit_series(traces | {"aa.cdf": flat}, settings=SETTINGS)
    bad = [row for row in found.rows if row.file == "aa.cdf"]
    assert [row.analyte for row in bad] == list(AROMATICS)
    assert all(row.converged == "no" and np.isnan(row.retention) and "no peak stands out" in row.note for row in bad)
    kept = replace(found, rows=tuple(row for row in found.rows if row.file != "aa.cdf"))
    assert as_table(kept) == as_table(series)


def test_a_start_that_cannot_be_computed_gives_rows_without_numbers(traces):
    """Few transfer units behind a mixing volume: neither the FFT nor the kernel serves."""
    slow = tuple(AnalyteSettings(name=name, desorption_per_s=0.1) for name in AROMATICS)
    settings = ChromatographSettings.model_validate({"analytes": slow, "injection": {"mixing_s": 0.3}})
    found = fit_series({"a": traces["a.cdf"]}, settings=settings)
    assert [row.analyte for row in found.rows] == list(AROMATICS)
    for row in found.rows:
        assert row.converged == "no" and row.note.startswith("could not be computed")
        assert np.isnan([row.retention, row.desorption_per_s, row.area, row.area_deviation, row.misfit]).all()


def test_a_trace_with_another_number_of_peaks_has_rows_of_its_own(traces):
    few = {"analytes": (), "reading": ReadingSettings(until_s=600.0)}
    early = Chromatogram(traces["a.cdf"].times, np.where(traces["a.cdf"].times > 300, 3935.4, traces["a.cdf"].signal))
    noise = 0.2 * np.random.default_rng(1).standard_normal(len(early.times))
    early = replace(early, signal=early.signal + noise)
    found = fit_series({"five": traces["a.cdf"], "two": early}, settings=ChromatographSettings(**few))
    assert [row.file for row in found.rows] == ["five"] * 5 + ["two"] * 2
    assert found.rows[5].analyte.startswith("peak at 11") and found.rows[5].retention == pytest.approx(2.428, rel=5e-3)


def test_free_quantities_of_the_instrument_have_columns(traces):
    fit = {"free": ["delay"], "priors": {"delay": {"mean_s": 0.0, "deviation_s": 0.1}}}
    settings = ChromatographSettings.model_validate({"analytes": SETTINGS.analytes, "fit": fit})
    table = as_table(fit_series({"a": traces["a.cdf"]}, settings=settings)).splitlines()
    heading = table[0].split("\t")
    assert table[0].startswith(HEADING) and heading[-3:] == ["delay_s", "delay_s_deviation", "note"]
    row = dict(zip(heading, table[1].split("\t"), strict=True))
    assert abs(float(row["delay_s"])) < 4 * float(row["delay_s_deviation"]) < 0.41


def test_shifted_times_are_interpolated_with_a_statement_and_leave_the_rates(traces):
    times = traces["a.cdf"].times[:-1] + 0.4 * traces["a.cdf"].step
    exact = made(noise=0.0)
    whole, said = on_one_axis({"a": exact, "b": Chromatogram(exact.times[10:], exact.signal[10:])}, ReadingSettings())
    assert said == [] and np.array_equal(whole["a"].signal, whole["b"].signal) and whole["a"].times[0] == exact.times[10]
    fine = made(noise=0.0, step_s=exact.step / 5)
    shifted = Chromatogram(times, fine.signal[2::5][: len(times)])
    assert shifted.times[3] == pytest.approx(fine.times[17])
    aligned, (sentence,) = on_one_axis({"a": exact, "b": shifted}, ReadingSettings())
    assert sentence == "1 of 2 traces were interpolated to the times of a: b."
    assert np.abs(aligned["b"].signal - aligned["a"].signal).max() < 1e-3 * np.ptp(exact.signal)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: Chromatogram(t.times[::2], t.signal[::2]), r"^z\.csv: .* expected traces of one method"),
        (lambda t: Chromatogram(t.times[: len(t.times) // 2], t.signal[: len(t.times) // 2]), r"^z\.csv: .* but c\.cdf: 0 to"),
        (lambda t: Chromatogram(t.times + 0.1, np.minimum(t.signal, 3990.0)), r"^z\.csv: is saturated and on other times"),
    ],
)
def test_traces_of_another_method_are_refused_by_name(traces, change, message):
    with pytest.raises(DataError, match=message):
        on_one_axis(traces | {"z.csv": change(traces["a.cdf"])}, ReadingSettings())
