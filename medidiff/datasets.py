"""Public data by name: what there is, where it lies, and how to get it, checked by sha256.

Nothing of it is part of this project. A set is read from the folder that MEDIDIFF_MIRROR names, or from the cache
(MEDIDIFF_CACHE, else ~/.cache/medidiff), which `medidiff data get NAME` fills from the mirror's archive or the public source.
"""

import fcntl
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from medidiff.errors import ConfigError, DataError
from medidiff.io.download import receive
from medidiff.record import sha256

CATALOGUE = Path(__file__).with_name("catalogue")

Progress = Callable[[int, int], None]  # bytes here, bytes in all


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError("must be a path inside the folder of the data set")
    return path


InnerPath = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Frozen):
    """One file of a set: its place in the folder, its bytes, and where the public source has the same bytes."""

    path: InnerPath
    size: int
    sha256: Sha256
    url: str | None  # relative to the set's base_url; None: no public file holds these bytes


class Archive(_Frozen):
    """The one file as which a mirror holds the whole set."""

    path: InnerPath
    size: int
    sha256: Sha256


class Source(_Frozen):
    """Where the data come from, and what was checked of the addresses."""

    repository: str
    commit: str
    folder: str
    checked: str


class Dataset(_Frozen):
    """A public data set: title, licence, citation, source and every file with its sha256."""

    name: Annotated[str, Field(pattern="^[a-z0-9-]+$")]
    title: str
    licence: str
    citation: tuple[str, ...]
    source: Source
    derived: str | None  # how the files differ from the source's
    base_url: str
    folder: InnerPath  # in the mirror; unused when the mirror holds an archive
    archive: Archive | None
    files: tuple[File, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """The parts that can be had alone: the first folders, as a rule one for each patient."""
        return tuple(dict.fromkeys(file.path.split("/")[0] for file in self.files if "/" in file.path))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def select(self, subset: Iterable[str] = ()) -> tuple[File, ...]:
        """The files of the named members; all files when none is named. Raises ConfigError for an unknown member."""
        wanted = set(subset)
        if unknown := sorted(wanted - set(self.members)):
            raise ConfigError(f"{self.name}: no part {unknown[0]!r}{_nearest(unknown[0], self.members)}")
        return tuple(file for file in self.files if not wanted or file.path.split("/")[0] in wanted)


def catalogue() -> dict[str, Dataset]:
    """Every data set by name."""
    return dict(_read_catalogue(CATALOGUE))


def dataset(name: str) -> Dataset:
    """The entry of that name. Raises ConfigError with the nearest name when there is none."""
    entries = _read_catalogue(CATALOGUE)
    if name not in entries:
        raise ConfigError(f"data set {name!r} is not in the catalogue{_nearest(name, entries)}")
    return entries[name]


def locate(name: str, *, subset: Iterable[str] = ()) -> Path:
    """The folder that holds the set: in the mirror, else in the cache; existence and size are looked at, not the hash.

    name      of the catalogue
    subset    members that must be there (patients); empty = all

    Raises ConfigError with the command that gets the set when files are missing.
    """
    subset = tuple(subset)
    entry = dataset(name)
    files = entry.select(subset)
    folders = [folder for folder in (_mirror_of(entry), _cache_of(entry)) if folder]
    for folder in folders:
        if all(_has_size(folder / file.path, file.size) for file in files):
            return folder
    looked = " or ".join(map(str, folders))
    raise ConfigError(f"{name}: not all of its {len(files)} files are in {looked}. Run `{_command(name, subset)}`.{_how(entry)}")


def get(name: str, *, subset: Iterable[str] = (), progress: Progress | None = None) -> Path:
    """The folder that holds the set, filled when needed; every file has the sha256 of the catalogue.

    name       of the catalogue
    subset     members to get (patients); empty = all
    progress   called with (bytes here, bytes in all)

    Files of a mirror stay where they are; an archive of a mirror is unpacked into the cache; else each file is downloaded
    into the cache, going on where an earlier call stopped. Raises DataError when bytes differ or cannot be had.
    """
    entry = dataset(name)
    files = entry.select(subset)
    mirror = _mirror_of(entry)
    if mirror and all(_has_size(mirror / file.path, file.size) for file in files):
        _check(mirror, files, name)
        return mirror
    folder = _cache_of(entry)
    with _only_one(folder):
        missing = [file for file in files if not _is_intact(folder / file.path, file)]
        archive = _mirror_archive(entry)
        if missing and archive:
            _unpack(entry, archive, folder)
        elif missing:
            _download(entry, missing, folder, progress or (lambda here, total: None))
    return folder


def verify(name: str, *, subset: Iterable[str] = ()) -> Path:
    """The folder that holds the set, after every hash was compared. Raises DataError naming the files that differ."""
    folder = locate(name, subset=tuple(subset))
    _check(folder, dataset(name).select(subset), name)
    return folder


@cache
def _read_catalogue(folder: Path) -> dict[str, Dataset]:
    entries = [Dataset.model_validate_json(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    return {entry.name: entry for entry in entries}


def _nearest(name: str, names: Iterable[str]) -> str:
    known = list(names)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known[:40])}."


def _command(name: str, subset: tuple[str, ...]) -> str:
    return " ".join(["medidiff data get", name, *subset])


def _how(entry: Dataset) -> str:
    if all(file.url for file in entry.files):
        return ""
    return f" Not every file has a public address ({entry.derived}): set MEDIDIFF_MIRROR to a folder that holds the set."


def _mirror() -> Path | None:
    named = os.environ.get("MEDIDIFF_MIRROR")
    if named and not Path(named).is_dir():
        raise ConfigError(f"MEDIDIFF_MIRROR names {named}, which is not a folder. Correct it, or unset it to use the cache.")
    return Path(named) if named else None


def _mirror_of(entry: Dataset) -> Path | None:
    mirror = _mirror()
    return mirror / entry.folder if mirror and entry.archive is None else None


def _mirror_archive(entry: Dataset) -> Path | None:
    mirror = _mirror()
    path = mirror / entry.archive.path if mirror and entry.archive else None
    return path if path and path.is_file() else None


def _cache_of(entry: Dataset) -> Path:
    return Path(os.environ.get("MEDIDIFF_CACHE") or Path.home() / ".cache" / "medidiff") / entry.name


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _is_intact(path: Path, file: File | Archive) -> bool:
    return _has_size(path, file.size) and sha256(path) == file.sha256


def _check(folder: Path, files: Iterable[File], name: str) -> None:
    bad = [file.path for file in files if not _is_intact(folder / file.path, file)]
    if bad:
        few = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise DataError(
            f"{name}: bytes differ from the catalogue's sha256 in {few} (folder {folder}). Delete them and get the set again."
        )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """One process at a time fills a folder of the cache; the kernel frees the lock when a process dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115 - closed below, after the block has run
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}). Name another folder with MEDIDIFF_CACHE.") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(entry: Dataset, archive: Path, folder: Path) -> None:
    """Every file of the archive moved into the folder, after all of them were found to be the catalogue's."""
    if not _is_intact(archive, entry.archive):
        raise DataError(f"{entry.name}: {archive} is not the archive of the catalogue (sha256 differs). Get it again.")
    expected = {file.path: file for file in entry.files}
    with tempfile.TemporaryDirectory(prefix=".unpack.", dir=folder) as temporary:
        try:
            with tarfile.open(archive) as tar:
                for member in tar:
                    if not member.isdir():
                        _extract(tar, member, expected, temporary)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DataError(f"{entry.name}: {archive} could not be unpacked ({error}). Nothing of it was kept.") from error
        _check(Path(temporary), entry.files, entry.name)
        for file in entry.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(temporary) / file.path, target)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, expected: dict[str, File], folder: str) -> None:
    # sizes are compared before a byte is written, so that an archive cannot fill the disk
    file = expected.get(member.name.removeprefix("./"))
    if file is None or not member.isfile() or member.size != file.size:
        raise tarfile.ExtractError(f"it holds {member.name!r}, which is not a file of the catalogue")
    tar.extract(member, folder, filter="data")


def _download(entry: Dataset, files: list[File], folder: Path, progress: Progress) -> None:
    import pooch  # brings requests with it: half a second that only this function needs

    nowhere = [file.path for file in files if file.url is None]
    if nowhere:
        raise DataError(
            f"{entry.name}: {len(nowhere)} of {len(files)} files ({nowhere[0]}, ...) have no public address ({entry.derived})."
            f" Set MEDIDIFF_MIRROR to a folder that holds the set. Source: {entry.source.repository} at {entry.source.commit}."
        )
    pooch.get_logger().setLevel("ERROR")
    total, before = sum(file.size for file in files), 0
    for file in files:
        target = folder / file.path
        try:
            pooch.retrieve(
                entry.base_url + quote(file.url),
                known_hash=f"sha256:{file.sha256}",
                fname=target.name,
                path=target.parent,
                downloader=partial(_resume, target, file.size, lambda here, before=before: progress(before + here, total)),
            )
        except ValueError as error:
            raise DataError(
                f"{entry.name}: {file.path} arrived with other bytes than the catalogue's sha256 {file.sha256[:12]}... and was"
                f" thrown away. Run `{_command(entry.name, ())}` again; if that repeats, the source changed: set MEDIDIFF_MIRROR."
            ) from error
        before += file.size


def _resume(target: Path, size: int, progress: Callable[[int], None], url: str, output_file: str, pooch: object) -> None:
    """A downloader for pooch: what has arrived lies in `.part.{name}` until it is whole; pooch then compares the hash."""
    part = target.with_name(f".part.{target.name}")
    receive(url, part, size=size, progress=progress)
    shutil.move(part, output_file)
