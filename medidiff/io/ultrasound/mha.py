"""Pictures in MetaImage files (.mha) of 8 bits, as DehazingEcho2025 has them."""

import re
import zlib
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.atomic import write_bytes
from medidiff.io.ultrasound.recording import Pixels, Recording, checked

LARGEST_PIXELS = 1 << 30
_HEADER_BYTES = 1 << 14
_FRAME = re.compile(r"(.+)-frame-(\d{1,9})\.mha")
_ADVICE = "Write it as an uncompressed MetaImage of MET_UCHAR."


def read_mha(path: Path) -> Recording:
    """The frames of a file, whose pixels have no size in metres. Raises DataError for other types and damaged files."""
    path = Path(path)
    content = path.read_bytes() if path.stat().st_size <= LARGEST_PIXELS + _HEADER_BYTES else b""
    end = re.search(rb"ElementDataFile *= *LOCAL *\r?\n", content[:_HEADER_BYTES])
    if end is None:
        raise DataError(f"{path.name}: found no header that ends in ElementDataFile = LOCAL, expected a MetaImage. {_ADVICE}")
    header = dict(re.findall(r"^(\w+) *= *(.*?)\r?$", content[: end.end()].decode("latin-1"), re.MULTILINE))
    try:
        size = tuple(int(part) for part in header["DimSize"].split())
    except (KeyError, ValueError):
        size = ()
    count = int(np.prod(size, dtype=object)) if size else 0
    if header.get("ElementType") != "MET_UCHAR" or len(size) not in (2, 3) or not 0 < count <= LARGEST_PIXELS or min(size) < 1:
        found = f"{header.get('ElementType')} of {header.get('DimSize')}"
        raise DataError(f"{path.name}: found {found}, expected MET_UCHAR with two or three sizes. {_ADVICE}")
    if header.get("ElementNumberOfChannels", "1") != "1":
        raise DataError(f"{path.name}: found {header['ElementNumberOfChannels']} channels, expected grey levels. {_ADVICE}")
    pixels = _pixels(content[end.end() :], header, count, path.name)
    frames = pixels.reshape(1 if len(size) == 2 else size[2], size[1], size[0])
    return checked(Recording(frames, "image", Pixels(), facts={"format": "mha"}), name=path.name)


def frames_beside(path: Path) -> list[Path]:
    """Every `NAME-frame-K.mha` of the same NAME in the folder, in the order of K; the file alone where it has no such name."""
    path = Path(path)
    found = _FRAME.fullmatch(path.name)
    if found is None:
        return [path]
    numbered = [(match, other) for other in path.parent.iterdir() if (match := _FRAME.fullmatch(other.name))]
    return [other for match, other in sorted(numbered, key=lambda pair: int(pair[0][2])) if match[1] == found[1]]


def read_mha_clip(path: Path) -> Recording:
    """The clip of which one frame is named. Raises DataError where frames differ in size; others as `read_mha`."""
    frames = [read_mha(one).values for one in frames_beside(path)]
    if len({frame.shape for frame in frames}) > 1:
        raise DataError(
            f"{Path(path).name}: found frames of the sizes {sorted({f.shape[1:] for f in frames})}, expected one size."
        )
    return checked(Recording(np.concatenate(frames), "image", Pixels(), facts={"format": "mha clip"}), name=Path(path).name)


def write_mha(values: np.ndarray, path: Path) -> None:
    """One frame (row, column), or frames, of 8 bits as a MetaImage of spacing 1."""
    values = np.ascontiguousarray(values, np.uint8)
    sizes = " ".join(str(size) for size in reversed(values.shape))
    ones, zeros = (" ".join([word] * values.ndim) for word in ("1", "0"))
    lines = [
        "ObjectType = Image",
        f"NDims = {values.ndim}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = False",
        f"Offset = {zeros}",
        f"ElementSpacing = {ones}",
        f"DimSize = {sizes}",
        "ElementType = MET_UCHAR",
        "ElementDataFile = LOCAL",
    ]
    write_bytes(path, "\n".join([*lines, ""]).encode() + values.tobytes())


def _pixels(content: bytes, header: dict[str, str], count: int, name: str) -> np.ndarray:
    if header.get("CompressedData", "False").lower() == "true":
        try:
            content = zlib.decompressobj().decompress(content, count + 1)
        except zlib.error as error:
            raise DataError(f"{name}: the compressed pixels are damaged ({error}). {_ADVICE}") from error
    if len(content) != count:
        raise DataError(f"{name}: found {len(content)} bytes of pixels, expected {count}. Copy the file again.")
    return np.frombuffer(content, np.uint8)
