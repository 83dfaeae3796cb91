"""Whole traces: parameters recovered, refusals of section 6 of the specification, the paper's comparison, programmes."""

from dataclasses import replace

import numpy as np
import pytest

from medidiff.chromatography.comparison import compare_solvers
from medidiff.chromatography.elution import elute
from medidiff.chromatography.settings import AnalyteSettings, ChromatographSettings, ProgrammeSettings
from medidiff.chromatography.task import chromatograph
from medidiff.errors import ConfigError, DataError
from medidiff.io.chromatogram.csvfile import read_csv
from medidiff.io.chromatogram.trace import Chromatogram, TablePeak
from medidiff.phantoms.chromatogram import AROMATICS, COLUMN, hold_up_time, make_chromatogram, true_peaks
from medidiff.phantoms.trace_settings import ChromatogramPhantom
from physics.chromatography.broadening import corrected_desorption
from physics.chromatography.reference import PaperColumn

NAMES = tuple(AROMATICS)
DIFFUSION = (2.8936e-6, 2.6074e-6, 2.3849e-6, 2.0669e-6, 2.0669e-6)


def analytes(**more):
    return tuple(
        AnalyteSettings(name=name, diffusion_m2_s=d, injected_mol_m3=2.732e-6 * AROMATICS[name][3], **more)
        for name, d in zip(NAMES, DIFFUSION)
    )


def run(made=None, **settings):
    trace = make_chromatogram(ChromatogramPhantom(**(made or {})))
    settings = {"analytes": analytes()} | settings
    return chromatograph(trace, settings=ChromatographSettings.model_validate(settings))


@pytest.fixture(scope="module")
def aromatics():
    return run({"seed": 11})


def test_rates_and_areas_of_the_five_aromatics_are_recovered_within_their_intervals(aromatics):
    peaks, areas = true_peaks(ChromatogramPhantom())
    assert aromatics.names == NAMES
    for i, numbers in enumerate(aromatics.numbers["analytes"].values()):
        truth = {
            "retention": float(peaks.retention[0, i]),
            "desorption_per_s": float(peaks.desorption[0, i]),
            "area": float(areas[0, i]),
        }
        for name, value in truth.items():
            middle = numbers[name]
            reach = 2 * (numbers[f"{name}_high"] - middle)  # about four standard deviations
            assert 0 < reach < 0.15 * middle
            assert abs(middle - value) < reach


def test_derived_numbers_are_those_of_the_specification():
    """Section 3: k, transfer units, plates, resolution, equilibrium and response of a noise-free trace."""
    found = run({"noise": 0.0})
    table = {
        "benzene": (2.428, 440, 119.2, 435, 4.1997e8),
        "toluene": (5.705, 2243, 231.2, 1516, 3.3584e8),
        "ethylbenzene": (12.07, 6990, 448.8, 4024, 2.0356e8),
        "m/p-xylene": (13.03, 4924, 481.5, 2831, 2.5557e8),
        "o-xylene": (15.81, 7723, 576.6, 4319, 1.8708e8),
    }
    for name, (k, units, mean, plates, response) in table.items():
        numbers = found.numbers["analytes"][name]
        assert numbers["retention"] == pytest.approx(k, rel=5e-4)
        assert numbers["transfer_units"] == pytest.approx(units, rel=2e-3)
        assert numbers["mean_s"] == pytest.approx(mean, abs=0.1)
        assert numbers["plates_moment"] == pytest.approx(plates, rel=3e-3)
        assert numbers["response"] == pytest.approx(response, rel=1e-3)
    resolutions = [found.numbers["analytes"][name]["resolution_to_next"] for name in NAMES[:-1]]
    np.testing.assert_allclose(resolutions, [4.81, 8.36, 1.01, 2.67], rtol=0.02)  # of widths at the base, not of moments
    xylene = found.numbers["analytes"]["o-xylene"]
    gas = {"diffusion": DIFFUSION[-1], "radius": COLUMN.radius}
    assert corrected_desorption(xylene["desorption_per_s"], xylene["retention"], **gas) == pytest.approx(18.1, abs=0.1)
    assert xylene["desorption_without_golay_per_s"] == pytest.approx(17.0, abs=0.02)  # D grows towards the outlet
    assert xylene["equilibrium"] == pytest.approx(711.55, rel=1e-3)
    assert found.numbers["hold_up_s"] == pytest.approx(34.18, abs=0.01)


def test_golays_term_in_the_model_gives_the_rates_that_correct_the_fitted_ones(aromatics):
    """Section 1.10: 1/kd of a model with radial dispersion is 1/kd of one without, less 1/kd of the gas at its mean D."""
    golay = run({"seed": 11}, column={"gas_phase": "golay"})
    for name in NAMES:
        corrected = aromatics.numbers["analytes"][name]["desorption_without_golay_per_s"]
        assert golay.numbers["analytes"][name]["desorption_per_s"] == pytest.approx(corrected, rel=0.01)


def test_the_curves_add_up_and_the_residual_is_white(aromatics):
    curves = aromatics.curves
    np.testing.assert_allclose(curves["components"].sum(axis=0) + curves["baseline"], curves["curve"], atol=1e-6)
    np.testing.assert_allclose(curves["signal"] - curves["curve"], curves["residual"])
    assert aromatics.numbers["durbin_watson"] == pytest.approx(2.0, abs=0.2)
    assert aromatics.numbers["chi_squared_reduced"] == pytest.approx(1.0, abs=0.25)


def test_the_result_says_that_retention_hangs_on_the_hold_up_time(aromatics):
    said = " ".join(aromatics.numbers["statements"])
    assert "only known if the hold-up time is" in said
    assert "Whether the column is linear is not checked" in said


def test_analytes_with_a_retention_factor_claim_the_peak_at_their_place():
    toluene = AnalyteSettings(name="toluene", retention=5.7)
    found = run(analytes=(toluene,))
    assert "toluene" in found.names and len(found.names) == 5
    assert found.numbers["analytes"]["toluene"]["retention_time_s"] == pytest.approx(231.0, abs=0.3)
    assert sum("no analyte is listed for the peak at" in text for text in found.warnings) == 4


def test_a_prior_on_the_hold_up_time_widens_the_intervals_of_retention():
    plain = run({"noise": 0.003})
    free = run({"noise": 0.003}, fit={"free": ["hold_up"], "priors": {"hold_up": {"mean_s": 34.18, "deviation_s": 0.3}}})
    widths = [r.numbers["analytes"]["o-xylene"]["retention_high"] - 15.81 for r in (plain, free)]
    assert widths[1] > 5 * abs(widths[0])
    assert free.numbers["shared"]["hold_up"]["value_s"] == pytest.approx(34.18, abs=0.6)


def test_profile_and_bootstrap_intervals_stand_beside_those_of_the_covariance(aromatics):
    found = run({"seed": 11}, fit={"profile": True, "bootstrap": 48})
    for name, numbers in found.numbers["analytes"].items():
        for key in ("retention", "desorption_per_s", "area"):
            width = numbers[f"{key}_high"] - numbers[f"{key}_low"]
            assert numbers[f"{key}_profile_low"] < numbers[key] < numbers[f"{key}_profile_high"]
            assert numbers[f"{key}_profile_high"] - numbers[f"{key}_profile_low"] == pytest.approx(width, rel=0.1)
            assert numbers[f"{key}_profile_high"] != numbers[f"{key}_high"]
            assert 0.5 * width < numbers[f"{key}_bootstrap_high"] - numbers[f"{key}_bootstrap_low"] < 1.6 * width
        assert aromatics.numbers["analytes"][name].items() <= numbers.items()  # nothing else changes
    assert not any("profile" in text for text in found.numbers["statements"])


def test_a_flat_valley_has_no_profile_and_says_so():
    found = run(fit={"free": ["hold_up"], "profile": True})
    (said,) = [text for text in found.numbers["statements"] if "profile likelihood" in text]
    assert said.startswith("There are no intervals by profile likelihood: the data leave") and "hold-up time" in said
    assert not any("profile" in key for numbers in found.numbers["analytes"].values() for key in numbers)


def test_a_prior_gives_a_shared_quantity_a_profile():
    prior = {"hold_up": {"mean_s": 34.18, "deviation_s": 0.3}}
    found = run({"noise": 0.003}, fit={"free": ["hold_up"], "priors": prior, "profile": True}).numbers["shared"]["hold_up"]
    assert found["value_s_profile_low"] == pytest.approx(found["value_s_low"], abs=0.06)
    assert found["value_s_profile_high"] == pytest.approx(found["value_s_high"], abs=0.06)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"analytes": (*analytes(), AnalyteSettings(name="styrene"))}, DataError, "found 5 peaks for 6 analytes"),
        ({"injection": {"duration_s": 100}}, ConfigError, "more than half of the first retention time"),
        ({"column": {"hold_up_s": 150}}, DataError, "benzene elutes at 11.* s, before the hold-up time 150 s"),
        ({"reading": {"from_s": 700, "until_s": 703}}, DataError, "7 samples between 700 and 703 s"),
        ({"column": {"gas_phase": "golay"}, "analytes": ()}, ConfigError, "golay needs the diffusion coefficient of peak at"),
        ({"analytes": analytes(capacity_mol_m3=0.02)}, DataError, "theta0"),
    ],
)
def test_what_cannot_be_is_refused_with_advice(settings, error, message):
    with pytest.raises(error, match=message):
        run(**settings)


def test_a_loading_between_the_limits_is_said_and_a_higher_one_can_be_forced():
    said = run(analytes=analytes(capacity_mol_m3=0.2)).numbers
    assert 1e-2 < said["theta0"] < 1e-1 and "competition for the film shifts peaks" in said["statements"][-1]
    forced = run(analytes=analytes(capacity_mol_m3=0.02), fit={"force_linear": True})
    assert forced.numbers["theta0"] > 0.1


def test_a_saturated_top_is_left_out_of_the_fit():
    trace = make_chromatogram(ChromatogramPhantom(seed=2))
    cut = Chromatogram(trace.times, np.minimum(trace.signal, 4000.0))
    found = chromatograph(cut, settings=ChromatographSettings(analytes=analytes()))
    (said,) = [text for text in (*found.numbers["statements"], *found.warnings) if "saturated" in text]
    assert said.startswith(f"The detector is saturated at {cut.times[cut.signal == 4000.0][0]:.4g} s")
    assert found.numbers["analytes"]["benzene"]["height"] == pytest.approx(81.0, rel=0.05)


def test_the_papers_comparison_finds_the_integral_equal_and_the_differences_converging():
    adsorption, desorption, _, _ = AROMATICS["benzene"]
    paper = PaperColumn(COLUMN.phase_ratio * adsorption / desorption, desorption, 0.41, 20.0, COLUMN.pressure_ratio, 4.0)
    solvers = ("kernel", "double_integral", "finite_differences", "transit_grid")
    coarse, fine = (compare_solvers(paper, hold_up_time(), solvers=solvers, cells=cells) for cells in (125, 250))
    assert coarse["kernel"].error < 1e-12 and coarse["double_integral"].error < 1e-8
    assert coarse["finite_differences"].error > 1.7 * fine["finite_differences"].error > 0.05
    assert 3 < coarse["transit_grid"].error / fine["transit_grid"].error < 5


def test_the_volumes_of_a_short_column_agree_with_the_inversion():
    paper = PaperColumn(1.5, 6.0, 0.4, 8.0, 0.6, 2.0)
    coarse, fine = (compare_solvers(paper, paper.hold_up, solvers=("finite_volumes",), cells=cells) for cells in (50, 100))
    assert fine["finite_volumes"].error < 0.1
    assert coarse["finite_volumes"].error > 2.5 * fine["finite_volumes"].error


@pytest.mark.parametrize(("name", "rms", "corrected"), [("A", 3.16, 3.0), ("B", 2.95, 3.0)])
def test_published_programmes_are_predicted_as_tabulated_and_better_with_corrections_from_the_other(name, rms, corrected):
    numbers = elute(ProgrammeSettings(published=name)).numbers
    assert numbers["predicted"]["rms_s"] < rms
    assert numbers["corrected"]["rms_s"] < corrected
    assert numbers["corrections"]["fitted_on"] == f"programme {'B' if name == 'A' else 'A'}"
    assert numbers["predicted"]["compared"] == 22


def test_a_table_of_an_own_programme_is_compared_by_name():
    from medidiff.chromatography.measurements import read_measurements

    source = read_measurements("leppert2020")
    run_a = source.runs["A"]
    oven = tuple(zip(run_a.oven.times.tolist(), run_a.oven.temperatures.tolist()))
    table = [TablePeak(time, float("nan"), name) for name, time in zip(source.names[3:], run_a.times[3:])]
    numbers = elute(ProgrammeSettings(oven=oven), table=table).numbers
    assert numbers["predicted"]["compared"] == 19
    assert np.isnan(numbers["solutes"]["C9"]["measured_s"])
    assert numbers["corrections"]["fitted_on"] == "programme A and B"
    with pytest.raises(DataError, match="the table names benzene; expected some of C9"):
        elute(ProgrammeSettings(oven=oven), table=[replace(table[0], name="benzene")])


def test_solutes_behind_the_programmes_end_are_named():
    found = elute(ProgrammeSettings(oven=((0.0, 313.15), (600.0, 500.0))))
    assert "elute after the programme's end" in found.warnings[0] and "C30" in found.warnings[0]


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["A", "B"])
def test_every_apex_of_a_measured_trace_is_found_where_it_was_published(mirror, name):
    trace = read_csv(mirror / "chromatography" / "leppert2020" / f"measured_chromatogram_{name}.csv")
    numbers = elute(ProgrammeSettings(published=name), trace=trace).numbers
    misses = [row["measured_s"] - row["published_s"] for row in numbers["solutes"].values()]
    assert np.abs(misses).max() < 0.05
    assert numbers["corrected"]["rms_s"] < 3.0
    oven = {"A": ((0.0, 313.15), (60.0, 313.15), (1620.0, 573.15)), "B": ((0.0, 313.15), (60.0, 313.15), (1099.8, 573.15))}
    own = elute(ProgrammeSettings(oven=oven[name]), trace=trace).numbers["solutes"]
    assert np.nanmax([abs(own[s]["measured_s"] - row["measured_s"]) for s, row in numbers["solutes"].items()]) == 0
