"""Writing that is all or nothing: a temporary name in the same folder, fsync, then rename."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from medidiff.errors import DataError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to; it takes the final name when the block ends without an error.

    path      final name; its folder is made when missing
    yields    `.tmp.{host}.{pid}.{name}` in the same folder, so that rename is atomic and the suffix stays readable

    Raises DataError when the disk is full or the folder cannot be written; the temporary file is removed then, and
    on any other error. Two writers of one final name never mix: each has its own temporary file and the last rename wins.
    What writers of this name left behind when they were killed on this machine is removed first.
    """
    path = Path(path)
    temporary = path.with_name(f".tmp.{socket.gethostname()}.{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(path)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync(path.parent)  # the rename itself survives a power cut only when the folder is synced too
    except OSError as error:
        _remove(temporary)
        raise DataError(f"{path}: could not be written ({error.strerror or error}). {_free_space(path.parent)}") from error
    except BaseException:
        _remove(temporary)
        raise


def write_bytes(path: str | Path, content: bytes) -> None:
    """The bytes under the final name, or nothing there."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """The text, as UTF-8, under the final name, or nothing there."""
    write_bytes(path, content.encode())


def _remove(temporary: Path) -> None:
    with suppress(OSError):
        temporary.unlink()


def _remove_orphans(path: Path) -> None:
    start = f".tmp.{socket.gethostname()}."
    for orphan in path.parent.glob(f"{escape(start)}*.{escape(path.name)}"):
        writer = orphan.name.removeprefix(start).removesuffix(f".{path.name}")
        if writer.isdigit() and not is_running(int(writer)):
            _remove(orphan)


def is_running(process: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def sync(path: Path) -> None:
    """Nothing, once the file or folder is on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_space(folder: Path) -> str:
    try:
        free = os.statvfs(folder)
    except OSError:
        return "The folder does not exist or cannot be read."
    return f"{free.f_bavail * free.f_frsize / 1e6:.1f} MB are free there; free some space and run the same command again."
