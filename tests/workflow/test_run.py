"""The workflow from DICOM to report: done once, nothing done twice, failures contained, kills survived."""

import copy
import json
import os
import random
import re
import shutil
import signal
import threading
import time

import nibabel
import pydicom
import pytest

pytestmark = pytest.mark.xdist_group("run")  # all of them share one finished run

PATIENTS = {"A": {"seed": 1}, "B": {"seed": 2, "vendor": "philips-cnts"}}


def test_every_study_has_volumes_masks_dicom_metrics_and_a_page(finished):
    for study in ("A", "B"):
        folder = finished.folder / "results" / study
        for name in ("ct", "pet", "truth_ct", "truth_pet"):
            nibabel.load(folder / "convert" / f"{name}.nii.gz").get_fdata()
        for method in ("suv2.5", "watershed"):
            seg = pydicom.dcmread(folder / "segment" / f"{method}.seg.dcm")
            assert seg.Modality == "SEG"
            numbers = json.loads((folder / "evaluate" / f"{method}.json").read_text())["result"]["numbers"]
            assert numbers["dice"] is None or 0 <= numbers["dice"] <= 1
        assert (finished.folder / "results" / "report" / f"{study}.html").is_file()
    assert (finished.folder / "results" / "report" / "index.html").is_file()
    assert not list(finished.folder.rglob(".tmp.*"))


def test_a_second_call_runs_no_job(finished):
    status, text = finished.run()
    assert status == 0 and "Nothing to be done" in text


def test_status_and_why_say_that_all_is_done(finished):
    text = finished.medidiff("status", "run.yaml").stdout
    assert " 0 failed, 0 waiting" in text and "0 running" in text
    assert "attempt 1:" in finished.medidiff("why", "A").stdout


def test_a_result_repeats_byte_for_byte_from_its_record(finished):
    for record in ("segment/watershed.json", "convert/convert.json", "segment/suv2.5.seg.json"):
        done = finished.medidiff("repeat", f"results/A/{record}")
        assert done.returncode == 0 and "came out the same" in done.stdout, done.stdout + done.stderr


@pytest.fixture
def dry_run(finished):
    """Rules that would run with a changed configuration; snakemake ties its memory of settings to the folder."""

    def counts(change):
        before = copy.deepcopy(finished.config)
        change(finished.config)
        finished.write()
        try:
            status, text = finished.run("-n")
        finally:
            finished.config = before
            finished.write()
        assert status == 0, text
        return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", text, re.M) if name not in ("total", "all")}

    return counts


def test_a_changed_setting_reruns_exactly_the_rules_that_read_it(dry_run):
    of_one_method = {"segment": 2, "export": 2, "evaluate": 2, "page": 2, "index": 1}
    assert dry_run(lambda config: config["segment"].update(watershed={"background_suv": 1.2})) == of_one_method


def test_a_changed_patient_reruns_that_patient_alone(dry_run):
    of_one_patient = {"phantom": 1, "convert": 1, "truth": 1, "segment": 2, "export": 2, "evaluate": 2, "page": 1, "index": 1}
    assert dry_run(lambda config: config["studies"]["phantoms"]["B"].update(seed=3)) == of_one_patient


def test_a_value_stated_for_one_study_reruns_that_study_alone(dry_run):
    counts = dry_run(lambda config: config["convert"].update(suv_overrides={"A": {"weight_kg": 70.0}}))
    assert (counts["convert"], counts["truth"], counts["page"]) == (1, 1, 1)


def test_a_changed_title_reruns_the_index_alone(dry_run):
    assert dry_run(lambda config: config.update(title="Other")) == {"index": 1}


def test_a_broken_study_fails_alone_and_has_a_page(finished, make_run):
    run = make_run(**PATIENTS)
    source = run.folder / "studies"
    for study in ("A", "B"):
        shutil.copytree(finished.folder / "results" / study / "phantom", source / study)
    for slice_file in sorted((source / "B" / "CT").iterdir())[5:6]:
        slice_file.unlink()
    table = "study\tkind\tpath\ttruth\n" + "".join(f"{study}-x\tpetct\t{study}\tRTSTRUCT\n" for study in ("A", "B"))
    (source / "studies.tsv").write_text(table)
    run.config["studies"] = {"table": "studies/studies.tsv"}
    run.config["segment"]["methods"] = ["suv2.5"]
    run.write()
    status, text = run.run()
    assert status == 1
    assert (run.folder / "results" / "A-x" / "evaluate" / "suv2.5.json").is_file()
    assert not (run.folder / "results" / "B-x" / "convert").exists()
    failed = [json.loads(line) for line in (run.folder / "logs" / "convert" / "B-x.jsonl").read_text().splitlines()][-1]
    assert failed["exit"] == 3 and failed["error_class"] == "DataError"
    assert "Traceback" not in text
    page = (run.folder / "results" / "report" / "B-x.html").read_text()
    assert "missing" in page
    index = (run.folder / "results" / "report" / "index.html").read_text()
    assert index.index("B-x") < index.index("A-x")
    assert "failed" in run.medidiff("status", "run.yaml").stdout
    assert "repeat: medidiff convert" in run.medidiff("why", "B-x").stdout


def test_the_steps_by_hand_give_the_same_bytes(finished, tmp_path):
    folder = finished.folder / "results" / "A"
    ct, pet, mask = tmp_path / "ct.nii.gz", tmp_path / "pet.nii.gz", tmp_path / "mask.nii.gz"
    assert finished.medidiff("convert", str(folder / "phantom"), str(ct), str(pet)).returncode == 0
    assert finished.medidiff("segment", str(ct), str(pet), str(mask), "--method", "watershed").returncode == 0
    assert ct.read_bytes() == (folder / "convert" / "ct.nii.gz").read_bytes()
    assert pet.read_bytes() == (folder / "convert" / "pet.nii.gz").read_bytes()
    assert mask.read_bytes() == (folder / "segment" / "watershed.nii.gz").read_bytes()


def watch(folder, stop, unreadable):
    """Opens every final file as soon as it appears."""
    seen = set()
    while not stop.is_set():
        for path in list(folder.rglob("*")):
            if path.name.startswith(".") or path in seen or path.suffix not in (".gz", ".json", ".dcm"):
                continue
            seen.add(path)
            try:
                if path.suffix == ".gz":
                    nibabel.load(path).get_fdata()
                elif path.suffix == ".json":
                    json.loads(path.read_text())
                else:
                    pydicom.dcmread(path).PixelData if "RTSTRUCT" not in path.parts else pydicom.dcmread(path)
            except FileNotFoundError:
                continue
            except Exception as error:
                unreadable.append(f"{path}: {error!r}")
        time.sleep(0.02)


def kill_and_resume(run, kills, seed):
    """SIGKILL at random moments, then one undisturbed call; returns what a watcher found unreadable."""
    chance, stop, unreadable = random.Random(seed), threading.Event(), []
    watcher = threading.Thread(target=watch, args=(run.folder / "results", stop, unreadable))
    watcher.start()
    try:
        for number in range(kills):
            process = run.start(start_new_session=True)
            try:
                process.communicate(timeout=chance.uniform(3, 14))
            except Exception:
                kill = os.killpg if number % 2 else os.kill  # the whole group, or the main process alone
                kill(process.pid, signal.SIGKILL)
            process.communicate()
        status, text = run.run()
        assert status == 0, text[-4000:]
    finally:
        stop.set()
        watcher.join()
    return unreadable


def test_results_after_kills_equal_those_of_an_undisturbed_run(finished, make_run):
    run = make_run(**PATIENTS)
    assert kill_and_resume(run, kills=2, seed=5) == []
    assert run.results() == finished.results()
    assert not list((run.folder / "results").rglob(".tmp.*"))


@pytest.mark.slow
def test_results_after_ten_kills_equal_those_of_an_undisturbed_run(finished, make_run):
    run = make_run(**PATIENTS)
    assert kill_and_resume(run, kills=10, seed=1) == []
    assert run.results() == finished.results()
