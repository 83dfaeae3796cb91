import json
import re
from types import SimpleNamespace

import html5lib
import pytest

from medidiff.report.index import write_index
from medidiff.report.page import write_study_page

HOSTILE = (
    "<script>document.documentElement.dataset.pwned=1</script>",
    '"><img src=x onerror="document.documentElement.dataset.pwned=1">',
)


def write(workspace, study, **options):
    return write_study_page(workspace.results, workspace.logs, study, workspace.report / f"{study}.html", **options)


def parse(path):
    """The document, which must be HTML5 without a single mistake."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(path.read_text(encoding="utf-8"))


def text_of(document):
    return " ".join("".join(document.find("body").itertext()).split())


def links(document):
    return [
        v
        for e in document.iter()
        if isinstance(e.tag, str)
        for k, v in e.attrib.items()
        if k in ("src", "href", "srcset", "data")
    ]


def tables(document):
    return [["".join(cell.itertext()).strip() for cell in row] for row in document.iter("tr")]


def test_the_page_tells_what_went_in_what_came_out_and_how_to_repeat_it(workspace):
    workspace.petct("P-1")
    document = parse(write(workspace, "P-1"))
    assert document.find("head/title").text == "P-1 · medidiff"
    text = text_of(document)
    for piece in (
        "odd dose",
        "PET · weight (kg)",
        "71.5",
        "40 × 36 × 22",
        "2.00 × 2.20 × 4.00",
        "LPS",
        "−50.0 to 60.0 HU",
        "0.900",
    ):
        assert piece in text, piece
    assert "medidiff segment in.nii.gz" in [pre.text for pre in document.iter("pre")]
    assert ["suv2", "0.900", "4.50", "3.25"] in tables(document)
    assert ["segment suv4", "1", "ok", "2026-01-02 03:04:05+00:00", "2.00 s", "300 MB", "node3"] in tables(document)


def test_pictures_and_viewer_lie_beside_the_page_and_nothing_is_outside(workspace):
    workspace.petct("P-1")
    out = write(workspace, "P-1")
    document = parse(out)
    names = [img.get("src") for img in document.iter("img")]
    assert names == ["P-1.planes.png", "P-1.lesion.png", "P-1.projection.png"]
    assert all(img.get("alt") for img in document.iter("img"))
    [frame] = document.iter("iframe")
    assert frame.get("src") == "P-1.viewer.html" and frame.get("sandbox") == "allow-scripts"
    for link in links(document):
        assert "//" not in link and ":" not in link, link
        assert link == "index.html" or (out.parent / link).is_file(), link


def test_the_policy_forbids_scripts_and_everything_from_outside(workspace):
    workspace.petct("P-1")
    [policy] = [m.get("content") for m in parse(write(workspace, "P-1")).iter("meta") if "Policy" in (m.get("http-equiv") or "")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["script-src"] == "'none'"
    assert rules["img-src"] == "'self' file: data:" and rules["frame-src"] == "'self' file:"
    assert "http" not in policy.replace("http-equiv", "")


def test_a_failed_study_has_a_page_with_error_status_log_and_command(workspace):
    workspace.failed("P-3")
    document = parse(write(workspace, "P-3"))
    text = text_of(document)
    for piece in ("P-3", "failed", "slice 18 is missing. Re-export the series.", "DataError", "exit status 3", "node3"):
        assert piece in text, piece
    assert "medidiff convert --study P-3" in [pre.text for pre in document.iter("pre")]
    assert any("Traceback" in (pre.text or "") for pre in document.iter("pre"))


def test_a_study_that_failed_late_shows_what_it_has(workspace):
    workspace.petct("P-1")
    workspace.attempt("P-1", "evaluate", "suv4", status=1, error="RuntimeError: boom")
    document = parse(write(workspace, "P-1"))
    assert "RuntimeError: boom" in text_of(document) and len(list(document.iter("img"))) == 3


@pytest.mark.parametrize(
    "missing", ["convert/ct.nii.gz", "convert/pet.nii.gz", "convert/truth_pet.nii.gz", "segment/suv2.nii.gz"]
)
def test_any_file_may_be_missing(workspace, missing):
    workspace.petct("P-1")
    (workspace.results / "P-1" / missing).unlink()
    assert "P-1" in text_of(parse(write(workspace, "P-1")))


@pytest.mark.parametrize("damaged", ["convert/ct.nii.gz", "segment/suv2.nii.gz", "segment/suv2.json", "convert/convert.json"])
def test_a_damaged_file_is_a_warning_on_the_page(workspace, damaged):
    workspace.petct("P-1")
    path = workspace.results / "P-1" / damaged
    path.write_bytes(path.read_bytes()[:40])
    text = text_of(parse(write(workspace, "P-1")))
    assert f"report {damaged}: " in text and str(workspace.root) not in text


def test_nothing_known_rejected_and_unfinished_have_pages(workspace):
    workspace.attempt("P-5", "convert", status=None)
    assert "No step of this study has run" in text_of(parse(write(workspace, "P-4")))
    assert "unfinished" in text_of(parse(write(workspace, "P-5")))
    assert "no PET series" in text_of(parse(write(workspace, "P-6", rejected="no PET series")))


def test_infinite_and_undefined_numbers_are_shown(workspace):
    workspace.record("P-1", "evaluate/suv2.json", "evaluate", "suv2", numbers={"dice": 0.0, "hd95_mm": "inf", "assd_mm": None})
    assert ["suv2", "0", "∞"] in tables(parse(write(workspace, "P-1")))


@pytest.mark.parametrize("payload", HOSTILE)
def test_text_from_records_and_journals_is_inert(workspace, payload):
    workspace.record(
        "P-1",
        "segment/suv2.json",
        "segment",
        f"suv2{payload}",
        numbers={payload: 1.0, "dice": 0.5, "nested": {payload: payload}},
        warnings=[payload],
        settings={payload: payload},
        command=["segment", payload],
        commit=payload,
        inputs=[{"path": payload, "sha256": payload}, payload],
        versions={payload: payload},
        run={"seconds": payload, "host": payload},
    )
    workspace.record("P-1", "convert/convert.json", "convert", numbers={payload: payload}, warnings=[payload])
    facts = {
        "error": payload,
        "error_class": payload,
        "log_tail": [payload],
        "seconds": payload,
        "peak_rss_mb": payload,
        "host": payload,
    }
    workspace.attempt("P-1", "convert", status=3, slurm_job=payload, gpu=payload, start=payload, **facts)
    study = SimpleNamespace(study="P-2", status="reject", reason=payload)
    index = write_index(workspace.results, workspace.logs, ["P-1", study], workspace.report / "index.html", title=payload)
    for document in (parse(write(workspace, "P-1", rejected=payload)), parse(index)):
        assert payload in text_of(document) or payload in "".join(document.itertext())
        assert not [e for e in document.iter("img") if e.get("src") == "x"]
        assert not [e for e in document.iter("script") if "pwned" in (e.text or "")]
        assert not [k for e in document.iter() if isinstance(e.tag, str) for k in e.attrib if k.startswith("on")]


def test_a_second_page_of_the_same_files_is_the_same(workspace):
    workspace.petct("P-1")
    first = {p.name: p.read_bytes() for p in write(workspace, "P-1").parent.iterdir()}
    assert first == {p.name: p.read_bytes() for p in write(workspace, "P-1").parent.iterdir()} and len(first) == 5


def test_the_viewer_shows_the_best_method_and_says_how_coarse_it_is(workspace):
    workspace.petct("P-1", dice={"suv2": 0.2, "suv4": 0.7})
    document = parse(write(workspace, "P-1"))
    assert "suv4 only" in text_of(document) and "sampled down from 2 mm" in text_of(document)
    params = json.loads(re.search(r"brainsprite\((\{.*?\})\)", (workspace.report / "P-1.viewer.html").read_text())[1])
    edge = abs(params["affine"][0][0])
    assert f"voxels {edge:.3g} mm" in text_of(document)
