import shutil

import numpy as np
import pydicom
import pytest

from medidiff.phantoms.faults import FAULTS, TOLERATED


@pytest.fixture
def damaged(written, tmp_path):
    """Name -> copy of a written study with that damage, and the undamaged one."""

    def damage(name, **changes):
        source = written(**changes)[2]
        folder = tmp_path / name
        shutil.copytree(source, folder)
        FAULTS[name](folder)
        return folder, source

    return damage


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_changes_the_study_and_leaves_no_temporary_file(damaged, name):
    folder, source = damaged(name)
    before, after = contents(source), contents(folder)
    assert before != after and not [path for path in after if ".tmp" in path]
    assert after["manifest.json"] == before["manifest.json"]


def test_faults_repeat_themselves(damaged, written, tmp_path):
    for name in ("varying-spacing", "contradicting-slice", "localiser", "secondary-capture"):
        folder, source = damaged(name)
        again = tmp_path / f"{name}-again"
        shutil.copytree(source, again)
        FAULTS[name](again)
        assert contents(folder) == contents(again)


def test_tolerated_faults_are_faults():
    assert set(FAULTS) > TOLERATED


@pytest.mark.parametrize("series", ["CT", "PET"])
def test_the_missing_slice_is_an_inner_one(damaged, read_plainly, series):
    folder, source = damaged(f"missing-{series.lower()}-slice")
    gaps = np.diff([h.ImagePositionPatient[2] for h in read_plainly(folder / series).headers])
    assert np.isclose(gaps.max(), 2 * gaps.min()) and len(gaps) == len(read_plainly(source / series).headers) - 2


def test_spacing_varies_from_the_second_gap_on(damaged, read_plainly):
    folder, _ = damaged("varying-spacing")
    gaps = np.diff([h.ImagePositionPatient[2] for h in read_plainly(folder / "CT").headers])
    np.testing.assert_allclose(gaps / gaps[0], 1 + 0.1 * np.arange(len(gaps)))


def test_doubled_slices_share_a_place_and_differ_only_in_pixels(damaged, read_plainly):
    for name, equal in (("repeated-slice", True), ("contradicting-slice", False)):
        headers = read_plainly(damaged(name)[0] / "CT").headers
        extra = next(h for h in headers if h.filename.endswith("again.dcm"))
        twin = next(h for h in headers if h is not extra and h.ImagePositionPatient == extra.ImagePositionPatient)
        assert (twin.PixelData == extra.PixelData) == equal and twin.SOPInstanceUID != extra.SOPInstanceUID


def test_a_truncated_file_ends_inside_its_pixels(damaged):
    folder, source = damaged("truncated-file")
    short = [path for path in (folder / "CT").iterdir() if path.stat().st_size < (source / "CT" / path.name).stat().st_size]
    header = pydicom.dcmread(short[0], stop_before_pixels=True)
    assert len(short) == 1 and header.Rows == 64
    with pytest.raises(Exception, match=r"(?i)pixel data|end of file|bytes"):
        pydicom.dcmread(short[0]).pixel_array  # noqa: B018


def test_mixed_series_keep_every_file(damaged):
    folder, source = damaged("mixed-series")
    kept = [path for path in contents(folder) if path.startswith("mixed/")]
    assert len(kept) == 16 + 20 + 2 and not (folder / "CT").exists()
    assert {c for p, c in contents(folder).items() if p in kept} == {c for p, c in contents(source).items() if p.endswith(".dcm")}
