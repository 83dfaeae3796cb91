"""Writing a folder that is all or nothing: a temporary name beside it, fsync, then rename."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.atomic import is_running, sync


@contextmanager
def atomic_folder(path: str | Path, *, pattern: str) -> Iterator[Path]:
    """An empty temporary folder to fill; it takes the final name when the block ends without an error.

    path      final name; its parent is made when missing
    pattern   of the files that an earlier run may have left there, which are replaced together, as in "*.dcm"
    yields    `.tmp.{host}.{pid}.{name}` beside it

    Raises DataError when the final folder holds anything else, so that nothing of a stranger is ever removed, or when the disk
    is full; the temporary folder is removed then, and on any other error.
    """
    path = Path(path)
    strange = sorted(entry.name for entry in path.iterdir() if not entry.match(pattern)) if path.is_dir() else []
    if strange or (path.exists() and not path.is_dir()):
        found = ", ".join(strange[:3]) or "a file"
        raise DataError(f"{path}: holds {found}, expected nothing, or {pattern} alone to replace. Name another folder.")
    with replaced_folder(path, advice="Free some space and run it again.") as temporary:
        yield temporary


@contextmanager
def replaced_folder(path: Path, *, advice: str) -> Iterator[Path]:
    """An empty temporary folder as of `atomic_folder`, for a final folder whose content the caller has looked at.

    advice   end of the DataError for a disk that is full or a place that cannot be written
    """
    _remove_orphans(path, ".tmp.")
    mark = f"{socket.gethostname()}.{os.getpid()}.{path.name}"
    temporary, former = path.with_name(f".tmp.{mark}"), path.with_name(f".old.{mark}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for entry in [*temporary.iterdir(), temporary]:
            sync(entry)
        if path.exists():
            os.replace(path, former)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        raise DataError(f"{path}: could not be written ({error.strerror or error}). {advice}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if path.exists():
            shutil.rmtree(former, ignore_errors=True)
            _remove_orphans(path, ".old.")


def _remove_orphans(path: Path, kind: str) -> None:
    """What writers of this folder left behind when they were killed on this machine goes; what others still write stays."""
    start = f"{kind}{socket.gethostname()}."
    for orphan in path.parent.glob(f"{escape(start)}*.{escape(path.name)}"):
        writer = orphan.name.removeprefix(start).removesuffix(f".{path.name}")
        if writer.isdigit() and not is_running(int(writer)):
            shutil.rmtree(orphan, ignore_errors=True)
