"""`medidiff validate` on generated challenge folders, against numbers computed by hand."""

import csv
import json
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from medidiff.cli.app import app
from medidiff.cli.validation import Name
from medidiff.errors import DataError
from medidiff.io.nifti import write_nifti
from medidiff.io.volume import Volume
from medidiff.segmentation.leaderboard import CHALLENGES
from medidiff.studies import read_studies

# oblique, 2 x 2.5 x 4 mm: a voxel is 0.02 ml
_TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
AFFINE = np.block([[_TURN * (2.0, 2.5, 4.0), np.array([[-30.0], [12.0], [-400.0]])], [np.zeros((1, 3)), np.ones((1, 1))]])


def labels(*spans, shape=(20, 8, 6)):
    """Bars of 2 x 2 voxels along the first axis: (label, start, stop[, j])."""
    array = np.zeros(shape, np.uint8)
    for label, start, stop, *j in spans:
        low = j[0] if j else 0
        array[start:stop, low : low + 2, 0:2] = label
    return array


def put(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(Volume(array, affine), path)


def run(predictions, folder, challenge, output, *more):
    done = CliRunner().invoke(
        app, ["validate", str(predictions), str(folder), "--challenge", challenge, "-o", str(output), "--draws", "200", *more]
    )
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    content = json.loads((output / "figures.json").read_text())
    with open(output / "cases.csv", newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    return content, rows, done.output


def value(content, name):
    return content["figures"][name]["value"]


def hecktor2022(tmp_path):
    """CHUM-001 in part right, CHUS-002 without a prediction, HGJ-003 whose labels the challenge keeps."""
    for name in ("CHUM-001", "CHUS-002"):
        for kind in ("CT", "PT"):
            put(tmp_path / f"train/imagesTr/{name}__{kind}.nii.gz", labels())
    put(tmp_path / "train/imagesTs/HGJ-003__CT.nii.gz", labels())
    put(tmp_path / "train/labelsTr/CHUM-001.nii.gz", labels((1, 0, 4), (2, 10, 14)))
    put(tmp_path / "train/labelsTr/CHUS-002.nii.gz", labels((1, 0, 2)))
    put(tmp_path / "predictions/CHUM-001.nii.gz", labels((1, 1, 5), (2, 10, 18)))
    return tmp_path / "predictions", tmp_path / "train"


def test_hecktor_2022_gives_the_aggregated_dice_of_both_labels_and_counts_a_missing_prediction_as_empty(tmp_path):
    content, rows, shown = run(*hecktor2022(tmp_path), "hecktor2022", tmp_path / "out")
    # primary: common 3, predicted 4, true 4 + 2 (of 4 voxels each); nodes: common 4, predicted 8, true 4
    assert value(content, "dsc_agg_gtvp") == pytest.approx(2 * 3 / (4 + 4 + 2))
    assert value(content, "dsc_agg_gtvn") == pytest.approx(2 * 4 / (8 + 4))
    assert value(content, "dsc_agg") == pytest.approx((0.6 + 2 / 3) / 2)
    assert content["missing_predictions"] == ["CHUS-002"] and content["cases_without_labels"] == ["HGJ-003"]
    assert rows["CHUS-002"]["predicted"] == "no" and float(rows["CHUS-002"]["dice_gtvp"]) == 0
    assert float(rows["CHUM-001"]["common_ml_gtvp"]) == pytest.approx(3 * 4 * 0.02)
    # drawn twice alike, or both: 0, 0.6 or 0.75
    interval = content["figures"]["dsc_agg_gtvp"]
    assert (interval["low"], interval["high"], interval["patients"]) == (0, pytest.approx(0.75), 2)
    assert content["undefined"] == {"dice_gtvn": 1}
    assert "counted as empty: CHUS-002" in shown and "dsc_agg_gtvp" in shown


def test_hecktor_2025_counts_nodes_over_the_whole_cohort(tmp_path):
    folder, predictions = tmp_path / "Task 1", tmp_path / "predictions"
    truth = {"CHUM-001": labels((1, 0, 4), (2, 6, 10), (2, 12, 14)), "MDA-002": labels((2, 0, 4))}
    guess = {"CHUM-001": labels((1, 0, 4), (2, 6, 8), (2, 16, 18)), "MDA-002": labels((2, 3, 7))}
    for name in truth:
        for kind in ("CT", "PT"):
            put(folder / name / f"{name}__{kind}.nii.gz", labels())
        put(folder / name / f"{name}.nii.gz", truth[name])
        put(predictions / f"{name}.nii.gz", guess[name])
    content, rows, _ = run(predictions, folder, "hecktor2025", tmp_path / "out")
    # IoU 2/4 found; one made up, one missed; in the second patient IoU 1/7: one made up, one missed
    assert [float(rows["CHUM-001"][f"{part}_gtvn"]) for part in ("found", "made_up", "missed")] == [1, 1, 1]
    assert value(content, "f1_agg_gtvn") == pytest.approx(2 / (2 + 2 + 2))
    assert value(content, "dsc_agg_gtvn") == pytest.approx(2 * (2 + 1) / (4 + 4 + 6 + 4))
    assert value(content, "dice_gtvp") == 1 and content["undefined"] == {"dice_gtvp": 1}
    assert content["connectivity"] == 26


def test_hecktor_2021_gives_the_median_distance_and_an_empty_mask_is_infinitely_far(tmp_path):
    folder, predictions = tmp_path / "hecktor_nii", tmp_path / "predictions"
    guess = {"CHUM001": labels((1, 0, 4)), "CHUM002": labels((1, 2, 4)), "CHUM003": labels()}
    for name, array in guess.items():
        put(folder / f"{name}_ct.nii.gz", labels())
        put(folder / f"{name}_pt.nii.gz", labels())
        put(folder / f"{name}_gtvt.nii.gz", labels((1, 0, 4)))
        put(predictions / f"{name}.nii.gz", array)
    content, rows, _ = run(predictions, folder, "hecktor2021", tmp_path / "out")
    assert value(content, "dice") == pytest.approx((1 + 2 * 2 / 6 + 0) / 3)
    assert value(content, "recall") == pytest.approx((1 + 0.5 + 0) / 3)
    assert value(content, "precision") == pytest.approx(1)  # undefined for the empty one
    assert float(rows["CHUM003"]["hd95_mm_gtvt"]) == float("inf")
    assert value(content, "median_hd95_mm") == pytest.approx(4)  # the face 2 voxels of 2 mm away
    assert content["figures"]["median_hd95_mm"]["high"] == "infinite"


def test_autopet_gives_made_up_and_missed_volume_and_draws_patients(tmp_path):
    folder, predictions = tmp_path / "FDG-PET-CT-Lesions", tmp_path / "predictions"
    studies = {
        ("PETCT_a", "2003"): (labels((1, 0, 4), (1, 10, 13)), labels((1, 2, 4), (1, 18, 20))),
        ("PETCT_a", "2004"): (labels(), labels((1, 0, 1))),
        ("PETCT_b", "2003"): (labels((1, 0, 4)), labels((1, 0, 4), (1, 4, 5, 2))),  # the second part meets the first at an edge
    }
    for (patient, study), (truth, guess) in studies.items():
        for name in ("CTres", "SUV"):
            put(folder / patient / study / f"{name}.nii.gz", labels())
        put(folder / patient / study / "SEG.nii.gz", truth)
        put(predictions / f"{patient}_{study}.nii.gz", guess)
    content, rows, _ = run(predictions, folder, "autopet", tmp_path / "out")
    assert value(content, "dice") == pytest.approx((2 * 2 / (4 + 7) + 2 * 4 / (5 + 4)) / 2)
    # of 4 voxels and 0.02 ml each: 2, 1 and none (18 neighbours join it with what was found)
    assert value(content, "false_positive_ml") == pytest.approx(0.08 * (2 + 1 + 0) / 3)
    assert value(content, "false_negative_ml") == pytest.approx(0.08 * (3 + 0) / 2)
    assert rows["PETCT_a_2004"]["false_negative_ml_lesion"] == "nan"
    assert content["figures"]["dice"]["patients"] == 2
    faces, _, _ = run(predictions, folder, "autopet", tmp_path / "faces", "--connectivity", "6")
    assert value(faces, "false_positive_ml") == pytest.approx(0.08 * (2 + 1 + 1) / 3)


def test_the_same_command_writes_the_same_bytes(tmp_path):
    where = hecktor2022(tmp_path)
    for name in ("one", "two"):
        run(*where, "hecktor2022", tmp_path / name)
    for name in ("figures.json", "cases.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_another_grid_is_an_error_with_both_affines(tmp_path):
    predictions, folder = hecktor2022(tmp_path)
    moved = AFFINE.copy()
    moved[0, 3] += 1
    put(predictions / "CHUM-001.nii.gz", labels(), moved)
    with pytest.raises(DataError, match=r"(?s)CHUM-001: prediction and labels .*-29\..*-30\..*Resample the prediction"):
        run(predictions, folder, "hecktor2022", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_label_is_an_error(tmp_path):
    predictions, folder = hecktor2022(tmp_path)
    put(predictions / "CHUM-001.nii.gz", labels((3, 0, 2)))
    with pytest.raises(DataError, match="CHUM-001: the prediction hold label 3, expected 0 and"):
        run(predictions, folder, "hecktor2022", tmp_path / "out")


def test_a_folder_without_any_prediction_is_an_error_rather_than_a_score_of_zero(tmp_path):
    _, folder = hecktor2022(tmp_path)
    with pytest.raises(DataError, match="found no prediction for 2 cases with labels, expected such as CHUM-001"):
        run(tmp_path / "elsewhere", folder, "hecktor2022", tmp_path / "out")


def test_cases_writes_the_study_table_of_a_challenge_folder(tmp_path):
    _, folder = hecktor2022(tmp_path)
    table = tmp_path / "studies.tsv"
    done = CliRunner().invoke(app, ["cases", str(folder), "--challenge", "hecktor2022", "-o", str(table)])
    assert "2 studies, 1 rejected" in done.output
    studies = read_studies(table)
    assert list(studies) == ["CHUM-001", "CHUS-002", "HGJ-003"]
    assert (studies["HGJ-003"].status, studies["HGJ-003"].reason) == ("reject", "no PET")


def test_every_challenge_of_the_command_line_is_known():
    assert set(get_args(get_args(Name)[0])) == set(CHALLENGES) | {"dehazingecho2025"}  # the one of clips, not of masks
