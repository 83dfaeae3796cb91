"""What lies in a folder tree: one entry for each DICOM file, and everything that was skipped with the reason."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import FileDataset
from pydicom.uid import UID

from medidiff.errors import DataError
from medidiff.io.dicom.fields import text, value
from medidiff.io.dicom.integrity import check_pixels
from medidiff.io.dicom.kinds import CLASS_OF, READABLE
from medidiff.io.dicom.source import DICOMDIR, Source, has_preamble, may_be_bare, open_source

NO_DICOM = "not a DICOM file"


@dataclass(frozen=True, eq=False)
class Instance:
    """One DICOM file whose header could be read."""

    path: Path
    name: str  # relative to the indexed folder; what messages call it
    header: FileDataset  # without pixels, without contours
    transfer_syntax: UID
    problem: str = ""  # why its pixels cannot be read; "" when nothing speaks against it


@dataclass(frozen=True)
class Skipped:
    """One file or folder that is not in the index."""

    path: str  # relative to the indexed folder, safe to print
    reason: str
    is_damaged_dicom: bool = False  # its name or its content says that it should be DICOM
    may_be_slice: bool = False  # it has the magic word, or nothing at all in it, as a failed copy has


def index_folder(folder: Path) -> tuple[list[Instance], list[Skipped]]:
    """Every DICOM file below a folder, in the order of its name, and every other entry with the reason why it is not one.

    folder    any tree: file names and extensions do not matter
    returns   (instances, skipped)

    Symbolic links are followed, each folder once. Pipes, sockets and devices are not opened. A file whose header can be
    read but whose pixels cannot is an instance with a `problem`. Raises DataError when the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. Check the path in the study table.")
    instances: list[Instance] = []
    skipped: list[Skipped] = []
    for path, reason in _walk(folder):
        name = printable(os.path.relpath(path, folder))
        entry = Skipped(name, reason) if reason else _read(path, name)
        (instances if isinstance(entry, Instance) else skipped).append(entry)
    return sorted(instances, key=lambda entry: entry.name), sorted(skipped, key=lambda entry: entry.path)


def printable(name: str) -> str:
    """A file name in which control and direction characters are replaced, so that it may stand in a message."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file with "" or the reason why it must not be opened; real folders before linked ones, none twice."""
    waiting, seen = deque([folder]), set()
    while waiting:
        here = waiting.popleft()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                yield here, "a link to a folder that was already visited"
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            yield here, f"the folder cannot be read ({error.strerror or error})"
            continue
        for entry in entries:
            path = Path(entry.path)
            try:
                kind = entry.stat().st_mode
            except OSError as error:
                yield path, f"cannot be read ({error.strerror or error})"
                continue
            if stat.S_ISDIR(kind):
                waiting.append(path) if entry.is_symlink() else waiting.appendleft(path)
            else:
                yield path, "" if stat.S_ISREG(kind) else "not a regular file (pipe, socket or device)"


def _read(path: Path, name: str) -> Instance | Skipped:
    try:
        with open(path, "rb") as file:
            start = file.read(136)
    except OSError as error:
        return Skipped(name, f"cannot be read ({error.strerror or error})")
    if start[132:136] == b"\x02\0\0\0" and not has_preamble(start):
        return Skipped(name, "the magic word DICM is damaged", is_damaged_dicom=True, may_be_slice=True)
    if not start[:128].strip(b"\0") and not has_preamble(start):
        return Skipped(name, "nothing but zeros" if start else "an empty file", is_damaged_dicom=True, may_be_slice=True)
    if not (has_preamble(start) or may_be_bare(start)):
        return Skipped(name, NO_DICOM, is_damaged_dicom=path.suffix.lower() in (".dcm", ".ima"))
    try:
        with open_source(path, name=name) as (source, stream):
            if text(source.header.file_meta, "MediaStorageSOPClassUID") == DICOMDIR:
                return Skipped(name, "a DICOMDIR; the files it lists are read directly")
            if _is_cut(source):
                return Skipped(name, "the header ends before it describes an image: the file is cut", True, True)
            problem = ""
            if value(source.header, "Rows") is not None or source.pixels_at >= 0:
                problem = _problem(source, stream, name)
            return Instance(path, name, source.header, source.transfer_syntax, problem)
    except DataError as error:
        reason = str(error).removeprefix(f"{name}: ")
        return Skipped(name, reason, is_damaged_dicom=has_preamble(start), may_be_slice=has_preamble(start))


def _is_cut(source: Source) -> bool:
    """Whether the file says to be a slice but its header breaks off."""
    classes = text(source.header.file_meta, "MediaStorageSOPClassUID"), text(source.header, "SOPClassUID")
    is_slice = any(sop_class in CLASS_OF for sop_class in classes) or text(source.header, "Modality") in READABLE
    return is_slice and (value(source.header, "Rows") is None or not text(source.header, "SeriesInstanceUID"))


def _problem(source: Source, stream: BinaryIO, name: str) -> str:
    try:
        check_pixels(source, stream, name=name)
    except DataError as error:
        return str(error)
    return ""
