"""A volume on disk that is read and written a few slices at a time, so that memory does not grow with it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class SlabFile:
    """A float32 array (slice, *rest) in a scratch file; zero until it is written.

    path     of the file, made anew
    shape    of the array

    Every access maps the file, copies the slices and lets the map go: mapped pages count as memory of the process as long as the
    map exists. The file is scratch: whoever made it deletes it.
    """

    def __init__(self, path: str | Path, shape: tuple[int, ...]):
        self.path, self.shape = Path(path), shape
        with open(self.path, "wb") as file:
            file.truncate(int(np.prod(shape)) * np.dtype(np.float32).itemsize)

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """A copy of the slices from `first` to before `last`."""
        return np.array(self._map("r")[first:last])

    def write(self, first: int, values: NDArray) -> None:
        """Put slices in, from `first` on."""
        self._map("r+")[first : first + len(values)] = values

    def _map(self, mode: str) -> np.memmap:
        return np.memmap(self.path, np.float32, mode, shape=self.shape)


class SlabArray:
    """The same in memory, for volumes that fit."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape, self.array = shape, np.zeros(shape, np.float32)

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """A copy of the slices from `first` to before `last`."""
        return self.array[first:last].copy()

    def write(self, first: int, values: NDArray) -> None:
        """Put slices in, from `first` on."""
        self.array[first : first + len(values)] = values


Slabs = SlabFile | SlabArray


@dataclass(frozen=True)
class Undo:
    """What the writes of one task replaced, so that the task can be run again from where it began.

    folder   of the task's own, two levels below the slabs

    A process may end at any moment: what is replaced lies under its final name before the write begins. The machine must go on
    running, for nothing is synced.
    """

    folder: Path

    def keep(self, slabs: SlabFile, first: int, last: int) -> None:
        """Keeps the slices from `first` to before `last`, unless an earlier write of the task did."""
        kept = self.folder / f"{slabs.path.name}-{first}.npy"
        if kept.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = kept.with_suffix(f".{os.getpid()}.tmp")
        with open(temporary, "wb") as file:
            np.save(file, slabs.read(first, last))
        os.replace(temporary, kept)

    def restore(self) -> None:
        """Puts back what was replaced."""
        for kept in self.folder.glob("*.npy"):
            name, first = kept.stem.rsplit("-", 1)
            values = np.load(kept)
            with open(self.folder.parent.parent / name, "r+b") as file:
                file.seek(int(first) * values[0].nbytes)
                file.write(values.tobytes())


@contextmanager
def slab_store(*, in_memory: bool) -> Iterator[Callable[[tuple[int, ...]], Slabs]]:
    """A function shape -> slabs for the length of a block; on disk (the system's temporary folder) they are deleted after it."""
    if in_memory:
        yield SlabArray
        return
    with tempfile.TemporaryDirectory(prefix="medidiff-") as folder:
        numbers = count()
        yield lambda shape: SlabFile(Path(folder) / f"{next(numbers)}.raw", shape)
