"""Stored numbers: every transfer syntax alike, signs and unused bits right, padding filled, everything else refused by name."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRBigEndian, JPEGLSLossless, JPEGLSNearLossless, RLELossless

from medidiff.errors import DataError
from medidiff.io.dicom.codestream import read_codestream
from medidiff.io.dicom.pixels import lossy_note, stored_frames
from medidiff.io.dicom.series import read_series


def stored(path: Path) -> np.ndarray:
    (frame,) = stored_frames(path, name=path.name)
    return frame


@pytest.mark.parametrize(
    "name", ["RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded"], ids=lambda name: name
)
def test_lossless_transfer_syntaxes_give_equal_numbers(name):
    plain = stored(Path(get_testdata_file("MR_small.dcm")))
    assert np.array_equal(stored(Path(get_testdata_file(f"MR_small_{name}.dcm"))), plain)
    assert plain.dtype == np.int16 and plain.shape == (64, 64)


def test_plain_numbers_are_those_of_the_file():
    path = Path(get_testdata_file("CT_small.dcm"))
    assert np.array_equal(stored(path), np.frombuffer(path.read_bytes()[6300 : 6300 + 32768], "<i2").reshape(128, 128))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, ExplicitVRBigEndian], ids=lambda uid: uid.name)
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_series_in_another_transfer_syntax_is_the_same_volume(stack, save, series_in, tmp_path, syntax, signed):
    truth = stack(shape=(16, 12, 5), gradient=(0.1, 0.2, 0.3), offset=60.0)
    headers = truth.headers()
    for header in headers:
        pixels = np.frombuffer(header.PixelData, "<i2").reshape(12, 16)
        if not signed:
            header.RescaleIntercept = 10.0 - 32768 * 0.002
            header.PixelRepresentation = 0
            pixels = (pixels.astype(int) + 32768).astype("<u2")
            header.PixelData = pixels.tobytes()
        if syntax == ExplicitVRBigEndian:
            header.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
            header.file_meta.TransferSyntaxUID = syntax
        else:
            header.compress(syntax, pixels, generate_instance_uid=False)
    save(tmp_path, headers)

    (series,) = series_in(tmp_path)

    assert series.usable, series.reason
    assert np.abs(read_series(series).array - truth.values()).max() < 0.0011


def test_unused_high_bits_are_cut_off_and_the_sign_is_kept(stack, save, series_in, tmp_path):
    truth = stack(gradient=(0.05, 0.04, 0.03), slope=0.02)
    headers = truth.headers()
    rng = np.random.default_rng(4)
    for header in headers:
        header.BitsStored, header.HighBit = 12, 11
        pixels = np.frombuffer(header.PixelData, "<i2")
        assert np.abs(pixels).max() < 2048
        dirt = rng.integers(0, 16, pixels.shape) << 12
        header.PixelData = ((pixels & 0x0FFF) | dirt).astype("<u2").tobytes()
    save(tmp_path, headers)

    values = read_series(series_in(tmp_path)[0]).array

    assert np.abs(values - truth.values()).max() <= 0.0101


@pytest.mark.parametrize("modality, fill", [("CT", -1024), ("PT", 0)])
@pytest.mark.parametrize("limit", [None, -32760])
def test_padding_becomes_air_or_no_activity(stack, save, series_in, tmp_path, modality, fill, limit):
    truth = stack(modality=modality)
    headers = truth.headers()
    for header in headers:
        pixels = np.frombuffer(header.PixelData, "<i2").copy()
        pixels[:3] = -32768
        pixels[3] = -32765
        header.PixelData = pixels.tobytes()
        header.PixelPaddingValue = -32768
        if limit is not None:
            header.PixelPaddingRangeLimit = limit
    save(tmp_path, headers)

    values = read_series(series_in(tmp_path)[0]).array

    assert np.all(values[:3, 0] == fill)
    assert np.all((values[3, 0] == fill) == (limit is not None))
    assert np.abs(values[4:] - truth.values()[4:]).max() < 0.01


def test_padding_written_as_unsigned_beside_signed_pixels_means_the_same_bits(stack, save, series_in, tmp_path):
    headers = stack().headers()
    for header in headers:
        pixels = np.frombuffer(header.PixelData, "<i2").copy()
        pixels[0] = -2000 - 30000
        header.PixelData = pixels.tobytes()
        header.add_new(0x00280120, "US", 65536 - 32000)
    save(tmp_path, headers)

    assert np.all(read_series(series_in(tmp_path)[0]).array[0, 0] == -1024)


def test_each_slice_has_its_own_rescale_even_when_the_first_is_whole(stack, save, series_in, tmp_path):
    headers = stack(modality="PT").headers()
    for k, header in enumerate(headers):
        header.RescaleSlope = 1 if k == 0 else 0.37
        header.PixelData = np.full(63, 101, "<i2").tobytes()
    save(tmp_path, headers)

    values = read_series(series_in(tmp_path)[0]).array

    assert np.all(values[..., 0] == 101) and np.all(values[..., 1:] == np.float32(101 * 0.37))


def test_mr_is_not_rescaled_without_a_rescale_type(stack, save, series_in, tmp_path):
    headers = stack(modality="MR").headers()
    for header in headers:
        del header.RescaleType
    save(tmp_path, headers)

    values = read_series(series_in(tmp_path)[0]).array

    assert np.array_equal(values[..., 3].T.ravel(), np.frombuffer(headers[3].PixelData, "<i2"))


@pytest.mark.parametrize("bits, dtype", [(8, "u1"), (16, "<u2"), (32, "<i4")])
def test_8_16_and_32_bit_pixels_are_read(stack, save, series_in, tmp_path, bits, dtype):
    headers = stack().headers()
    rng = np.random.default_rng(bits)
    pixels = rng.integers(0, np.iinfo(dtype).max, (12, 7, 9)).astype(dtype)
    for header, plane in zip(headers, pixels):
        header.BitsAllocated = header.BitsStored = bits
        header.HighBit, header.PixelRepresentation = bits - 1, int(np.dtype(dtype).kind == "i")
        header.PixelData = plane.tobytes()
        header.RescaleSlope, header.RescaleIntercept = 1, -5
    save(tmp_path, headers)

    values = read_series(series_in(tmp_path)[0]).array

    assert np.array_equal(values, (pixels.astype(float) - 5).astype(np.float32).T)


@pytest.mark.parametrize("keyword, dtype", [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_floating_point_pixels_are_read_and_nan_is_refused(stack, save, series_in, tmp_path, keyword, dtype):
    truth = stack()
    headers = truth.headers()
    for k, header in enumerate(headers):
        del header.PixelData
        header.BitsAllocated = 8 * np.dtype(dtype).itemsize
        del header.BitsStored, header.HighBit, header.PixelRepresentation
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        setattr(header, keyword, truth.values()[..., k].T.astype(dtype).tobytes())
    save(tmp_path / "good", headers)
    spoilt = np.frombuffer(getattr(headers[5], keyword), dtype).copy()
    spoilt[11] = np.nan
    setattr(headers[5], keyword, spoilt.tobytes())
    save(tmp_path / "bad", headers)

    assert np.abs(read_series(series_in(tmp_path / "good")[0]).array - truth.values()).max() < 1e-5
    with pytest.raises(DataError, match=r"IM\d+: the pixel in row 1, column 2 is not a finite number"):
        read_series(series_in(tmp_path / "bad")[0])


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_12_bit_lossy_jpeg_is_refused_by_name(name):
    with pytest.raises(DataError, match=rf"{name}: lossy JPEG with 12 bits \(JPEG Extended.*Export the series uncompressed"):
        stored(Path(get_testdata_file(name)))


@pytest.mark.parametrize(
    "uid, advice",
    [
        ("1.2.840.10008.1.2.4.201", r"High-Throughput JPEG 2000.*pip install pylibjpeg pylibjpeg-openjpeg"),
        ("1.2.840.10008.1.2.4.102", r"MPEG-4.*has no decoder.*Export the series uncompressed"),
        ("1.2.3.4", r"transfer syntax 1\.2\.3\.4 .*has no decoder"),
    ],
)
def test_unsupported_transfer_syntax_is_named_with_the_package_that_reads_it(stack, monkeypatch, tmp_path, uid, advice):
    header = stack().headers()[0]
    header.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
    header["PixelData"].is_undefined_length = True
    header.file_meta.TransferSyntaxUID = UID(uid)
    header.save_as(tmp_path / "a.dcm", enforce_file_format=True, implicit_vr=False, little_endian=True)
    if "201" in uid:
        hide_decoders(monkeypatch)
    with pytest.raises(DataError, match=r"a\.dcm: .*" + advice):
        stored(tmp_path / "a.dcm")


def hide_decoders(monkeypatch):
    monkeypatch.setattr("pydicom.pixels.decoders.base.DecodeRunner.validate", lambda runner: None)
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", property(lambda decoder: False))


def test_colour_is_refused():
    with pytest.raises(DataError, match="a colour image"):
        stored(Path(get_testdata_file("SC_rgb_small_odd.dcm")))


def test_compressed_image_of_another_size_than_the_header_is_refused_before_decoding(tmp_path):
    header = pydicom.dcmread(get_testdata_file("MR_small_jp2klossless.dcm"))
    frame = bytearray(header.PixelData)
    at = frame.index(b"\xff\x4f\xff\x51")
    frame[at + 8 : at + 16] = b"\x00\x00\xf0\x00\x00\x00\xf0\x00"
    header.PixelData = bytes(frame)
    header.save_as(tmp_path / "a.dcm")
    with pytest.raises(DataError, match="the compressed image is 61440 x 61440, the header says 64 x 64"):
        stored(tmp_path / "a.dcm")


def test_run_length_image_with_more_rows_than_the_header_is_refused(tmp_path):
    header = pydicom.dcmread(get_testdata_file("MR_small_RLE.dcm"))
    header.Rows = 60
    header.save_as(tmp_path / "a.dcm")
    with pytest.raises(DataError, match="holds 4096 pixels, the header says 3840"):
        stored(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    "name, rows, columns, bits",
    [
        ("MR_small_jp2klossless.dcm", 64, 64, 16),
        ("MR_small_jpeg_ls_lossless.dcm", 64, 64, 12),
        ("JPGExtended.dcm", 1024, 256, 12),
        ("693_J2KI.dcm", 512, 512, 14),
    ],
)
def test_codestream_states_its_own_size(name, rows, columns, bits):
    header = pydicom.dcmread(get_testdata_file(name))
    found = read_codestream(next(generate_frames(header.PixelData, number_of_frames=1)))
    assert (found.rows, found.columns) == (rows, columns)
    assert found.bits >= header.BitsStored or found.bits == bits


def test_lossy_compression_is_noted():
    header = pydicom.dcmread(get_testdata_file("693_J2KI.dcm"))
    assert "LossyImageCompression" in lossy_note(header, header.file_meta.TransferSyntaxUID)
    assert "JPEG-LS near-lossless" in lossy_note(header, UID("1.2.840.10008.1.2.4.81"))
    assert lossy_note(pydicom.dcmread(get_testdata_file("CT_small.dcm")), RLELossless) == ""


def test_near_lossless_series_stays_within_its_bound_and_is_noted(stack, save, series_in, tmp_path):
    truth = stack(shape=(16, 12, 5), gradient=(0.1, 0.2, 0.3), offset=60.0)
    headers = truth.headers()
    for header in headers:
        pixels = (np.frombuffer(header.PixelData, "<i2").astype(int) + 32768).astype("<u2").reshape(12, 16)
        header.PixelRepresentation, header.RescaleIntercept = 0, 10.0 - 32768 * 0.002
        header.compress(JPEGLSNearLossless, pixels, jls_error=4, generate_instance_uid=False)
    save(tmp_path, headers)

    (series,) = series_in(tmp_path)

    error = np.abs(read_series(series).array - truth.values()).max()
    assert 0.0011 < error <= 4.5 * 0.002 + 1e-5
    assert any("JPEG-LS near-lossless" in note for note in series.notes)
