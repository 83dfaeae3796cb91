"""Stored numbers of the frames of one DICOM file, whatever its transfer syntax."""

import re
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import as_pixel_options, get_decoder
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import UID

from medidiff.errors import DataError
from medidiff.io.dicom.codestream import read_codestream
from medidiff.io.dicom.fields import text, value, whole
from medidiff.io.dicom.integrity import check_pixels
from medidiff.io.dicom.source import Source, open_source

_UNCOMPRESSED = "Export the series uncompressed (1.2.840.10008.1.2.1)."
_HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_LOSSY = {  # never exact; JPEG 2000 (.91) may be, so it is decided by LossyImageCompression
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.51": "JPEG Extended",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
}


def stored_frames(path: Path, *, name: str) -> Iterator[np.ndarray]:
    """Each frame of a file as stored numbers (rows, columns), integer or floating point, one at a time.

    path      of a grey-scale image file
    name      what messages call it

    Unused high bits are cut off and the sign is the one of PixelRepresentation. Raises DataError when the file is cut,
    its header does not fit its pixels, or no decoder is installed for its transfer syntax.
    """
    with open_source(path, name=name) as (source, stream):
        _check_grey(source.header, name=name)
        check_pixels(source, stream, name=name)
        decoder = _decoder(source.transfer_syntax, name=name)
        pixels = _pixel_bytes(source, stream)
        if source.pixel_bytes < 0:
            _check_codestream(source, stream, name=name)
        yield from _decode(decoder, source, pixels, name=name)


def lossy_note(header: Dataset, transfer_syntax: UID) -> str:
    """How the pixels were compressed with loss; "" when they were not."""
    if transfer_syntax in _LOSSY:
        return f"compressed with loss ({_LOSSY[transfer_syntax]})"
    return "compressed with loss (LossyImageCompression is 01)" if text(header, "LossyImageCompression") == "01" else ""


def _check_grey(header: Dataset, *, name: str) -> None:
    samples = whole(header, "SamplesPerPixel", name=name, default=1)
    meaning = text(header, "PhotometricInterpretation")
    if samples != 1 or meaning not in ("", "MONOCHROME1", "MONOCHROME2"):
        raise DataError(
            f"{name}: a colour image ({meaning}, {samples} samples per pixel), expected grey values. Choose another series."
        )


def _decoder(syntax: UID, *, name: str) -> Decoder:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DataError(f"{name}: transfer syntax {syntax} ({syntax.name}) has no decoder. {_UNCOMPRESSED}") from error
    if not decoder.is_available:
        package = "pylibjpeg pylibjpeg-openjpeg" if syntax in _HTJ2K else "python-gdcm"
        raise DataError(
            f"{name}: no decoder is installed for transfer syntax {syntax} ({syntax.name}). Run `pip install {package}`, "
            "or export the series uncompressed (1.2.840.10008.1.2.1)."
        )
    return decoder


def _pixel_bytes(source: Source, stream: BinaryIO) -> BinaryIO | bytes:
    """What the decoder reads from: the file itself, or the inflated pixels."""
    if source.is_deflated:
        stream.limit = source.pixels_at + source.pixel_bytes
    stream.seek(source.pixels_at)
    return stream.read(source.pixel_bytes) if source.is_deflated else stream


def _check_codestream(source: Source, stream: BinaryIO, *, name: str) -> None:
    """Compare the size that the first compressed frame states with the header; then stand at the pixels again."""
    stream.seek(source.pixels_at)
    offsets = struct.unpack("<L", stream.read(8)[4:])[0]
    stream.seek(source.pixels_at + 8 + offsets + 8)
    found = read_codestream(stream.read(1 << 16))
    stream.seek(source.pixels_at)
    if found is None:
        return
    header = source.header
    if (found.rows, found.columns) != (header.Rows, header.Columns):
        raise DataError(
            f"{name}: the compressed image is {found.rows} x {found.columns}, the header says {header.Rows} x {header.Columns}. "
            "Export the file again."
        )
    if found.bits > 8 and found.is_lossy:
        raise DataError(
            f"{name}: lossy JPEG with {found.bits} bits ({source.transfer_syntax.name}), which no installed decoder "
            f"reads exactly, expected 8 bits or a lossless syntax. {_UNCOMPRESSED}"
        )


def _decode(decoder: Decoder, source: Source, pixels: BinaryIO | bytes, *, name: str) -> Iterator[np.ndarray]:
    frames = None
    while True:
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                frames = frames or decoder.iter_array(pixels, raw=True, validate=True, **_options(source))
                frame, _ = next(frames)
        except StopIteration:
            return
        except Exception as error:  # decoders are foreign code and fail in many ways on damaged data
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{name}: the pixels cannot be decoded ({reason}). Copy or export the file again.") from error
        _check_padding([str(warning.message) for warning in said], frame, name=name)
        yield _used_bits(frame, source.header, name=name)


def _options(source: Source) -> dict:
    options = {"photometric_interpretation": "MONOCHROME2", "samples_per_pixel": 1, **as_pixel_options(source.header)}
    options |= {"transfer_syntax_uid": source.transfer_syntax, "pixel_keyword": source.pixel_keyword, "pixel_vr": source.pixel_vr}
    return options | {"apply_j2k_sign_correction": False, "correct_unused_bits": False}  # `_used_bits` does both


def _check_padding(said: list[str], frame: np.ndarray, *, name: str) -> None:
    """Raises DataError when run-length data hold a row more than the header says; pydicom only warns of that."""
    for message in said:
        counts = re.search(r"non-conformant padding - (\d+) vs\. (\d+) bytes", message)
        if counts and int(counts[1]) - int(counts[2]) >= frame.shape[-1]:
            raise DataError(
                f"{name}: the compressed image holds {counts[1]} pixels, the header says {counts[2]}. Export the file again."
            )


def _used_bits(frame: np.ndarray, header: Dataset, *, name: str) -> np.ndarray:
    """The frame without what some scanners leave in the unused high bits, and with its sign."""
    if frame.ndim != 2:
        raise DataError(f"{name}: a frame has the shape {frame.shape}, expected rows x columns. Choose another series.")
    if frame.dtype.kind == "f":
        return frame
    unused = frame.dtype.itemsize * 8 - whole(header, "BitsStored", name=name, default=frame.dtype.itemsize * 8)
    if unused < 0:
        raise DataError(f"{name}: BitsStored is larger than BitsAllocated. Export the file again.")
    signed = bool(value(header, "PixelRepresentation"))
    frame = frame.view(frame.dtype.str.replace("u", "i") if signed else frame.dtype.str.replace("i", "u"))
    return (frame << unused) >> unused if unused else frame
