"""Does a file hold the pixels that its header promises? Asked before any of them is reserved or read."""

import math
import struct
from typing import BinaryIO

from medidiff.errors import DataError
from medidiff.io.dicom.fields import text, whole
from medidiff.io.dicom.source import Source

BOMB_BYTES, BOMB_RATIO = 256 << 20, 1000  # compressed pixels that claim to grow beyond both are refused
LARGEST_BYTES = 1 << 31  # of decoded pixels in one file
_ITEM, _END = 0xE000, 0xE0DD


def pixel_count(source: Source, *, name: str) -> tuple[int, int]:
    """Number of pixels (times samples) and of bytes that the header promises.

    source    a header with Rows and Columns
    returns   (pixels, bytes)
    """
    header = source.header
    rows, columns = whole(header, "Rows", name=name), whole(header, "Columns", name=name)
    samples = whole(header, "SamplesPerPixel", name=name, default=1)
    frames = whole(header, "NumberOfFrames", name=name, default=1) or 1
    bits = whole(header, "BitsAllocated", name=name)
    if 0 in (rows, columns, samples, bits):
        raise DataError(f"{name}: Rows {rows}, Columns {columns}, BitsAllocated {bits}: none may be 0. Export the series again.")
    pixels = rows * columns * samples * frames
    return pixels, math.ceil(pixels * bits / 8)


def check_pixels(source: Source, stream: BinaryIO, *, name: str) -> None:
    """Raises DataError unless the stream can hold exactly the pixels that the header promises.

    source    with Rows and Columns in the header
    stream    of the same file
    """
    if source.pixels_at < 0:
        raise DataError(f"{name}: no pixel data where the header promises an image. Export the file again, with its pixels.")
    _, promised = pixel_count(source, name=name)
    shape = f"{source.header.get('Rows')} x {source.header.get('Columns')} pixels"
    if frames := text(source.header, "NumberOfFrames"):
        shape += f" in {frames} frames"
    compressed = source.pixel_bytes < 0 or source.is_deflated
    if compressed and promised > BOMB_BYTES and promised > BOMB_RATIO * source.file_bytes:
        raise DataError(
            f"{name}: {source.file_bytes} bytes on disk claim to hold {promised / 1e6:.0f} MB ({shape}), more than "
            f"{BOMB_RATIO} times as much. The header lies or the file is an attack; export it again."
        )
    if promised > LARGEST_BYTES and (compressed or promised <= source.file_bytes):
        raise DataError(
            f"{name}: {shape} are {promised / 1e9:.1f} GB, more than {LARGEST_BYTES / 1e9:.1f} GB in one file. Split it."
        )
    if source.pixel_bytes < 0:
        _check_fragments(source, stream, name=name)
    else:
        _check_length(source, stream, promised, shape, name=name)


def _check_length(source: Source, stream: BinaryIO, promised: int, shape: str, *, name: str) -> None:
    if "422" in text(source.header, "PhotometricInterpretation"):
        return  # colour at half resolution; refused later because it is colour
    there = source.pixel_bytes
    if not source.is_deflated:
        there = min(there, source.file_bytes - source.pixels_at)
    if there < promised:
        raise DataError(
            f"{name}: {there} bytes of pixel data, expected {promised} for {shape}: the file is cut or its header is wrong. "
            "Copy or export it again."
        )
    if there > promised + promised % 2 and any(_tail(source, stream, promised, there)):
        raise DataError(
            f"{name}: {there} bytes of pixel data, expected {promised} for {shape}: the header does not describe these pixels. "
            "Export the file again."
        )


def _tail(source: Source, stream: BinaryIO, promised: int, there: int) -> bytes:
    """What follows the promised pixels; padding is zeros."""
    if source.is_deflated:
        return b"\1"
    stream.seek(source.pixels_at + promised)
    return stream.read(min(there - promised, 1 << 16)) if there - promised <= 1 << 16 else b"\1"


def _check_fragments(source: Source, stream: BinaryIO, *, name: str) -> None:
    """Walk the items of encapsulated pixel data; each must lie inside the file and the sequence must end."""
    at = source.pixels_at
    while True:
        stream.seek(at)
        opening = stream.read(8)
        group, element, length = struct.unpack("<HHL", opening) if len(opening) == 8 else (0, 0, 0)
        if group != 0xFFFE or element not in (_ITEM, _END) or at + 8 + length > source.file_bytes:
            raise DataError(
                f"{name}: the compressed pixel data end at byte {min(at, source.file_bytes)} without their end mark: "
                "the file is cut or damaged. Copy or export it again."
            )
        if element == _END:
            return
        at += 8 + length
