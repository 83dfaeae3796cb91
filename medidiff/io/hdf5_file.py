"""New HDF5 files, all or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from medidiff.io.atomic import write_bytes


@contextmanager
def new_hdf5(path: str | Path, *, track_order: bool = False) -> Iterator[h5py.File]:
    """An empty HDF5 file, which takes its final name when the block ends without an error.

    path          final name; its folder is made when missing
    track_order   whether names keep the order in which they were made

    HDF5 ends the whole process when the disk fills up below it. So it writes to memory, and its bytes go to the disk as those of
    any other file. Raises DataError where they do not fit.
    """
    with h5py.File("new.h5", "w", driver="core", backing_store=False, track_order=track_order) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    write_bytes(path, image)
