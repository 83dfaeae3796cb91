"""The page of a reconstruction: every method shown and counted, trust told in words, failures of reading as notes."""

import html5lib
import numpy as np
import pytest

from medidiff.io.maps import Maps, read_maps, write_maps
from medidiff.io.nifti import write_nifti
from medidiff.io.volume import Volume
from medidiff.record import Record
from medidiff.report.index import write_index
from medidiff.report.page import write_study_page

AFFINE = np.array([[1.9, -0.5, 0.0, -9.0], [0.5, 1.9, 0.0, 3.0], [0.0, 0.0, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])
FACTS = {"simulated": True, "inverse_crime": False, "views": 20, "beam": "parallel"}


def record(folder, task, method="", numbers=None, **run):
    name = method or task
    Record(task, "CHEST", method, 1, {}, [], [], numbers=numbers or {}, run=run).write(folder / task / f"{name}.json")


@pytest.fixture
def results(tmp_path):
    """A study with two methods, one of them with samples, and auto's choice."""
    folder = tmp_path / "results" / "CHEST"
    truth = Volume(np.random.default_rng(0).uniform(-1000, 400, (16, 15, 12)).astype(np.float32), AFFINE)
    record(folder, "simulate", numbers=FACTS)
    for method, error, numbers in (
        ("tv", 40.0, {"heldout": 0.031, "chi2": 0.4, "residual": 0.02}),
        ("auto", 20.0, {"heldout": 0.022, "chi2": 1.02, "chosen": "nadds", "network_calls": 50}),
    ):
        write_nifti(truth.with_array(truth.array + error), folder / "reconstruct" / f"{method}.nii.gz")
        maps = {"spread": truth.with_array(np.full(truth.array.shape, 7.0))} if method == "auto" else {}
        write_maps(Maps(maps, AFFINE), folder / "reconstruct" / f"{method}.h5")
        record(folder, "reconstruct", method, numbers, seconds_solver=12.5)
        write_nifti(truth.with_array(np.full_like(truth.array, error)), folder / "compare" / f"{method}.nii.gz")
        record(folder, "compare", method, {"psnr_db": 40 - error / 4, "mae_hu": error})
    return tmp_path / "results"


def parsed(path):
    return html5lib.parse(path.read_text(), namespaceHTMLElements=False)


def text_of(element):
    return "".join(element.itertext()).strip()


def page_of(results):
    out = write_study_page(results, results / "logs", "CHEST", results / "report" / "CHEST.html")
    return parsed(out), out.parent


def table(page, title):
    """Cells by row and column heading of the section with this title."""
    section = next(s for s in page.iter("section") if s.find("h2") is not None and text_of(s.find("h2")) == title)
    heads = [text_of(cell) for cell in section.findall(".//thead/tr/th")][1:]
    rows = section.findall(".//tbody/tr")
    return {text_of(row.find("th")): dict(zip(heads, map(text_of, row.findall("td")))) for row in rows}


def test_every_method_has_its_numbers_and_its_pictures(results):
    page, folder = page_of(results)
    quality, trust = table(page, "Against the reference"), table(page, "Trust")
    assert quality["tv"]["PSNR (dB)"] == "30.0" and quality["auto"]["mean error (HU)"] == "20.0"
    assert trust["tv"]["chi-square"] == "0.400" and trust["auto"]["network calls per slice"] == "50"
    assert trust["auto"]["seconds"] == "12.5" and trust["tv"]["network calls per slice"] == "–"
    shown = [image.get("src") for image in page.iter("img")]
    assert shown == ["CHEST.planes.png", "CHEST.differences.png", "CHEST.spread.png"]
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in shown)


def test_trust_is_told_in_words(results):
    page, _ = page_of(results)
    text = " ".join(map(text_of, page.iter("li")))
    assert "auto chose nadds by the prediction of hidden measurements" in text
    assert "tv: chi-square 0.400, expected 1: it fits the noise" in text and "auto: chi-square" not in text
    assert "on finer pixels than the reconstruction has" in text
    captions = " ".join(map(text_of, page.iter("figcaption")))
    assert "alone it is no interval" in captions and "Half of the interval" not in captions


def test_a_calibrated_spread_is_shown_as_an_interval_with_its_level(results):
    path = results / "CHEST" / "reconstruct" / "auto.h5"
    maps = read_maps(path)
    half = {"half_width": maps.volumes["spread"]}
    write_maps(Maps(half | dict(maps.volumes), AFFINE, {"level": 0.9}), path)
    page, _ = page_of(results)
    captions = " ".join(map(text_of, page.iter("figcaption")))
    assert "hold the truth in 90 % of the voxels" in captions


def test_a_study_without_a_reference_has_no_differences(results):
    for path in (results / "CHEST" / "compare").iterdir():
        path.unlink()
    page, _ = page_of(results)
    assert [image.get("src") for image in page.iter("img")] == ["CHEST.planes.png", "CHEST.spread.png"]
    assert "Against the reference" not in text_of(page)


def test_a_damaged_volume_becomes_a_note(results):
    (results / "CHEST" / "reconstruct" / "tv.nii.gz").write_bytes(b"torn")
    page, _ = page_of(results)
    notes = " ".join(map(text_of, page.findall(".//ul[@class='warnings']/li")))
    assert "reconstruct/tv.nii.gz" in notes and str(results) not in notes


def test_the_index_lists_every_method_of_every_reconstruction(results):
    out = write_index(results, results / "logs", ["CHEST"], results / "report" / "index.html")
    headings = [text_of(heading) for heading in parsed(out).iter("h2")]
    assert "Reconstructions" in headings and "Methods" not in headings
    lines = (results / "report" / "summary.tsv").read_text().splitlines()
    assert [line.split("\t")[:3] for line in lines[1:]] == [["CHEST", "done", "auto"], ["CHEST", "done", "tv"]]
