"""Scans through the whole workflow: from object or raw data to volumes, numbers and pages; no solver sees the reference."""

import json
import re
import shutil

import h5py
import nibabel
import numpy as np
import pydicom
import pytest

from medidiff.io.measurement import read_measurement

pytestmark = pytest.mark.xdist_group("scans")  # all of them share one finished run

TINY = {"matrix": 24, "slices": 4, "pixel_mm": 12.0, "slice_mm": 12.0}
BRAIN = {"source": "mni152", "matrix": 32, "slices": 3, "pixel_mm": 7.0, "slice_mm": 12.0}
SCANS = {
    "C": TINY | {"seed": 1, "ct": {"views": 12, "photons": 2e4}},
    "M": BRAIN | {"seed": 2, "mr": {"coils": 4, "acceleration": 2, "calibration_lines": 12, "noise": 0.02}},
}
CONFIG = {
    "title": "Scans",
    "device": "cpu",
    "studies": {"scans": SCANS},
    "reconstruct": {
        "ct": {"methods": ["fbp", "tv"], "tv": {"weight": 1e-3, "iterations": 15}},
        "mr": {"methods": ["zerofilled", "tv"], "tv": {"weight": 1e-3, "iterations": 15}},
    },
    "pathvars": {"results": "results", "logs": "logs", "benchmarks": "benchmarks"},
}
METHODS = {"C": ("fbp", "tv"), "M": ("zerofilled", "tv")}


@pytest.fixture(scope="module")
def finished(run_of):
    run = run_of(CONFIG)
    status, text = run.run()
    assert status == 0, text[-4000:]
    return run


def numbers(run, path):
    return json.loads((run.folder / "results" / path).read_text())["result"]["numbers"]


def test_every_method_has_a_volume_on_the_grid_of_the_reference_its_numbers_and_its_place_on_the_page(finished):
    for study, methods in METHODS.items():
        folder = finished.folder / "results" / study
        reference = nibabel.load(folder / "simulate" / "reference.nii.gz")
        page = (finished.folder / "results" / "report" / f"{study}.html").read_text()
        for method in methods:
            volume = nibabel.load(folder / "reconstruct" / f"{method}.nii.gz")
            assert volume.shape == reference.shape
            np.testing.assert_allclose(volume.affine, reference.affine, atol=1e-4)
            assert numbers(finished, f"{study}/compare/{method}.json")["psnr_db"] > 15
            assert f">{method}</th>" in page
            files = sorted((folder / "series" / method).iterdir())
            assert len(files) == volume.shape[2]
            assert pydicom.dcmread(files[0]).Modality == {"C": "CT", "M": "MR"}[study]
        for picture in ("planes", "differences"):
            assert (finished.folder / "results" / "report" / f"{study}.{picture}.png").is_file()
    assert not list(finished.folder.rglob(".tmp.*"))


def test_the_simulation_records_that_it_avoids_the_inverse_crime(finished):
    for study in METHODS:
        assert numbers(finished, f"{study}/simulate/simulate.json")["inverse_crime"] is False


def test_a_second_call_runs_no_job(finished):
    status, text = finished.run()
    assert status == 0 and "Nothing to be done" in text


def test_no_rule_but_compare_reads_the_reference(finished):
    _, text = finished.run("-n", "--forceall")
    readers = set()
    for job in re.split(r"\n(?=(?:local)?rule )", text):
        inputs = re.search(r"^ +input: (.*)$", job, re.M)
        if inputs and "reference.nii.gz" in inputs[1]:
            readers.add(re.match(r"(?:local)?rule (\w+)", job)[1])
    assert readers == {"compare"}


def test_a_reference_of_noise_leaves_every_volume_as_it_was(finished, run_of):
    run = run_of(CONFIG)
    shutil.copytree(finished.folder / "results", run.folder / "results")
    before, chance = run.results(), np.random.default_rng(0)
    for path in (run.folder / "results").glob("*/simulate/reference.nii.gz"):
        image = nibabel.load(path)
        noise = chance.normal(0, 300, image.shape).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(noise, image.affine), path)
    for path in [*(run.folder / "results").glob("*/reconstruct/*"), *(run.folder / "results").glob("*/compare/*")]:
        path.unlink()
    wanted = [f"results/{study}/compare/{method}.json" for study, methods in METHODS.items() for method in methods]
    status, text = run.run(*wanted)
    assert status == 0, text[-4000:]
    after = run.results()
    volumes = [name for name in before if "/reconstruct/" in name and name.endswith(".nii.gz")]
    assert len(volumes) == sum(map(len, METHODS.values()))
    assert {name: after[name] for name in volumes} == {name: before[name] for name in volumes}
    for study, methods in METHODS.items():
        for method in methods:  # the noise was there to be seen
            name = f"{study}/compare/{method}.json"
            assert numbers(run, name)["psnr_db"] < numbers(finished, name)["psnr_db"] - 3


def test_a_changed_method_reruns_that_method_alone(finished):
    finished.config = CONFIG | {
        "reconstruct": CONFIG["reconstruct"] | {"ct": CONFIG["reconstruct"]["ct"] | {"fbp": {"window": "cosine"}}}
    }
    finished.write()
    try:
        _, text = finished.run("-n")
    finally:
        finished.config = CONFIG
        finished.write()
    counts = {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", text, re.M) if name not in ("total", "all")}
    assert counts == {"reconstruct": 1, "series": 1, "compare": 1, "page": 1, "index": 1}


def test_a_volume_repeats_byte_for_byte_from_its_record(finished):
    for record in ("C/simulate/simulate.json", "M/reconstruct/tv.json"):
        done = finished.medidiff("repeat", f"results/{record}")
        assert done.returncode == 0 and "came out the same" in done.stdout, done.stdout + done.stderr


def test_a_measurement_of_a_table_is_reconstructed_and_one_in_degrees_fails_alone(finished, run_of):
    quick = {"ct": {"methods": ["fbp"]}}
    run = run_of(CONFIG | {"studies": {"table": "studies.tsv"}, "reconstruct": quick})
    for name in ("good", "bad"):
        shutil.copy(finished.folder / "results" / "C" / "simulate" / "measurement.h5", run.folder / f"{name}.h5")
    with h5py.File(run.folder / "bad.h5", "a") as file:
        facts = json.loads(file.attrs["facts"])
        facts["geometry"]["angles_rad"] = [15 * view for view in range(12)]
        file.attrs["facts"] = json.dumps(facts)
    (run.folder / "studies.tsv").write_text("study\tkind\tpath\ngood\tct\tgood.h5\nbad\tct\tbad.h5\n")
    status, _ = run.run()
    assert status == 1
    found = read_measurement(run.folder / "results" / "good" / "acquire" / "measurement.h5")
    assert found.grid.shape == (24, 24, 4)
    assert (run.folder / "results" / "good" / "reconstruct" / "fbp.nii.gz").is_file()
    assert not (run.folder / "results" / "good" / "compare").exists()
    page = (run.folder / "results" / "report" / "bad.html").read_text()
    assert "bad.h5: geometry.angles_rad: found 165, expected at most 4 pi. Convert degrees to radians." in page
