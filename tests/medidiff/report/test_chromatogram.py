"""Pages of chromatograms: what a reader must find on them."""

import html5lib
import numpy as np
import pytest
from PIL import Image

from medidiff.io.chromatogram.storage import Curves, write_curves
from medidiff.report.index import write_index
from medidiff.report.page import write_study_page

NAMES = ("benzene", "m/p-xylene & <b>more</b>")
FLAT = "Not determined: hold-up time +1 s, retention factors -2.6 %, all at once, move the whole curve by only 0.02 deviations."


def numbers():
    analyte = {
        "retention": 2.42812,
        "retention_low": 2.42701,
        "retention_high": 2.42923,
        "desorption_per_s": 5.299,
        "desorption_per_s_low": 5.22,
        "desorption_per_s_high": 5.38,
        "area": 1159.4,
        "area_low": 1152.0,
        "area_high": 1166.8,
        "retention_time_s": 118.9083,
        "width_half_s": 13.5,
        "plates_moment": 434.0,
        "asymmetry": 1.07,
        "signal_to_noise": 28.2,
    }
    return {
        "r_squared": 0.99689,
        "residual_deviation": 0.85,
        "noise": 0.95,
        "durbin_watson": 2.01,
        "condition": 2.6,
        "hold_up_s": 34.177,
        "theta0": None,
        "analytes": {NAMES[0]: analyte | {"resolution_to_next": 4.82}, NAMES[1]: analyte | {"resolution_to_next": None}},
        "shared": {"tailing": {"value_s": 0.51, "value_s_low": 0.4, "value_s_high": 0.62}},
        "comparison": {"benzene": {"finite_differences": 0.0287, "kernel": 2.2e-15}},
        "bootstrap": {"refits": 50, "converged": 49, "block": 3, "deviation_over_covariance": {"area of benzene": 1.4}},
        "statements": [FLAT],
    }


@pytest.fixture
def fitted(workspace):
    times = np.arange(0.0, 300.0, 0.5)
    parts = np.stack([80 * np.exp(-0.5 * ((times - c) / 6) ** 2) for c in (119.0, 160.0)])
    noise = np.random.default_rng(0).standard_normal(len(times))
    curve = 3935 + parts.sum(axis=0)
    values = {"signal": curve + noise, "curve": curve, "baseline": np.full(len(times), 3935.0), "residual": noise}
    path = workspace.results / "BTEX-1" / "chromatograph" / "curves.h5"
    write_curves(path, Curves(times, values | {"components": parts}, NAMES, {"unit": "a.u."}))
    workspace.record(
        "BTEX-1", "chromatograph/chromatograph.json", "chromatograph", numbers=numbers(), warnings=["sampled too slowly"]
    )
    workspace.attempt("BTEX-1", "chromatograph")
    return workspace


def page(workspace, study):
    out = write_study_page(workspace.results, workspace.logs, study, workspace.report / f"{study}.html")
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(out.read_text(encoding="utf-8"))


def text(element):
    return " ".join("".join(element.itertext()).split())


def rows(document, title):
    section = next(
        s for s in document.iter("section") if any(title in text(head) for tag in ("h2", "summary") for head in s.iter(tag))
    )
    return [[text(cell) for cell in row if cell.tag in ("td", "th")] for row in section.iter("tr")]


def test_parameters_stand_with_the_digits_that_their_intervals_allow(fitted):
    heading, benzene, xylene = rows(page(fitted, "BTEX-1"), "Parameters")
    assert heading[:4] == ["analyte", "k", "kd (1/s)", "area"]
    assert benzene[:5] == ["benzene", "2.4281 2.4270 to 2.4292", "5.30 5.22 to 5.38", "1159 1152 to 1167", "118.91"]
    assert xylene[0] == NAMES[1] and xylene[heading.index("Rs to the next")] == "–"


def test_intervals_of_other_methods_stand_below_that_of_the_covariance(fitted):
    changed = numbers()
    changed["analytes"][NAMES[0]] |= {"retention_profile_low": 2.42688, "retention_profile_high": "inf"}
    changed["analytes"][NAMES[0]] |= {"area_bootstrap_low": 1150.2, "area_bootstrap_high": 1169.9}
    fitted.record("BTEX-1", "chromatograph/chromatograph.json", "chromatograph", numbers=changed)
    document = page(fitted, "BTEX-1")
    _, benzene, xylene = rows(document, "Parameters")
    assert benzene[1] == "2.4281 2.4270 to 2.4292 profile: 2.4269 to +∞"
    assert benzene[3] == "1159 1152 to 1167 bootstrap: 1150 to 1170"
    assert xylene[1] == "2.4281 2.4270 to 2.4292"
    assert "Below that, those by profile likelihood and by block bootstrap." in text(document)


def test_flat_directions_warnings_and_names_are_said_in_words_and_escaped(fitted):
    document = page(fitted, "BTEX-1")
    assert FLAT in text(document) and "sampled too slowly" in text(document)
    assert not [b for b in document.iter("b") if text(b) == "more"]


def test_comparison_instrument_and_bootstrap_have_their_tables(fitted):
    document = page(fitted, "BTEX-1")
    assert rows(document, "Laplace against full numerical") == [
        ["analyte", "finite differences", "kernel"],
        ["benzene", "0.0287", "2.20e−15"],
    ]
    assert rows(document, "Instrument")[1] == ["tailing", "0.51 0.40 to 0.62"]
    assert rows(document, "Block bootstrap")[1] == ["area of benzene", "1.40"]


def test_figures_lie_beside_the_page_and_say_what_they_show(fitted):
    document = page(fitted, "BTEX-1")
    for image in document.iter("img"):
        with Image.open(fitted.report / image.get("src")) as picture:
            assert picture.size[0] > 300
        assert len(image.get("alt")) > 30
    assert [image.get("src") for image in document.iter("img")] == ["BTEX-1.fit.png", "BTEX-1.peaks.png"]


def test_the_index_lists_the_chromatogram_as_done(fitted):
    page(fitted, "BTEX-1")
    out = write_index(fitted.results, fitted.logs, ["BTEX-1"], fitted.report / "index.html")
    document = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(out.read_text())
    assert "done" in text(document)
    assert rows(document, "Chromatograms") == [
        ["study", "peaks", "r squared", "residual over noise", "condition"],
        ["BTEX-1", "2", "0.997", "0.895", "2.60"],
    ]
    table = [line.split("\t") for line in (fitted.report / "summary.tsv").read_text().splitlines()]
    assert dict(zip(*table))["r_squared"] == "0.99689"


def test_a_damaged_file_of_curves_costs_the_pictures_alone(fitted):
    path = fitted.results / "BTEX-1" / "chromatograph" / "curves.h5"
    path.write_bytes(path.read_bytes()[:500])
    document = page(fitted, "BTEX-1")
    assert not list(document.iter("img"))
    assert "not readable as stored curves" in text(document) and rows(document, "Parameters")[1][0] == "benzene"


def test_a_failed_chromatogram_has_a_page_with_its_error(workspace):
    message = "run.csv: no time unit, expected s or min."
    workspace.attempt("X", "chromatograph", status=3, error_class="DataError", error=message, log_tail=["DataError"])
    document = page(workspace, "X")
    assert "chromatograph failed" in text(document) and message in text(document)


def test_a_programme_shows_measured_and_predicted_times(workspace):
    solute = {
        "measured_s": 138.3,
        "predicted_s": 131.7,
        "corrected_s": 134.0,
        "predicted_width_s": 0.31,
        "published_width_s": 0.345,
    }
    unmeasured = solute | {"measured_s": None, "corrected_s": 240.0}
    times = np.linspace(0, 300, 400)
    path = workspace.results / "ALKANES" / "elute" / "curves.h5"
    write_curves(path, Curves(times, {"predicted": np.exp(-0.5 * ((times - 134) / 2) ** 2)}, (), {}))
    found = {
        "citation": "Somebody (2020)",
        "measured_from": "the published table",
        "corrections": {"temperature_offset_k": -5.86, "hold_up_scale": 0.78, "fitted_on": "programme B"},
        "predicted": {"rms_s": 3.15, "median_percent": 0.124, "largest_percent": 4.8, "compared": 1, "width_ratio": 0.887},
        "corrected": {"rms_s": 1.66, "median_percent": 0.13, "largest_percent": 3.3, "compared": 1, "width_ratio": 0.91},
        "solutes": {"C9": solute | {"retention_at_elution": 6.3}, "C10": unmeasured | {"retention_at_elution": 7.5}},
    }
    workspace.record("ALKANES", "elute/elute.json", "elute", numbers=found)
    document = page(workspace, "ALKANES")
    first, second = rows(document, "Retention")[1:]
    assert first[:6] == ["C9", "138.30", "131.70", "−6.60", "134.00", "−4.30"]
    assert second[:4] == ["C10", "–", "131.70", "–"]
    assert "3.15 s" in text(document) and "fitted on programme B alone" in text(document)
    assert [image.get("src") for image in document.iter("img")] == ["ALKANES.programme.png"]
