"""DICOM series, changed element by element: geometry that contradicts itself, lies about sizes, hostile texts, other syntaxes."""

import struct
import zlib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from tests.robustness.mutation import ANY, EQUAL, PLACED, READ, REFUSED, Mutation, Random, files_of

HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>"
PATH = "../../../../tmp/escaped"
Header = Dataset


def load(folder: Path) -> list[tuple[Path, Header]]:
    """The images of a folder in the order of their position, or of their names where they have none."""
    found = []
    for path in files_of(folder):
        header = pydicom.dcmread(path, force=True)
        if "PixelData" in header:
            found.append((path, header))

    def place(item: tuple[Path, Header]) -> tuple[float, str]:
        header = item[1]
        if "ImagePositionPatient" not in header:
            return 0.0, item[0].name
        across, down = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
        return round(float(np.cross(across, down) @ np.array(header.ImagePositionPatient, dtype=float)), 3), item[0].name

    return sorted(found, key=place)


def save(path: Path, header: Header) -> None:
    """The header under its name, whatever its values are."""
    with disable_value_validation():
        header.save_as(path, enforce_file_format=False)


def in_one(name: str, expect: str, edit: Callable[[Header, Random], object]) -> Mutation:
    """The edit in one image, not the first nor the last where there are more than two."""

    def change(folder: Path, random: Random) -> None:
        images = load(folder)
        path, header = images[random.integers(1, len(images) - 1) if len(images) > 2 else 0]
        with disable_value_validation():
            edit(header, random)
        save(path, header)

    return Mutation(f"one: {name}", expect, change)


def in_all(name: str, expect: str, edit: Callable[[Header, Random], object]) -> Mutation:
    """The edit in every image."""

    def change(folder: Path, random: Random) -> None:
        for path, header in load(folder):
            with disable_value_validation():
                edit(header, random)
            save(path, header)

    return Mutation(f"all: {name}", expect, change)


def put(keyword: str, value: object) -> Callable[[Header, Random], object]:
    """Sets an element."""
    return lambda header, random: setattr(header, keyword, value)


def drop(keyword: str) -> Callable[[Header, Random], object]:
    """Removes an element."""
    return lambda header, random: header.pop(keyword, None)


def raw(keyword: str, vr: str, text: str) -> Callable[[Header, Random], object]:
    """Sets the text of a numeric element, which need not be a number."""
    tag = Tag(keyword)
    return lambda header, random: header.__setitem__(tag, DataElement(tag, vr, text, already_converted=True))


def _scale_spacing(header: Header, random: Random) -> None:
    header.PixelSpacing = [float(x) * 1.1 for x in header.PixelSpacing]


def _swap_spacing(header: Header, random: Random) -> None:
    header.PixelSpacing = list(header.PixelSpacing)[::-1]


def _turn(header: Header, random: Random) -> None:
    across, down = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
    angle = np.radians(5)
    turned = [*(np.cos(angle) * across + np.sin(angle) * down), *(np.cos(angle) * down - np.sin(angle) * across)]
    header.ImageOrientationPatient = [f"{x:.12f}"[:16] for x in turned]


def _mirror(header: Header, random: Random) -> None:
    cosines = list(header.ImageOrientationPatient)
    header.ImageOrientationPatient = [-float(x) for x in cosines[:3]] + cosines[3:]


def _shift(mm: float, axis: str) -> Callable[[Header, Random], None]:
    def edit(header: Header, random: Random) -> None:
        across, down = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
        direction = {"across": across, "down": down, "through": np.cross(across, down)}[axis]
        moved = np.array(header.ImagePositionPatient, dtype=float) + mm * direction
        header.ImagePositionPatient = [f"{x:.9f}"[:16] for x in moved]

    return edit


def _transpose_size(header: Header, random: Random) -> None:
    header.Rows, header.Columns = header.Columns, header.Rows


def _huge(header: Header, random: Random) -> None:
    header.Rows = header.Columns = 65535


def _nested(header: Header, random: Random) -> None:
    inner = Dataset()
    inner.PatientComments = "CANARY"
    for _ in range(200):
        outer = Dataset()
        outer.ReferencedStudySequence = [inner]
        inner = outer
    header.ReferencedStudySequence = [inner]


def _remove(folder: Path, random: Random) -> None:
    images = load(folder)
    images[random.integers(1, len(images) - 1)][0].unlink()


def _double(edit: Callable[[Header, Random], object], *, new_uid: bool = True) -> Callable[[Path, Random], None]:
    """One image twice, the second edited."""

    def change(folder: Path, random: Random) -> None:
        images = load(folder)
        path, header = images[random.integers(1, len(images) - 1)]
        second = deepcopy(header)
        if new_uid:
            second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = f"{header.SOPInstanceUID}.7"
        edit(second, random)
        save(path.with_name("again" + path.suffix), second)

    return change


def _brighten(header: Header, random: Random) -> None:
    header.PixelData = (np.frombuffer(header.PixelData, "<u2") ^ np.uint16(64)).tobytes()


def _halve_frames(header: Header, random: Random) -> None:
    header.PixelData = header.PixelData[: len(header.PixelData) // 2]


def _as_float(header: Header, random: Random) -> None:
    values = np.full(header.Rows * header.Columns, np.nan, "<f4")
    del header.PixelData
    header.add_new(0x7FE00008, "OF", values.tobytes())
    header.BitsAllocated = header.BitsStored = 32


def encode(syntax: str) -> Callable[[Path, Random], None]:
    """Every image in another transfer syntax, with the same numbers."""

    def change(folder: Path, random: Random) -> None:
        for path, header in load(folder):
            if syntax in (RLELossless, JPEGLSLossless):
                header.compress(syntax, generate_instance_uid=False)
                header.save_as(path, enforce_file_format=True)
                continue
            if syntax == ExplicitVRBigEndian:
                header.PixelData = np.frombuffer(header.PixelData, "<u2").astype(">u2").tobytes()
            header.file_meta.TransferSyntaxUID = syntax
            implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
            list(header.iterall())  # parsed, so that every number is written in the other order
            pydicom.dcmwrite(path, header, implicit_vr=implicit, little_endian=little)

    return change


def _say_other_syntax(folder: Path, random: Random) -> None:
    path, header = load(folder)[0]
    content = path.read_bytes()
    stated = str(header.file_meta.TransferSyntaxUID).encode()
    path.write_bytes(content.replace(stated, b"1.2.840.10008.1.2.4.90"[: len(stated)].ljust(len(stated), b"\0"), 1))


def _deflate_bomb(folder: Path, random: Random) -> None:
    path, header = load(folder)[0]
    plain = header.PixelData
    header.PixelData = b"\0\0"
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    at = len(content)
    for at in range(132, len(content)):  # where the deflated data set begins: behind the group of the file
        try:
            inflated = zlib.decompressobj(-15).decompress(content[at:])
        except zlib.error:
            continue
        if len(inflated) > len(plain):
            break
    bomb = inflated + struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, 700 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    with open(path, "wb") as file:
        file.write(content[:at] + packer.compress(bomb))
        for _ in range(40):
            file.write(packer.compress(bytes(1 << 22)))
        file.write(packer.flush())


GEOMETRY = (
    in_one("pixel spacing larger", REFUSED, _scale_spacing),
    in_one("pixel spacings exchanged", REFUSED, _swap_spacing),
    in_all("pixel spacing 0", REFUSED, put("PixelSpacing", [0, 0])),
    in_all("pixel spacing below 0", REFUSED, put("PixelSpacing", [-1, 1])),
    in_all("pixel spacing in metres", REFUSED, put("PixelSpacing", ["0.0000001", "0.0000001"])),
    in_all("pixel spacing no number", REFUSED, raw("PixelSpacing", "DS", "a\\b")),
    in_all("pixel spacing of three", REFUSED, put("PixelSpacing", [1, 1, 1])),
    in_one("turned by 5 degrees", REFUSED, _turn),
    in_one("mirrored", REFUSED, _mirror),
    in_all("orientation not perpendicular", REFUSED, put("ImageOrientationPatient", [1, 0, 0, 0.6, 0.8, 0])),
    in_all("orientation of length 0", REFUSED, put("ImageOrientationPatient", [0, 0, 0, 0, 0, 0])),
    in_all("orientation not finite", REFUSED, raw("ImageOrientationPatient", "DS", "1\\0\\0\\0\\nan\\0")),
    in_all("no orientation", REFUSED, drop("ImageOrientationPatient")),
    in_one("moved across", REFUSED, _shift(1.5, "across")),
    in_one("moved down", REFUSED, _shift(-2.0, "down")),
    in_one("moved through half a gap", REFUSED, _shift(1.2, "through")),
    in_one("moved far away", REFUSED, _shift(1e5, "through")),
    in_all("all at one place", REFUSED, put("ImagePositionPatient", [0, 0, 0])),
    in_one("position infinite", REFUSED, raw("ImagePositionPatient", "DS", "inf\\0\\0")),
    in_one("position beyond float32", REFUSED, raw("ImagePositionPatient", "DS", "1e300\\-1e300\\1e300")),
    in_all("no position", REFUSED, drop("ImagePositionPatient")),
    in_one("other frame of reference", REFUSED, put("FrameOfReferenceUID", "1.2.3.4")),
    in_one("sizes exchanged", REFUSED, _transpose_size),
    in_one("a row less", REFUSED, lambda header, random: setattr(header, "Rows", header.Rows - 1)),
    Mutation("slice missing", REFUSED, _remove),
    Mutation("slice twice, another image", REFUSED, _double(_brighten)),
    Mutation("slice twice, one identity", REFUSED, _double(_brighten, new_uid=False)),
    Mutation("slice twice, a copy", READ, _double(lambda header, random: None)),
    Mutation("slice twice, half a gap away", REFUSED, _double(_shift(1.25, "through"))),
)
SIZES = (
    in_one("65535 rows and columns", REFUSED, _huge),
    in_one("2e9 frames", REFUSED, put("NumberOfFrames", 2_000_000_000)),
    in_one("no rows", REFUSED, drop("Rows")),
    in_one("0 columns", REFUSED, put("Columns", 0)),
    in_one("half the pixels", REFUSED, _halve_frames),
    in_one("no pixels", REFUSED, drop("PixelData")),
    in_one("8 bits stated", REFUSED, put("BitsAllocated", 8)),
    in_one("32 bits stated", REFUSED, put("BitsAllocated", 32)),
    in_one("more bits stored than there are", REFUSED, put("BitsStored", 24)),
    in_one("bits a text", ANY, raw("BitsStored", "US", "")),
    in_one("three samples", REFUSED, put("SamplesPerPixel", 3)),
    in_one("float pixels not finite", REFUSED, _as_float),
    Mutation("deflate bomb", REFUSED, _deflate_bomb),
)
VALUES = (
    in_all("slope not a number", REFUSED, raw("RescaleSlope", "DS", "nan")),
    in_all("slope 0", REFUSED, put("RescaleSlope", "0")),
    in_all("intercept infinite", REFUSED, raw("RescaleIntercept", "DS", "-inf")),
    in_all("slope beyond float32", REFUSED, raw("RescaleSlope", "DS", "1e300")),
    in_all("padding no number", ANY, raw("PixelPaddingValue", "SS", "")),
    in_one("signedness", PLACED, lambda header, random: setattr(header, "PixelRepresentation", 1 - header.PixelRepresentation)),
)
TEXTS = (
    in_all("HTML in every text", READ, lambda header, random: [_put_texts(header, HTML)]),
    in_all("paths in every text", READ, lambda header, random: [_put_texts(header, PATH)]),
    in_all("right-to-left and control characters", READ, lambda header, random: [_put_texts(header, "\u202egnp\x1b[31m")]),
    in_all("path as series", EQUAL, put("SeriesInstanceUID", PATH)),
    in_all("path as study", EQUAL, put("StudyInstanceUID", "/etc/passwd")),
    in_all("path as instance", EQUAL, put("SOPInstanceUID", PATH)),
    in_all("long texts", READ, put("PatientComments", "x" * 100_000)),
    in_all("sequences in sequences", READ, _nested),
    in_all("unknown character set", READ, put("SpecificCharacterSet", "ISO_IR 999")),
)
SYNTAXES = (
    Mutation("big-endian", READ, encode(ExplicitVRBigEndian)),
    Mutation("implicit", READ, encode(ImplicitVRLittleEndian)),
    Mutation("deflated", READ, encode(DeflatedExplicitVRLittleEndian)),
    Mutation("run-length", READ, encode(RLELossless)),
    Mutation("JPEG-LS", READ, encode(JPEGLSLossless)),
    Mutation("another syntax stated", REFUSED, _say_other_syntax),
)
SERIES = GEOMETRY + SIZES + VALUES + TEXTS + SYNTAXES


def _put_texts(header: Header, text: str) -> None:
    header.PatientName = header.PatientID = header.InstitutionName = header.SeriesDescription = f"CANARY{text}"
    header.StudyDescription = header.ProtocolName = header.ManufacturerModelName = header.ImageComments = text
