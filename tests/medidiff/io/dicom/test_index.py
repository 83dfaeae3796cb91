"""The index of a folder: every DICOM file once, everything else skipped with a reason, nothing believed before it is checked."""

import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from medidiff.errors import DataError
from medidiff.io.dicom.index import index_folder
from medidiff.io.dicom.pixels import stored_frames
from medidiff.io.dicom.series import read_series

ALLOWED_MB = 300


def reasons(folder: Path) -> dict[str, str]:
    instances, skipped = index_folder(folder)
    return {entry.path: entry.reason for entry in skipped} | {one.name: one.problem for one in instances}


def test_junk_is_skipped_and_listed_and_the_rest_is_found(stack, save, tmp_path):
    save(tmp_path / "in" / "a series", stack().headers())
    (tmp_path / "in" / "notes.txt").write_text("not DICOM")
    (tmp_path / "in" / "empty.dcm").write_bytes(b"")
    (tmp_path / "in" / "noise").write_bytes(np.random.default_rng(1).bytes(5000))
    (tmp_path / "in" / "magic").write_bytes(bytes(128) + b"DICM" + np.random.default_rng(2).bytes(500))
    (tmp_path / "in" / "reversed \u202e name\n.dcm").write_bytes(b"\x08\x00")
    os.mkfifo(tmp_path / "in" / "pipe")
    os.symlink(tmp_path / "in", tmp_path / "in" / "loop")
    os.symlink(tmp_path / "nowhere", tmp_path / "in" / "dangling")

    instances, skipped = index_folder(tmp_path / "in")

    assert len(instances) == 12
    found = {entry.path: entry.reason for entry in skipped}
    assert found.keys() >= {"notes.txt", "empty.dcm", "noise", "magic", "pipe", "loop", "dangling"}
    assert all(name.isprintable() for name in found)
    assert "not a DICOM file" in found["notes.txt"] and "empty" in found["empty.dcm"]
    assert "pipe" in found["pipe"] and "already visited" in found["loop"] and "No such file" in found["dangling"]
    assert {entry.path for entry in skipped if entry.may_be_slice} == {"magic", "empty.dcm"}


def test_linked_folder_is_indexed_once_and_under_its_real_name(stack, save, tmp_path):
    save(tmp_path / "in" / "z", stack().headers())
    os.symlink(tmp_path / "in" / "z", tmp_path / "in" / "a")

    instances, skipped = index_folder(tmp_path / "in")

    assert {Path(one.name).parent.as_posix() for one in instances} == {"z"}
    assert [entry.path for entry in skipped] == ["a"]


def test_missing_folder_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        index_folder(tmp_path / "absent")


def test_file_without_preamble_is_read(stack, save, series_in, tmp_path):
    truth = stack()
    save(tmp_path, truth.headers())
    for path in tmp_path.iterdir():
        header = pydicom.dcmread(path)
        header.file_meta, header.preamble = FileMetaDataset(), None
        header.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False, overwrite=True)
        assert b"DICM" not in path.read_bytes()[:200]

    (series,) = series_in(tmp_path)

    assert series.usable, series.reason
    np.testing.assert_allclose(read_series(series).affine, truth.ras(), atol=1e-4)


def with_elements(path: Path, out: Path, **changes) -> Path:
    header = pydicom.dcmread(path)
    for keyword, value in changes.items():
        setattr(header, keyword, value)
    header.save_as(out)
    return out


LIES = {
    "65535 x 65535": dict(Rows=65535, Columns=65535),
    "two billion frames": dict(NumberOfFrames="2000000000"),
    "everything": dict(Rows=65535, Columns=65535, NumberOfFrames="2147483647"),
    "no rows": dict(Rows=0),
    "eight times the pixels": dict(Rows=8),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"])
def test_header_that_lies_is_refused_before_memory_is_reserved(tmp_path, name, lie):
    path = with_elements(get_testdata_file(name), tmp_path / "lie.dcm", **LIES[lie])

    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"^lie\.dcm: .*(expected|claim|none may be|decoded|header says)"):
            list(stored_frames(path, name="lie.dcm"))
        index_folder(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < ALLOWED_MB * 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("where", [0.2, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("name", ["CT_small", "MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
def test_cut_file_is_never_read(tmp_path, name, where):
    content = Path(get_testdata_file(f"{name}.dcm")).read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(content[: int(len(content) * where)])

    with pytest.raises(DataError, match=r"^cut\.dcm: "):
        list(stored_frames(path, name="cut.dcm"))
    assert reasons(tmp_path)["cut.dcm"]


def test_real_truncated_file_is_said_to_be_cut():
    path = Path(get_testdata_file("MR_truncated.dcm"))
    with pytest.raises(DataError, match=r"MR_truncated\.dcm: 8130 bytes of pixel data, expected 8192 for 64 x 64 pixels"):
        list(stored_frames(path, name=path.name))


def test_length_of_an_element_beyond_the_file_reserves_nothing(tmp_path):
    content = bytearray(Path(get_testdata_file("CT_small.dcm")).read_bytes())
    at = content.index(b"\x08\x00\x18\x00UI")
    content[at + 4 : at + 12] = b"UN\0\0" + struct.pack("<L", 0xF0000000)
    (tmp_path / "long.dcm").write_bytes(content)

    tracemalloc.start()
    try:
        found = reasons(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert found["long.dcm"]


def deflated(header: pydicom.Dataset, path: Path, tail: bytes = b"") -> Path:
    """A deflated file whose inflated data set ends in `tail`."""
    plain = path.with_suffix(".plain")
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header.save_as(plain, enforce_file_format=True, implicit_vr=False, little_endian=True)
    content = plain.read_bytes()
    plain.unlink()
    start = 132 + 12 + struct.unpack("<L", content[140:144])[0]
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    inflated = zlib.decompress(content[start:], -zlib.MAX_WBITS) + tail
    path.write_bytes(content[:start] + packer.compress(inflated) + packer.flush())
    return path


def test_deflated_series_is_read_like_any_other(stack, tmp_path, series_in):
    truth = stack()
    for k, header in enumerate(truth.headers()):
        deflated(header, tmp_path / f"{k}.dcm")

    (series,) = series_in(tmp_path)

    assert series.usable, series.reason
    assert np.abs(read_series(series).array - truth.values()).max() < 0.0011


@pytest.mark.parametrize("rows", [16384, 7])
def test_deflate_bomb_is_refused_without_inflating_it(stack, tmp_path, rows):
    """Half a megabyte that inflates to 512 MB: once declared as pixels, once hidden behind a small image."""
    header = stack().headers()[0]
    header.Rows = header.Columns = rows
    header.PixelData = bytes(2 * 7 * 7)
    path = tmp_path / "bomb.dcm"
    deflated(header, path)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    start = 132 + 12 + struct.unpack("<L", path.read_bytes()[140:144])[0]
    inflated = bytearray(zlib.decompress(path.read_bytes()[start:], -zlib.MAX_WBITS))
    at = inflated.index(b"\xe0\x7f\x10\x00")
    inflated[at + 8 : at + 12] = struct.pack("<L", 512 << 20)
    first = packer.compress(bytes(inflated[: at + 12])) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(8 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(path.read_bytes()[:start] + first + 64 * zeros + packer.flush())
    assert path.stat().st_size < 1e6

    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"^bomb\.dcm: .*(claim to hold|does not describe)"):
            list(stored_frames(path, name="bomb.dcm"))
        assert reasons(tmp_path)["bomb.dcm"]
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_compressed_file_that_claims_a_thousand_times_its_size_is_refused(tmp_path):
    path = with_elements(get_testdata_file("MR_small_RLE.dcm"), tmp_path / "bomb.dcm", NumberOfFrames="100000")
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == RLELossless
    with pytest.raises(DataError, match="more than 1000 times as much"):
        list(stored_frames(path, name="bomb.dcm"))


def test_contours_are_not_loaded_by_the_index():
    instances, _ = index_folder(Path(get_testdata_file("rtstruct.dcm")).parent)
    (structures,) = [one for one in instances if one.name == "rtstruct.dcm"]
    assert structures.header.Modality == "RTSTRUCT" and "ROIContourSequence" not in structures.header
    assert structures.transfer_syntax == ImplicitVRLittleEndian


def test_installed_test_files_of_pydicom_are_all_indexed_or_skipped_without_an_exception(series_in):
    folder = Path(get_testdata_file("CT_small.dcm")).parent
    instances, skipped = index_folder(folder)
    assert len(instances) + len(skipped) == sum(path.is_file() for path in folder.rglob("*"))
    assert any("DICOMDIR" in entry.reason for entry in skipped)
    usable = [one for one in series_in(folder) if one.usable]
    assert [(one.modality, len(one.planes)) for one in usable] == [("CT", 5)]


def test_large_elements_stay_on_disk_until_asked_for(stack, save, tmp_path):
    headers = stack().headers()[:1]
    headers[0].private_block(0x29, "PROTOCOL", create=True).add_new(0x10, "OB", b"word " * 40000)
    save(tmp_path, headers)

    (instance,), _ = index_folder(tmp_path)

    assert instance.header._dict[0x00291010].value is None
    assert instance.header[0x0029, 0x1010].value == b"word " * 40000
