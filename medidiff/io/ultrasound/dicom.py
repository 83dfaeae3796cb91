"""Clips of DICOM ultrasound, single and multi-frame: grey levels, the ultrasound region, pixel size and frame rate."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, as_pixel_options, get_decoder

from medidiff.errors import DataError
from medidiff.io.dicom.fields import number, text, value, whole
from medidiff.io.dicom.source import Source, open_source
from medidiff.io.ultrasound.recording import LARGEST_BYTES, Pixels, Recording, checked

LARGEST_FRAME = 1 << 26  # pixels
COLOURED = 24  # levels between the channels, above what JPEG does to grey
_CM = 3  # of PhysicalUnits
_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.6.1": "Ultrasound Image",
    "1.2.840.10008.5.1.4.1.1.3.1": "Ultrasound Multi-frame Image",
    "1.2.840.10008.5.1.4.1.1.6": "Ultrasound Image (retired)",
    "1.2.840.10008.5.1.4.1.1.3": "Ultrasound Multi-frame Image (retired)",
}


@dataclass(frozen=True, eq=False)
class Clip:
    """What a DICOM clip holds.

    recording   grey levels, kind image; its overlay is Doppler, or what the scanner wrote over the picture
    header      everything but the pixels
    warnings    what is doubtful in it
    """

    recording: Recording
    header: Dataset
    warnings: tuple[str, ...]


def read_dicom_clip(path: Path) -> Clip:
    """The grey levels of an ultrasound clip, luminance where it is coloured.

    Raises DataError for other kinds of image, damaged files, and transfer syntaxes without an installed decoder.
    """
    path = Path(path)
    with open_source(path, name=path.name) as (source, stream):
        header = source.header
        _check_kind(source, path.name)
        stream.seek(source.pixels_at)
        pixels = stream.read(source.pixel_bytes) if source.is_deflated else stream
        grey, colour = _frames(source, pixels, path.name)
    said: list[str] = []
    geometry = _region(header, grey.shape[1:], said, path.name)
    share = float(_inside(colour, geometry).mean())
    if share > 0:
        said.append(f"{100 * share:.2g} % of the ultrasound region is coloured; it is left as it is")
    facts = {"format": "dicom", "coloured_share": share, "compressed_with_loss": text(header, "LossyImageCompression") == "01"}
    recording = Recording(grey, "image", geometry, frame_rate_hz=_frame_rate(header), facts=facts, overlay=colour)
    return Clip(checked(recording, name=path.name), header, tuple(said))


def _check_kind(source: Source, name: str) -> None:
    kind = text(source.header, "SOPClassUID")
    if kind not in _CLASSES:
        raise DataError(
            f"{name}: found {text(source.header, 'Modality') or 'no modality'}, expected an ultrasound image or clip."
        )
    if source.pixels_at < 0:
        raise DataError(f"{name}: found no pixels, expected an ultrasound image or clip. Export it with its images.")
    rows, columns = (whole(source.header, field, name=name) for field in ("Rows", "Columns"))
    if not 0 < rows * columns <= LARGEST_FRAME or whole(source.header, "BitsAllocated", name=name) != 8:
        raise DataError(f"{name}: found frames of {rows} x {columns} pixels, expected up to {LARGEST_FRAME} pixels of 8 bits.")


def _frames(source: Source, pixels: object, name: str) -> tuple[np.ndarray, np.ndarray]:
    grey, colour, used = [], [], 0
    for frame in _decoded(source, pixels, name):
        frame = frame[..., None] if frame.ndim == 2 else frame
        channels = frame.astype(np.int16)
        colour.append(np.ptp(channels, axis=-1) > COLOURED)
        weights = [0.299, 0.587, 0.114] if frame.shape[-1] == 3 else [1.0]
        grey.append(np.round(channels @ np.array(weights)).astype(np.uint8))
        used += 2 * grey[-1].nbytes
        if used > LARGEST_BYTES:
            raise DataError(f"{name}: found more than {LARGEST_BYTES >> 30} GB of frames, expected less. Cut the clip.")
    if not grey:
        raise DataError(f"{name}: found no frame, expected one at least. Export the clip again.")
    return np.stack(grey), np.stack(colour)


def _decoded(source: Source, pixels: object, name: str) -> Iterator[np.ndarray]:
    header, syntax = source.header, source.transfer_syntax
    is_palette = text(header, "PhotometricInterpretation") == "PALETTE COLOR"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DataError(
            f"{name}: transfer syntax {syntax} ({syntax.name}) has no decoder. Export the clip uncompressed."
        ) from error
    if not decoder.is_available:
        raise DataError(
            f"{name}: no decoder is installed for {syntax.name}. Run `pip install pylibjpeg pylibjpeg-libjpeg` (GPL), or export "
            "the clip uncompressed."
        )
    try:
        options = {**as_pixel_options(header), "transfer_syntax_uid": syntax}
        options |= {"pixel_keyword": source.pixel_keyword, "pixel_vr": source.pixel_vr}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for frame, _ in decoder.iter_array(pixels, raw=is_palette, validate=True, **options):
                yield (apply_color_lut(frame, header) >> 8).astype(np.uint8) if is_palette else _inverted(frame, header)
    except Exception as error:  # decoders are foreign code and fail in many ways on damaged data
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{name}: the pixels cannot be decoded ({reason}). Copy or export the file again.") from error


def _inverted(frame: np.ndarray, header: Dataset) -> np.ndarray:
    return 255 - frame if text(header, "PhotometricInterpretation") == "MONOCHROME1" else frame


def _region(header: Dataset, shape: tuple[int, int], said: list[str], name: str) -> Pixels:
    """The largest region of two-dimensional tissue that lies in the picture, with its pixel size."""
    found = []
    for region in value(header, "SequenceOfUltrasoundRegions") or []:
        if (value(region, "RegionSpatialFormat"), value(region, "RegionDataType")) != (1, 1):
            continue
        left, top = (whole(region, f"RegionLocationMin{axis}0", name=name) for axis in "XY")
        right, bottom = (whole(region, f"RegionLocationMax{axis}1", name=name) + 1 for axis in "XY")
        if bottom > shape[0] or right > shape[1] or top >= bottom or left >= right:
            said.append(
                f"the region ({left}, {top}) to ({right - 1}, {bottom - 1}) is not in the picture of {shape[1]} x {shape[0]}: "
                "it was scaled without its header, so that neither region nor pixel size is taken from it"
            )
            continue
        found.append(Pixels(*_pixel_size(region, name), (top, bottom, left, right)))
    return max(found, key=lambda one: (one.box[1] - one.box[0]) * (one.box[3] - one.box[2]), default=Pixels())


def _pixel_size(region: Dataset, name: str) -> tuple[float | None, float | None]:
    units = tuple(value(region, f"PhysicalUnits{axis}Direction") for axis in "YX")
    if units != (_CM, _CM):
        return None, None
    sizes = tuple(abs(number(region, f"PhysicalDelta{axis}", name=name)) / 100 for axis in "YX")
    return sizes if min(sizes) > 0 else (None, None)


def _frame_rate(header: Dataset) -> float | None:
    told = value(header, "FrameTime")
    vector = value(header, "FrameTimeVector")
    try:
        if told is None and vector is not None:
            steps = [float(step) for step in vector][1:]
            told = sum(steps) / len(steps) if steps else None
        milliseconds = float(told)
    except (TypeError, ValueError):
        return None
    return 1000 / milliseconds if np.isfinite(milliseconds) and milliseconds > 0 else None


def _inside(colour: np.ndarray, geometry: Pixels) -> np.ndarray:
    if geometry.box is None:
        return colour
    top, bottom, left, right = geometry.box
    return colour[:, top:bottom, left:right]
