"""The verbs of reconstruction by hand: samples get a spread, and an interval only where a calibration was made alike."""

import json

import nibabel
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from medidiff.cli.app import app
from medidiff.diffusion.card import Card, pack_prior
from medidiff.diffusion.checkpoint import weights_hash
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.io.maps import read_maps
from medidiff.io.prior_files import write_prior

SHAPE = {"dims": 2, "channels": 1, "width": 16, "multipliers": (1,), "blocks": 1, "stem": 2}
SCAN = {"matrix": 16, "pixel_mm": 12.0, "slices": 2, "slice_mm": 12.0, "ct": {"views": 8, "photons": 2e4}}
STUDIES = ("A", "B", "C")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A prior that has learnt nothing, and three studies measured alike, each with two samples and its comparison."""
    folder = tmp_path_factory.mktemp("by hand")
    weights = UNet(UNetShape(**SHAPE), seed=0).state_dict()
    multiple = UNetShape(**SHAPE).multiple
    card = Card(
        "none",
        "edm",
        "F",
        0.5,
        (0.002, 80.0),
        (-1000.0, 1000.0),
        "HU",
        1,
        multiple,
        SHAPE,
        weights_hash(weights),
        (),
        0,
        0,
        1,
        {},
    )
    write_prior(folder / "prior", pack_prior(card, weights))
    settings = {"methods": ["nadds"], "prior": str(folder / "prior"), "samples": 2, "nadds": {"steps": 3, "data_steps": 2}}
    (folder / "settings.json").write_text(json.dumps(settings))
    for seed, study in enumerate(STUDIES):
        at = folder / study
        scan = json.dumps(SCAN | {"seed": seed})
        medidiff("simulate", at / "measurement.h5", at / "reference.nii.gz", "--settings", scan)
        reconstruct(folder, study)
        out = at / "compare" / "nadds.nii.gz"
        medidiff("compare", at / "reconstruct" / "nadds.nii.gz", at / "reference.nii.gz", out, "--method", "nadds")
    return folder


def medidiff(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done


def reconstruct(folder, study, *more, to="reconstruct"):
    at = folder / study
    outputs = at / to / "nadds.nii.gz", at / to / "nadds.h5"
    settings = (folder / "settings.json").read_text()
    record = at / to / "nadds.json"
    words = ("--method", "nadds", "--threads", 1, "--settings", settings, "--record", record)
    medidiff("reconstruct", at / "measurement.h5", *outputs, *words, *more)
    return read_maps(outputs[1]), json.loads(record.read_text())


def test_samples_leave_their_mean_and_a_spread_and_no_interval(work):
    maps = read_maps(work / "A" / "reconstruct" / "nadds.h5")
    assert list(maps.volumes) == ["spread"] and maps.volumes["spread"].array.min() > 0
    assert nibabel.load(work / "A" / "reconstruct" / "nadds.nii.gz").shape == maps.volumes["spread"].array.shape == (16, 16, 2)
    record = json.loads((work / "A" / "reconstruct" / "nadds.json").read_text())
    assert record["result"]["numbers"]["network_calls"] == 6 and "seconds" not in record["result"]["numbers"]
    assert {item["path"] for item in record["inputs"]} == {"measurement.h5", "model.safetensors", "card.json"}


def test_a_calibration_made_alike_turns_the_spread_into_an_interval(work):
    medidiff("calibrate", work / "alike.json", work / "A", work / "B", "--method", "nadds")
    maps, record = reconstruct(work, "C", "--calibration", work / "alike.json", "--level", 0.5, to="calibrated")
    assert maps.facts["level"] == 0.5 and maps.facts["calibration_volumes"] == 2
    ratio = maps.volumes["half_width"].array / (maps.volumes["spread"].array + 5)  # HU that are added to the spread
    assert np.ptp(ratio) < 1e-3 * ratio.mean() and ratio.mean() > 0
    assert not any("calibrated" in text for text in record["result"]["warnings"])


def test_a_calibration_of_other_data_is_not_used_and_the_log_says_why(work):
    medidiff("calibrate", work / "other.json", work / "A", work / "B", "--method", "nadds")
    content = json.loads((work / "other.json").read_text())
    content["conditions"]["noise"]["photons"] = 1e3
    (work / "other.json").write_text(json.dumps(content))
    maps, record = reconstruct(work, "C", "--calibration", work / "other.json", "--level", 0.5, to="not")
    assert "half_width" not in maps.volumes
    assert any("was not made alike" in text and "noise" in text for text in record["result"]["warnings"])


def test_a_level_that_the_volumes_do_not_allow_is_refused(work):
    medidiff("calibrate", work / "few.json", work / "A", work / "B", "--method", "nadds")
    at = work / "C"
    words = ("--method", "nadds", "--calibration", work / "few.json", "--settings", (work / "settings.json").read_text())
    done = CliRunner().invoke(app, list(map(str, ("reconstruct", at / "measurement.h5", at / "x.nii.gz", at / "x.h5", *words))))
    assert done.exit_code == 3 and not (at / "x.nii.gz").exists()


def test_slabs_give_the_volume_of_the_whole(work):
    at = work / "A"
    for name, more in (("whole", ()), ("slabs", ("--slab", 1))):
        medidiff("reconstruct", at / "measurement.h5", at / f"{name}.nii.gz", at / f"{name}.h5", "--method", "cgls", *more)
    whole, slabs = (nibabel.load(at / f"{name}.nii.gz").get_fdata() for name in ("whole", "slabs"))
    np.testing.assert_allclose(slabs, whole, atol=0.05)  # HU, of a thousand


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
