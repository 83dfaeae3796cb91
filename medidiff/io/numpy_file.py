"""Arrays in .npy files of strangers, never unpickled."""

from pathlib import Path
from tokenize import TokenError

import numpy as np

from medidiff.errors import DataError

# what the parser of the header raises
BROKEN = (OSError, ValueError, EOFError, SyntaxError, TypeError, MemoryError, RecursionError, TokenError, KeyError)


def map_array(path: Path) -> np.ndarray:
    """The one array of a .npy file, still on the disk. Raises DataError for archives, objects and damaged files."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except BROKEN as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path.name}: not readable as one NumPy array ({reason}). Save it with numpy.save.") from error
    if not isinstance(mapped, np.ndarray):
        raise DataError(f"{path.name}: found an archive of arrays, expected one array. Save it with numpy.save.")
    return mapped
