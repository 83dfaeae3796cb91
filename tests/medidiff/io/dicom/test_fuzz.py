"""Damaged copies of a series: refused with our own error, or read as the volume they came from; never anything else."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from medidiff.errors import DataError
from medidiff.io.dicom.series import read_series
from medidiff.io.dicom.spacing import even_enough_mm

SYNTAXES = {"plain": None, "run-length": RLELossless, "deflated": DeflatedExplicitVRLittleEndian}


def flip(content: bytearray, rng: np.random.Generator, end: int) -> bytes:
    """One to three bits altered in the header."""
    for at in rng.integers(0, end, rng.integers(1, 4)):
        content[at] ^= 1 << rng.integers(8)
    return bytes(content)


def cut(content: bytearray, rng: np.random.Generator, end: int) -> bytes:
    """The file ends somewhere."""
    return bytes(content[: rng.integers(0, len(content))])


def lie(content: bytearray, rng: np.random.Generator, end: int) -> bytes:
    """Two or four bytes of the header, as a length is, become very large or zero."""
    at, width = rng.integers(132, end - 4), rng.choice([2, 4])
    content[at : at + width] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\xfe\xff\xff\x7f"])[:width]
    return bytes(content)


def splice(content: bytearray, rng: np.random.Generator, end: int) -> bytes:
    """A piece of the header is lost or stands twice."""
    start, stop = np.sort(rng.integers(132, end, 2))
    return bytes(content[:start] + content[stop:] if rng.integers(2) else content[:stop] + content[start:])


def digits(content: bytearray, rng: np.random.Generator, end: int) -> bytes:
    """Another digit in one of the numbers that place the slice."""
    places = [k for k in range(end) if 48 <= content[k] <= 57]
    content[rng.choice(places)] = 48 + int(rng.integers(10))
    return bytes(content)


MUTATIONS = [flip, cut, lie, splice, digits]


@pytest.fixture(scope="module", params=SYNTAXES)
def original(request, stack, save, tmp_path_factory):
    """A folder with one sound series of six slices, and its volume."""
    folder = tmp_path_factory.mktemp(request.param)
    truth = stack(shape=(9, 7, 6))
    headers = truth.headers()
    for header in headers:
        if SYNTAXES[request.param] == RLELossless:
            header.compress(RLELossless, generate_instance_uid=False)
        elif SYNTAXES[request.param]:
            header.file_meta.TransferSyntaxUID = SYNTAXES[request.param]
    save(folder, headers)
    return folder, truth


def equal_or_refused(found, truth) -> bool:
    """Whether no volume came out, or the one that went in, but for the values of the damaged slice itself."""
    for series in found:
        if not series.usable:
            continue
        try:
            volume = read_series(series)
        except DataError as error:
            assert str(error)
            continue
        same_grid = volume.array.shape == truth.shape and np.abs(volume.affine - truth.ras()).max() <= even_enough_mm(2.5)
        wrong = np.abs(volume.array - truth.values()).max(axis=(0, 1)) > 0.0011 if same_grid else []
        if not same_grid or np.sum(wrong) > 1:
            return False
    return True


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_damaged_file_is_refused_or_gives_the_volume_it_came_from(original, series_in, tmp_path, mutation):
    source, truth = original
    rng = np.random.default_rng(20260)
    folder = Path(shutil.copytree(source, tmp_path / "mutant"))
    for trial in range(14):
        path = sorted(source.iterdir())[trial % 6]
        content = path.read_bytes()
        end = header_end(path)
        (folder / path.name).write_bytes(mutation(bytearray(content), rng, end))
        silent = not equal_or_refused(series_in(folder), truth)
        assert not silent, f"{mutation.__name__} trial {trial} of {path.name} gives another volume without a word"
        (folder / path.name).write_bytes(content)


def header_end(path: Path) -> int:
    """Where the pixels begin; the whole file when it is deflated."""
    content = path.read_bytes()
    deflated = pydicom.dcmread(path).file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    return len(content) if deflated else content.index(b"\xe0\x7f\x10\x00")


def test_undamaged_series_is_the_volume_that_made_it(original, series_in):
    folder, truth = original
    (series,) = series_in(folder)
    assert series.usable and np.abs(read_series(series).array - truth.values()).max() <= 0.0011
