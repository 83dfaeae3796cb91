import csv
from types import SimpleNamespace

import html5lib
import pytest

from medidiff.report.index import write_index

SVG = "{http://www.w3.org/2000/svg}"


def parse(path):
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(path.read_text(encoding="utf-8"))


def rows(document):
    [table] = [t for t in document.iter("table") if t.get("id") == "studies"]
    return [["".join(cell.itertext()).strip() for cell in row] for row in table.find("tbody")]


def numbers(workspace, study, **dice):
    for method, value in dice.items():
        workspace.record(study, f"segment/{method}.json", "segment", method, numbers={"volume_ml": 10.0})
        workspace.record(
            study, f"evaluate/{method}.json", "evaluate", method, numbers={"dice": value, "hd95_mm": 10 * (1 - value)}
        )


@pytest.fixture
def cohort(workspace):
    numbers(workspace, "GOOD-1", suv2=0.9, suv4=0.8)
    numbers(workspace, "POOR-1", suv2=0.7, suv4=0.1)
    numbers(workspace, "FAIR-1", suv2=0.5, suv4=0.6)
    workspace.failed("BAD-1", "slice 18 is missing.\nRe-export the series.")
    workspace.attempt("CUT-1", "convert", status=None)
    workspace.report.mkdir(parents=True, exist_ok=True)
    (workspace.report / "GOOD-1.html").write_text("page")
    return workspace


def write(workspace, studies=("GOOD-1", "POOR-1", "FAIR-1", "BAD-1", "CUT-1", "NEW-1"), **options):
    return write_index(workspace.results, workspace.logs, list(studies), workspace.report / "index.html", **options)


def test_failed_studies_come_first_then_the_worst(cohort):
    found = rows(parse(write(cohort)))
    assert [row[0] for row in found] == ["BAD-1", "CUT-1", "NEW-1", "POOR-1", "FAIR-1", "GOOD-1"]
    assert [row[1] for row in found] == ["failed", "unfinished", "waiting", "done", "done", "done"]
    assert found[3][2:4] == ["0.700", "0.100"]


def test_the_error_of_a_failed_study_stands_above_everything(cohort):
    document = parse(write(cohort, title="Our cohort"))
    assert document.find("head/title").text == "Our cohort"
    first = next(document.iter("section"))
    assert "BAD-1" in "".join(first.itertext()) and "slice 18 is missing.\nRe-export the series." in "".join(first.itertext())


def test_methods_are_summed_up_by_mean_median_and_number(cohort):
    table = next(parse(write(cohort)).iter("table"))
    found = [["".join(cell.itertext()).strip() for cell in row] for row in table.find("tbody")]
    assert found == [
        ["suv2", "3", "0.700 / 0.700", "3.00 / 3.00", "10.0 / 10.0"],
        ["suv4", "3", "0.500 / 0.600", "5.00 / 4.00", "10.0 / 10.0"],
    ]


def test_the_chart_has_one_dot_for_each_study_and_method_at_its_dice(cohort):
    [svg] = parse(write(cohort)).iter(f"{SVG}svg")
    dots = {circle.find(f"{SVG}title").text: float(circle.get("cx")) for circle in svg.iter(f"{SVG}circle")}
    assert len(dots) == 6
    ticks = {line.text: float(line.get("x")) for line in svg.iter(f"{SVG}text") if line.get("text-anchor") == "middle"}
    span = ticks["1.0"] - ticks["0.0"]
    for name, x in dots.items():
        assert (x - ticks["0.0"]) / span == pytest.approx(float(name.split(": ")[1]), abs=1e-3)


def test_pages_that_exist_are_linked_and_nothing_else(cohort):
    document = parse(write(cohort))
    assert [a.get("href") for a in document.iter("a")] == ["summary.tsv", "GOOD-1.html"]


def test_lines_of_the_study_table_are_taken_and_rejected_ones_say_why(cohort):
    lines = [
        SimpleNamespace(study="GOOD-1", status="ok", reason=""),
        SimpleNamespace(study="OUT-1", status="reject", reason="no PET"),
    ]
    document = parse(write(cohort, lines))
    assert [row[:2] for row in rows(document)] == [["OUT-1", "rejected"], ["GOOD-1", "done"]]
    assert "no PET" in "".join(next(document.iter("section")).itertext())


def test_every_number_is_in_the_table_and_formulas_are_text(cohort, tmp_path):
    cohort.failed("EVIL-1", '=HYPERLINK("http://x")\tand\nmore')
    write(cohort, ["GOOD-1", "EVIL-1"], table=tmp_path / "deep" / "all.tsv")
    with open(tmp_path / "deep" / "all.tsv", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert list(lines[0]) == ["study", "state", "method", "dice", "hd95_mm", "volume_ml", "error"]
    assert [(line["study"], line["method"], line["dice"]) for line in lines] == [
        ("EVIL-1", "", ""),
        ("GOOD-1", "suv2", "0.9"),
        ("GOOD-1", "suv4", "0.8"),
    ]
    assert lines[0]["error"] == '\'=HYPERLINK("http://x") and more'


def test_only_our_sorting_script_may_run(cohort):
    import base64
    import hashlib

    document = parse(write(cohort))
    [script] = document.iter("script")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    [policy] = [meta.get("content") for meta in document.iter("meta") if "Policy" in (meta.get("http-equiv") or "")]
    assert f"script-src 'sha256-{digest}'" in policy and "unsafe-inline" not in policy.split("script-src")[1]


def test_an_infinite_distance_is_no_obstacle(cohort):
    cohort.record("FAIR-1", "evaluate/suv2.json", "evaluate", "suv2", numbers={"dice": 0.0, "hd95_mm": "inf"})
    assert "∞" in "".join(parse(write(cohort)).itertext())


def test_no_study_at_all_gives_a_page(workspace):
    assert "0 studies" in "".join(parse(write(workspace, [])).itertext())


def test_a_long_list_goes_on_on_further_pages_that_lead_to_one_another(cohort, monkeypatch):
    monkeypatch.setattr("medidiff.report.index.PAGE", 4)
    first = write(cohort)
    pages = [first, first.with_name("index.2.html")]
    assert [[row[0] for row in rows(parse(page))] for page in pages] == [
        ["BAD-1", "CUT-1", "NEW-1", "POOR-1"],
        ["FAIR-1", "GOOD-1"],
    ]
    for page in pages:
        document = parse(page)
        assert {link.get("href") for link in document.find(".//nav").iter("a")} - {"summary.tsv"} == {
            other.name for other in pages if other != page
        }
        assert "6 studies" in "".join(document.find("body/header").itertext())
    assert "slice 18 is missing." not in pages[1].read_text()
    assert len(first.with_name("summary.tsv").read_text().splitlines()) == 1 + 3 * 2 + 3


def test_pages_of_an_earlier_longer_list_go(cohort, monkeypatch):
    monkeypatch.setattr("medidiff.report.index.PAGE", 2)
    page = write(cohort)
    assert page.with_name("index.3.html").exists()
    monkeypatch.setattr("medidiff.report.index.PAGE", 4)
    write(cohort)
    assert page.with_name("index.2.html").exists() and not page.with_name("index.3.html").exists()


def test_of_many_errors_the_first_are_told_and_the_others_counted(workspace, monkeypatch):
    monkeypatch.setattr("medidiff.report.index.TROUBLED", 2)
    names = [f"BAD-{number}" for number in range(5)]
    for name in names:
        workspace.failed(name, f"{name} is cut.")
    text = write(workspace, names).read_text()
    assert text.count(" is cut.") == 2 and "and 3 more" in text


def test_a_crowd_of_values_is_drawn_as_lines(cohort, monkeypatch):
    monkeypatch.setattr("medidiff.report.index.PAGE", 2)
    document = parse(write(cohort))
    crowds = [path for path in document.iter(f"{SVG}path") if path.get("class") == "crowd"]
    assert [path.get("d").count("M") for path in crowds] == [3, 3]


@pytest.mark.slow
def test_the_index_of_a_thousand_studies_is_small(workspace):
    names = [f"CT-{number:04d}" for number in range(1000)]
    for number, name in enumerate(names):
        numbers(workspace, name, **{f"m{method}": (number + method) / 1005 for method in range(5)})
    page = write(workspace, names)
    files = [page, page.with_name("index.2.html")]
    assert [len(rows(parse(path))) for path in files] == [500, 500]
    assert all(path.stat().st_size < 1e6 for path in files)
