"""The header of one DICOM file and the place of its pixels, read without trusting any length it states."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medidiff.errors import DataError
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.streams import ClampedFile, InflatedFile

DICOMDIR = "1.2.840.10008.1.3.10"
DEFERRED_BYTES = 64 << 10  # larger elements (protocol dumps, curves) stay on disk until somebody asks for them
_PIXEL_TAGS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_CONTOURS = 0x30060039  # the bulk of an RTSTRUCT; nothing that identifies it comes after
_ADVICE = "Copy or export the file again; if it does not belong to the study, move it out of the folder."
_LONG_VR = (b"OB", b"OW", b"OF", b"OD", b"OL", b"UN")


@dataclass(frozen=True, eq=False)
class Source:
    """The header of a DICOM file and where its pixels lie in the stream."""

    header: FileDataset  # without pixels, without contours
    transfer_syntax: UID
    file_bytes: int  # size on disk
    pixels_at: int = -1  # offset of the pixel element's value; -1 without pixels
    pixel_bytes: int = -1  # its stated length; -1 when undefined (encapsulated) or without pixels
    pixel_keyword: str = ""  # PixelData, FloatPixelData or DoubleFloatPixelData
    pixel_vr: str = "OW"

    @property
    def is_deflated(self) -> bool:
        """Whether the whole data set is compressed, so that offsets count inflated bytes."""
        return self.transfer_syntax == DeflatedExplicitVRLittleEndian


@contextmanager
def open_source(path: Path, *, name: str) -> Iterator[tuple[Source, BinaryIO]]:
    """The header of one file and the stream in which its pixels lie, open for as long as the block lasts.

    path      a regular file
    name      what messages call it: relative to the study's folder
    yields    Source, and the stream to which `Source.pixels_at` refers

    Raises DataError when the file is no DICOM or its header is damaged.
    """
    try:
        with ClampedFile(path) as file:
            stream, source = _parse(file)
            file.budget = None
            yield source, stream
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error}). Check the disk and the permissions.") from error
    except _Damaged as error:
        raise DataError(f"{name}: {error}. {_ADVICE}") from error


def read_source(path: Path, *, name: str) -> Source:
    """The header of one DICOM file and where its pixels lie; see `open_source`."""
    with open_source(path, name=name) as (source, _):
        return source


def has_preamble(start: bytes) -> bool:
    """Whether these first bytes are those of a DICOM file with its magic word."""
    return start[128:132] == b"DICM"


def may_be_bare(start: bytes) -> bool:
    """Whether these first bytes can open a data set without preamble: an element of group 0002 or 0008, either byte order."""
    return start[:2] in (b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02") and start[2:4] != b"\x00\x00\x00\x00"


class _Damaged(Exception):
    """What is wrong with the file, before its name is known."""


def _parse(file: ClampedFile) -> tuple[BinaryIO, Source]:
    start = file.read(132)
    file.seek(0)
    if not (has_preamble(start) or may_be_bare(start)):
        raise _Damaged("not a DICOM file")
    try:
        with warnings.catch_warnings():  # pydicom reports oddities of values; what matters is checked where it is used
            warnings.simplefilter("ignore")
            stream, header = _read_header(file)
    except OSError:
        raise
    except Exception as error:  # a hostile header makes a parser fail in any way it likes
        raise _Damaged(f"the header is damaged ({type(error).__name__}: {str(error)[:120]})") from error
    is_object = text(header, "SOPClassUID") or text(header, "Modality")
    if not is_object and text(header.file_meta, "MediaStorageSOPClassUID") != DICOMDIR:
        raise _Damaged("not a DICOM object, or cut: neither SOPClassUID nor Modality is there")
    syntax = _transfer_syntax(header)
    return stream, Source(header, syntax, file.length, *_pixel_element(stream, *header.original_encoding))


def _read_header(file: ClampedFile) -> tuple[BinaryIO, FileDataset]:
    preamble = read_preamble(file, force=True)
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        stream = InflatedFile(file)
        dataset = read_dataset(stream, False, True, stop_when=_at_bulk)
        header = FileDataset(stream, dataset, preamble, meta, False, True)
        header.set_original_encoding(False, True)
        return stream, header
    file.seek(0)
    return file, read_partial(file, stop_when=_at_bulk, defer_size=DEFERRED_BYTES, force=True)


def _at_bulk(tag: int, vr: str | None, length: int) -> bool:
    return tag in _PIXEL_TAGS or tag == _CONTOURS


def _transfer_syntax(header: FileDataset) -> UID:
    stated = text(header.file_meta, "TransferSyntaxUID")
    if stated:
        return UID(stated)
    implicit, little = header.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _pixel_element(stream: BinaryIO, is_implicit: bool, is_little_endian: bool) -> tuple[int, int, str, str]:
    """Offset, stated length, keyword and VR of the pixel element at which the header ended; (-1, -1, "", "") without one."""
    order = "<" if is_little_endian else ">"
    start = stream.tell()
    opening = stream.read(12)
    group, element = struct.unpack(order + "HH", opening[:4]) if len(opening) >= 8 else (0, 0)
    keyword = _PIXEL_TAGS.get(group << 16 | element)
    if keyword is None:
        return -1, -1, "", ""
    if is_implicit:
        length, at, vr = struct.unpack(order + "L", opening[4:8])[0], start + 8, "OW"
    elif opening[4:6] in _LONG_VR and len(opening) == 12:
        length, at, vr = struct.unpack(order + "L", opening[8:12])[0], start + 12, opening[4:6].decode()
    else:
        raise _Damaged(f"the pixel data have the type {opening[4:6]!r}, expected OB or OW")
    return at, -1 if length == 0xFFFFFFFF else length, keyword, vr
