"""What a mutation is and what must come of it; and the mutations of bytes, which fit every file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Random = np.random.Generator

# what must come of a reading, in every case without a crash, a hang or more memory than is allowed
ANY = "any"  # refused, or read: the file may still be a valid one that says something else
PLACED = "placed"  # refused, or read with every voxel where it was
EQUAL = "equal"  # refused, or read as the original
REFUSED = "refused"
READ = "read"  # as the original: what was changed means nothing


@dataclass(frozen=True)
class Mutation:
    """One way to change a folder in place."""

    name: str
    expect: str
    change: Callable[[Path, Random], None]


def files_of(folder: Path) -> list[Path]:
    """The files below a folder, by name."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def of_bytes(expect: str) -> list[Mutation]:
    """Damage to one file, whatever its format."""
    edits = (flip, flip_early, cut, cut_a_little, lie, splice, digits, zero, repeat, append)
    return [Mutation(edit.__name__, expect, _in_one_file(edit)) for edit in edits]


def of_folders() -> list[Mutation]:
    """What may lie beside or in the place of a file."""
    return [
        Mutation("empty file", ANY, lambda folder, random: _one_file(folder, random).write_bytes(b"")),
        Mutation("zeros", ANY, lambda folder, random: _one_file(folder, random).write_bytes(bytes(5000))),
        Mutation("page of HTML", ANY, lambda folder, random: _one_file(folder, random).write_bytes(b"<html><script>" * 40)),
        Mutation("missing file", ANY, lambda folder, random: _one_file(folder, random).unlink()),
        Mutation("folder in place of a file", ANY, _folder_in_place),
    ]


def _one_file(folder: Path, random: Random) -> Path:
    files = files_of(folder)
    return files[random.integers(len(files))]


def _in_one_file(edit: Callable[[bytearray, Random], bytes]) -> Callable[[Path, Random], None]:
    def change(folder: Path, random: Random) -> None:
        path = _one_file(folder, random)
        content = bytearray(path.read_bytes())
        path.write_bytes(edit(content, random) if len(content) > 16 else b"")

    return change


def _folder_in_place(folder: Path, random: Random) -> None:
    path = _one_file(folder, random)
    path.unlink()
    path.mkdir()


def flip(content: bytearray, random: Random) -> bytes:
    """One to three bits anywhere."""
    for at in random.integers(0, len(content), random.integers(1, 4)):
        content[at] ^= 1 << random.integers(8)
    return bytes(content)


def flip_early(content: bytearray, random: Random) -> bytes:
    """One to three bits among the first two thousand bytes, where headers are."""
    for at in random.integers(0, min(len(content), 2000), random.integers(1, 4)):
        content[at] ^= 1 << random.integers(8)
    return bytes(content)


def cut(content: bytearray, random: Random) -> bytes:
    """The file ends somewhere."""
    return bytes(content[: random.integers(1, len(content))])


def cut_a_little(content: bytearray, random: Random) -> bytes:
    """The last bytes are lost."""
    return bytes(content[: -int(random.integers(1, 16))])


def lie(content: bytearray, random: Random) -> bytes:
    """Two to eight bytes, as a length or a shape is, become very large or zero."""
    at, width = random.integers(0, min(len(content), 4000) - 8), random.choice([2, 4, 8])
    content[at : at + width] = random.choice([b"\xff" * 8, b"\0" * 8, b"\xfe\xff\xff\x7f" * 2])[:width]
    return bytes(content)


def splice(content: bytearray, random: Random) -> bytes:
    """A piece is lost or stands twice."""
    start, stop = np.sort(random.integers(0, len(content), 2))
    return bytes(content[:start] + content[stop:] if random.integers(2) else content[:stop] + content[start:])


def digits(content: bytearray, random: Random) -> bytes:
    """Another digit in one of the numbers that are text."""
    places = [k for k in range(min(len(content), 20000)) if 48 <= content[k] <= 57]
    if places:
        content[random.choice(places)] = 48 + int(random.integers(10))
    return bytes(content)


def zero(content: bytearray, random: Random) -> bytes:
    """A block was never written."""
    at = int(random.integers(0, len(content)))
    content[at : at + 512] = bytes(len(content[at : at + 512]))
    return bytes(content)


def repeat(content: bytearray, random: Random) -> bytes:
    """The file stands twice."""
    return bytes(content + content)


def append(content: bytearray, random: Random) -> bytes:
    """Something else follows."""
    return bytes(content) + random.bytes(int(random.integers(1, 3000)))
