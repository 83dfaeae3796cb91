"""A study full of identifiers goes through the product, and none of them comes out.

What is asked for by name carries the patient on: DICOM objects derived from DICOM (segmentations, maps, structure sets, clips)
hold the patient and study modules of their images, by which a viewer lays them over each other, and nothing else of them;
`medidiff export --pseudonym` leaves out those too. Names of studies and the path of a study's folder are the user's own words.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medidiff.io.scan import scan
from medidiff.io.ultrasound.dicom_writer import write_dicom_clip
from medidiff.io.ultrasound.recording import Pixels
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import PetCtPhantom
from tests.robustness.haystack import holds

# by keyword; what a viewer needs to lay a derived object over its images, and so what such an object may keep
KEPT = {
    "PatientName": "Zqnam^Zqvor",
    "PatientID": "ZQPID4711",
    "PatientBirthDate": "19370213",
    "StudyDate": "20310405",
    "StudyID": "ZQSTUDYID",
    "AccessionNumber": "ZQACCESSION",
    "ReferringPhysicianName": "Zqreferrer^Ina",
}
LOST = {
    "PatientAddress": "Zqstreet 5",
    "PatientTelephoneNumbers": "0049-Zqphone",
    "OtherPatientIDs": "ZQOTHERID",
    "PatientMotherBirthName": "Zqmother",
    "PatientBirthName": "Zqbirthname",
    "EthnicGroup": "Zqethnic",
    "Occupation": "Zqoccupation",
    "PatientComments": "Zqcomments of the patient",
    "AdditionalPatientHistory": "Zqhistory",
    "InstitutionName": "Zqinstitution",
    "InstitutionAddress": "Zqinstaddress",
    "InstitutionalDepartmentName": "Zqdepartment",
    "StationName": "ZQSTATION",
    "DeviceSerialNumber": "ZQSERIAL",
    "PerformingPhysicianName": "Zqperformer^Uwe",
    "PhysiciansOfRecord": "Zqrecord^Eva",
    "NameOfPhysiciansReadingStudy": "Zqreader^Max",
    "OperatorsName": "Zqoperator^Pia",
    "RequestingPhysician": "Zqrequester^Jan",
    "RequestedProcedureDescription": "Zqprocedure",
    "SeriesDescription": "Zqseries of Mrs Zqnam2",
    "StudyDescription": "Zqstudydesc",
    "ProtocolName": "Zqprotocol",
    "ImageComments": "Zqimagecomments",
}
IN_PATHS = ("zqfolder", "zqfile")
WORDS = ["Zqnested", "Zqprivate", *IN_PATHS, *(text.split("^")[0] for text in (*KEPT.values(), *LOST.values()))]
SMALL = {"ct_matrix": 24, "ct_slices": 12, "ct_spacing_mm": (7.0, 7.0, 8.0), "pet_matrix": 16, "pet_slices": 12}
SMALL |= {"pet_spacing_mm": (11.0, 11.0, 8.0), "difficulty": "easy", "primaries": (1, 1)}
DRIVER = """
import json, sys
from medidiff.cli.app import app
for words in json.loads(sys.argv[1]):
    sys.argv = ["medidiff", *words]
    app(words, standalone_mode=False)
"""


def identify(header: Dataset) -> None:
    """Puts every identifier into a header, in sequences and private elements too."""
    for keyword, text in (KEPT | LOST).items():
        setattr(header, keyword, text)
    header.PatientIdentityRemoved = "NO"
    inner = Dataset()
    inner.RequestedProcedureDescription = inner.ScheduledProcedureStepDescription = "Zqnested"
    header.RequestAttributesSequence = [inner]
    block = header.private_block(0x0029, "ZQPRIVATEMAKER", create=True)
    block.add_new(0x01, "LO", "Zqprivate")


def medidiff(*commands: list, folder: Path) -> None:
    """Verbs of the command line, one after the other in one process that has started once."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run([sys.executable, "-c", DRIVER, words], cwd=folder, capture_output=True, text=True)
    (folder / "said.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def segmented(tmp_path_factory) -> Path:
    """A run by hand over one identified study: volumes, mask, DICOM, numbers, page, records, logs."""
    folder = tmp_path_factory.mktemp("run")
    write_patient(make_patient(PetCtPhantom(seed=1, nodes=(0, 1), annotators=1, **SMALL)), folder / "case-7")
    (folder / "case-7" / "manifest.json").unlink()
    for series in ("CT", "PET", "RTSTRUCT"):
        place = folder / "case-7" / "Zqfolder 19370213" / series
        place.mkdir(parents=True)
        for number, path in enumerate(sorted((folder / "case-7" / series).iterdir())):
            header = pydicom.dcmread(path)
            identify(header)
            header.save_as(place / f"Zqfile_{number:04d}.dcm")
            path.unlink()
        (folder / "case-7" / series).rmdir()
    out = folder / "results" / "A"
    names = ("ct", "pet", "truth_ct", "truth_pet")
    ct, pet, truth_ct, truth_pet = (out / "convert" / f"{name}.nii.gz" for name in names)
    mask, seg = out / "segment" / "suv2.5.nii.gz", out / "segment" / "suv2.5.seg.dcm"

    def more(step: str, place: str, method: str = "") -> list:
        name = f"A_{method}" if method else "A"
        return ["--study", "A", "--record", out / place, "--log", folder / "logs" / step / f"{name}.log"]

    source, roi = "case-7", ["--settings", json.dumps({"roi": "GTV*"})]
    medidiff(
        ["convert", source, ct, pet, *roi, *more("convert", "convert/convert.json")],
        ["truth", source, truth_ct, truth_pet, *roi, *more("truth", "convert/truth.json")],
        ["segment", ct, pet, mask, "--method", "suv2.5", *more("segment", "segment/suv2.5.json", "suv2.5")],
        ["export", mask, source, seg, "--method", "suv2.5", *more("export", "segment/suv2.5.seg.json", "suv2.5")],
        ["export", mask, source, folder / "results" / "p.dcm", "--pseudonym", "CASE-7", "--method", "suv2.5"],
        ["evaluate", mask, truth_pet, "--method", "suv2.5", *more("evaluate", "evaluate/suv2.5.json", "suv2.5")],
        ["page", folder / "results", folder / "logs", folder / "results/report/A.html", "--study", "A"],
        folder=folder,
    )
    return folder


def outputs(folder: Path) -> list[Path]:
    """Everything that was written, but for the study itself."""
    return [path for path in folder.rglob("*") if path.is_file() and "case-7" not in path.relative_to(folder).parts]


def test_the_study_holds_what_is_looked_for(segmented):
    held = {word for path in (segmented / "case-7").rglob("*") if path.is_file() for word in holds(path, WORDS)}
    names = "".join(path.as_posix().lower() for path in (segmented / "case-7").rglob("*"))
    assert held >= set(WORDS) - set(IN_PATHS) and all(word in names for word in IN_PATHS)


def test_no_identifier_is_in_volumes_masks_numbers_pages_records_or_logs(segmented):
    written = outputs(segmented)
    assert {path.suffix for path in written} >= {".gz", ".json", ".html", ".log", ".jsonl", ".dcm"}
    told = {path.name: found for path in written if path.name != "suv2.5.seg.dcm" and (found := holds(path, WORDS))}
    assert told == {}


def test_a_segmentation_has_the_patient_of_its_images_and_nothing_else_of_them(segmented):
    held = holds(segmented / "results/A/segment/suv2.5.seg.dcm", WORDS)
    assert set(held) <= {text.split("^")[0] for text in KEPT.values()}
    assert pydicom.dcmread(segmented / "results/A/segment/suv2.5.seg.dcm").PatientID == KEPT["PatientID"]


def test_a_pseudonym_takes_the_place_of_the_patient(segmented):
    made = pydicom.dcmread(segmented / "results/p.dcm")
    assert (made.PatientName, made.PatientID, made.PatientIdentityRemoved) == ("CASE-7", "CASE-7", "YES")
    assert holds(segmented / "results/p.dcm", WORDS) == []


def test_a_study_is_not_named_after_the_patient_whose_name_its_folder_has(tmp_path):
    write_patient(make_patient(PetCtPhantom(seed=1, nodes=(0, 1), annotators=1, **SMALL)), tmp_path / "ZQNAM-19370213")
    for path in tmp_path.rglob("*.dcm"):
        header = pydicom.dcmread(path)
        identify(header)
        header.save_as(path)
    (study,) = scan(tmp_path).studies
    assert "ZQNAM" not in study.study.upper() and "19370213" not in study.study


def test_errors_of_an_identified_study_name_no_patient(segmented, tmp_path):
    source = segmented / "case-7" / "Zqfolder 19370213"
    for number, path in enumerate(sorted((source / "CT").iterdir())):
        if number != 5:
            os.makedirs(tmp_path / "study/CT", exist_ok=True)
            (tmp_path / "study/CT" / f"{number}.dcm").write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "medidiff", "convert", "study", "ct.nii.gz", "pet.nii.gz", "--log", "a.log"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    (tmp_path / "said.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 3
    assert {path.name: found for path in tmp_path.iterdir() if path.is_file() and (found := holds(path, WORDS))} == {}


def test_a_dehazed_clip_tells_nothing_of_the_patient_but_in_dicom(tmp_path):
    frames = np.random.default_rng(2).integers(0, 256, (2, 24, 20), dtype=np.uint8)
    words = {"method": "nlm", "version": "1.0", "geometry": Pixels(0.0005, 0.0005), "frame_rate_hz": 40.0}
    write_dicom_clip(frames, tmp_path / "Zqfile.dcm", **words)
    header = pydicom.dcmread(tmp_path / "Zqfile.dcm")
    identify(header)
    header.save_as(tmp_path / "case-7.dcm")
    (tmp_path / "Zqfile.dcm").unlink()
    kept = ["--study", "A", "--record", "results/a.json", "--log", "logs/a.log"]
    how = ["--method", "nlm", "--bmode", json.dumps({"cone": [-4, 10, -35, 35, 4, 26]})]
    medidiff(
        ["dehaze", "case-7.dcm", "results/a.hdf5", *how, *kept],
        ["dehaze", "case-7.dcm", "results/b.gif", *how],
        ["dehaze", "case-7.dcm", "results/c.dcm", *how],
        folder=tmp_path,
    )
    told = {path.name: holds(path, WORDS) for path in outputs(tmp_path) if path.name != "case-7.dcm"}
    assert set(told.pop("c.dcm")) <= {text.split("^")[0] for text in KEPT.values()}
    assert not any(told.values()), told
