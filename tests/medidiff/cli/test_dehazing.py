"""`medidiff dehaze`, `cine`, `score` and the challenge, from files to files."""

import json

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from typer.testing import CliRunner

from medidiff.cli.app import app
from medidiff.io.ultrasound.mha import read_mha, write_mha
from medidiff.io.ultrasound.zea import read_extras, read_zea

SMALL = json.dumps({"seed": 20001, "frames": 2, "ranges": 64, "lines": 64})
SETTINGS = json.dumps({"methods": ["wiener"]})
CONE = json.dumps({"cone": [-4.0, 30.0, -40.0, 35.0, 8.0, 56.0], "angles": 32, "rows": 48})


def call(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.output


def test_a_generated_scan_is_dehazed_shown_and_scored_against_a_truth_that_the_method_cannot_see(tmp_path):
    call("phantom", "echo", tmp_path / "p" / "manifest.json", "--settings", SMALL)
    scan, result = tmp_path / "p" / "scan.hdf5", tmp_path / "r.hdf5"
    options = ["--settings", SETTINGS, "--bmode", CONE, "--record", tmp_path / "r.json", "--log", tmp_path / "r.log"]
    call("dehaze", scan, result, "--method", "wiener", *options)
    y = read_zea(scan).values
    parts = read_extras(scan, ["x", "h", "n"])
    np.testing.assert_allclose(parts["x"] + parts["h"] + parts["n"], y, atol=1e-5)
    np.testing.assert_allclose(read_zea(result).values + read_extras(result, ["haze"])["haze"], y, atol=1e-4)
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["result"]["numbers"]["frames"] == 2 and record["run"]["frames_per_second"] > 0
    call("cine", result, scan, tmp_path / "c.gif", tmp_path / "c.dcm", "--bmode", CONE, "--log", tmp_path / "c.log")
    with Image.open(tmp_path / "c.gif") as gif:
        assert gif.n_frames == 2
    made = pydicom.dcmread(tmp_path / "c.dcm")
    assert made.NumberOfFrames == 2 and float(made.FrameTime) == pytest.approx(25.0) and made.PatientID in (None, "")
    call("score", result, scan, "--record", tmp_path / "s.json", "--log", tmp_path / "s.log")
    numbers = json.loads((tmp_path / "s.json").read_text())["result"]["numbers"]
    assert np.isfinite(numbers["nmse_db"]) and np.isfinite(numbers["nmse_haze_db"])


def test_a_dicom_clip_becomes_a_derived_dicom_clip_in_one_command(tmp_path):
    source = get_testdata_file("examples_rgb_color.dcm", download=False)
    bmode = json.dumps({"cone": [5.0, 160.0, -40.0, 40.0, 10.0, 200.0], "angles": 32})
    told = call("dehaze", source, tmp_path / "a.dcm", "--method", "wiener", "--bmode", bmode, "--log", tmp_path / "a.log")
    assert '"domain": "image"' in told
    made, of = pydicom.dcmread(tmp_path / "a.dcm"), pydicom.dcmread(source)
    assert made.StudyInstanceUID == of.StudyInstanceUID and (made.Rows, made.Columns) == (of.Rows, of.Columns)


def test_a_region_that_does_not_fit_the_picture_is_told_in_the_log(tmp_path):
    source = get_testdata_file("examples_ybr_color.dcm", download=False)
    call("dehaze", source, tmp_path / "a.dcm", "--method", "wiener", "--bmode", CONE, "--log", tmp_path / "a.log")
    assert "was scaled without its header" in (tmp_path / "a.log").read_text()


def test_what_cannot_be_done_ends_with_one_line_and_status_3(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"nothing")
    done = CliRunner().invoke(app, ["dehaze", str(tmp_path / "a.npy"), str(tmp_path / "o.hdf5")])
    assert done.exit_code == 3 and not (tmp_path / "o.hdf5").exists()


def test_the_challenge_is_listed_as_clips_and_scored_as_far_as_it_can_be(tmp_path):
    hazy, made = tmp_path / "d" / "images" / "hazy-cardiac-ultrasound", tmp_path / "p"
    frames = np.random.default_rng(3).integers(0, 256, (3, 60, 64), dtype=np.uint8)
    regions = np.zeros((60, 64), np.uint8)
    regions[:20], regions[40:] = 255, 128
    (tmp_path / "d" / "roi").mkdir(parents=True)
    for k, frame in enumerate(frames, start=9):  # 9, 10, 11: in order of the number, not of the name
        write_mha(frame, hazy / f"patient-7-4C-frame-{k}.mha")
        Image.fromarray(regions).save(tmp_path / "d" / "roi" / f"patient-7-4C-frame-{k}.png")
    call("cases", tmp_path / "d", "--challenge", "dehazingecho2025", "-o", tmp_path / "t.tsv")
    row = (tmp_path / "t.tsv").read_text().splitlines()[1].split("\t")
    assert row[:2] == ["patient-7-4C", "us"] and row[2].endswith("frame-9.mha")
    clip = json.dumps({"clip": True})
    words = ["--facts", clip, "--bmode", CONE]
    call("dehaze", row[2], tmp_path / "r.hdf5", "--method", "black_fill", *words, "--log", tmp_path / "a.log")
    assert len(read_zea(tmp_path / "r.hdf5").values) == 3
    call("cine", tmp_path / "r.hdf5", row[2], tmp_path / "c.gif", made / "c.dcm", *words, "--log", tmp_path / "b.log")
    written = made / "c" / "images" / "dehazed-cardiac-ultrasound"
    np.testing.assert_array_equal(
        read_mha(written / "patient-7-4C-frame-10.mha").values[0], read_zea(tmp_path / "r.hdf5").values[1]
    )
    call("validate", made, tmp_path / "d", "--challenge", "dehazingecho2025", "-o", tmp_path / "v")
    total = json.loads((tmp_path / "v" / "figures.json").read_text())
    assert total["frames"] == 3 and total["missing_predictions"] == [] and total["score"] is None
    assert set(total["missing"]) == {"fid", "dice", "asd"} and len((tmp_path / "v" / "frames.csv").read_text().splitlines()) == 4
