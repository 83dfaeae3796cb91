"""The page of a dehazed recording says what the files hold, and what cannot be read."""

import json

import html5lib
import numpy as np
import pytest

from medidiff.io.ultrasound.cine import write_gif
from medidiff.io.ultrasound.recording import Recording, Sector
from medidiff.io.ultrasound.zea import write_zea
from medidiff.report.dehazing import panels_figure
from medidiff.report.index import write_index
from medidiff.report.page import write_study_page

HZ = {"sampling_hz": 2.5e6, "demodulation_hz": 2.5e6, "sound_speed": 1540.0}


def record(path, task, method, numbers, run=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"numbers": numbers, "warnings": [], "outputs": {}}
    path.write_text(json.dumps({"task": task, "method": method, "result": result, "run": run or {}, "settings": {}, "seed": 0}))


@pytest.fixture
def results(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    extras = {"picture_before": grey, "picture_after": grey // 2, "picture_haze": grey // 4, "picture_spread": grey // 8}
    folder = tmp_path / "HAZE-1"
    for method, gain in (("regress", -4.0), ("wiener", 2.5)):
        values = np.ones((3, 8, 6), np.complex64)
        write_zea(
            Recording(values, "iq", Sector(0.01, 3e-4, -0.4, 0.1), **HZ), folder / "dehaze" / f"{method}.hdf5", extras=extras
        )
        told = {"domain": "iq", "frames": 3, "samples": [8, 6], "network_calls": 1, "residual": 0.0}
        told |= {"removed_above_30_db_share": 0.25, "out_of_range": method == "regress"}
        record(
            folder / "dehaze" / f"{method}.json", "dehaze", method, told, {"seconds_per_frame": 0.25, "frames_per_second": 4.0}
        )
        record(
            folder / "score" / f"{method}.json", "score", method, {"nmse_db": -9.5 + gain, "nmse_gain_db": gain, "gcnr": 0.875}
        )
        write_gif(grey, folder / "cine" / f"{method}.gif", frame_rate_hz=20.0)
        record(folder / "cine" / f"{method}.json", "cine", method, {"frames": 3})
    return tmp_path


def page_of(results):
    out = write_study_page(results, results / "logs", "HAZE-1", results / "report" / "HAZE-1.html")
    return out, html5lib.parse(out.read_text(), namespaceHTMLElements=False)


def text_of(tree):
    return " ".join("".join(tree.itertext()).split())


def test_pictures_and_clips_stand_where_the_page_looks_for_them(results):
    out, tree = page_of(results)
    files = [image.get("src") for image in tree.iter("img")]
    assert files[0] == "HAZE-1.panels.png" and "../HAZE-1/cine/regress.gif" in files
    assert all((out.parent / file).is_file() for file in files)


def test_figures_times_and_doubts_are_told(results):
    _, tree = page_of(results)
    text = text_of(tree)
    assert "tissue NMSE (dB)" in text and "−13.5" in text and "gCNR after" in text and "0.875" in text
    assert "frames per second" in text and "4.00" in text
    assert "wiener: the signal is 2.50 dB farther from the truth" in text and "regress: the signal" not in text
    assert "in 25 % of the samples what was removed is above −30 dB" in text
    assert "regress: the haze is unlike that of the model's training" in text


def test_each_method_has_a_row_and_each_picture_a_column(results):
    panels = {name: np.zeros((10, 12)) for name in ("picture_before", "picture_after", "difference")}
    figure = panels_figure({"a": panels, "b": panels | {"picture_spread": np.zeros((10, 12))}})
    titles = [ax.get_title(loc="left") for ax in figure.axes[:4]]
    assert len(figure.axes) == 8 and titles == ["before", "after", "after - before (levels)", "spread over samples"]


def test_a_damaged_result_is_a_note_and_the_rest_of_the_page_stands(results):
    path = results / "HAZE-1" / "dehaze" / "wiener.hdf5"
    path.write_bytes(path.read_bytes()[:500])
    _, tree = page_of(results)
    assert "wiener.hdf5" in text_of(tree) and "tissue NMSE (dB)" in text_of(tree)


def test_the_index_lists_recordings_apart_from_patients(results):
    index = write_index(results, results / "logs", ["HAZE-1"], results / "report" / "index.html")
    text = text_of(html5lib.parse(index.read_text(), namespaceHTMLElements=False))
    assert "Ultrasound" in text and "Dice regress" not in text and "HAZE-1" in text
