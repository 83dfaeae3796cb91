"""Everything that a file says, also what is packed: the bytes themselves, and what gzip, zip, HDF5, PNG and HTML hold inside."""

import base64
import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np


def contents(path: Path) -> Iterator[bytes]:
    """The name of a file, its bytes, and whatever can be unpacked of them."""
    yield path.name.encode()
    yield from _inside(path.read_bytes())
    if h5py.is_hdf5(path):
        yield from _hdf5(path)


def _inside(content: bytes) -> Iterator[bytes]:
    yield content
    if content[:2] == b"\x1f\x8b":
        yield from _inside(gzip.decompress(content))
    if content[:2] == b"PK" and zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for member in archive.infolist():
                yield member.filename.encode()
                yield from _inside(archive.read(member))
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        for chunk in re.finditer(rb"(?:zTXt|iTXt)[^\0]{1,79}\0\0?", content):
            try:
                yield zlib.decompressobj().decompress(content[chunk.end() :], 1 << 20)
            except zlib.error:
                continue
    for encoded in re.finditer(rb"base64,([A-Za-z0-9+/=]{40,})", content):
        yield from _inside(base64.b64decode(encoded[1] + b"=" * (-len(encoded[1]) % 4)))


def _hdf5(path: Path) -> Iterator[bytes]:
    found: list[bytes] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        found.append(name.encode())
        found.extend(f"{key} {value!r}".encode() for key, value in item.attrs.items())
        if isinstance(item, h5py.Dataset):
            values = item[()]
            found.append(values.tobytes() if isinstance(values, np.ndarray | np.generic) else repr(values).encode())

    with h5py.File(path) as file:
        found.extend(f"{key} {value!r}".encode() for key, value in file.attrs.items())
        file.visititems(visit)
    yield from found


def holds(path: Path, words: list[str]) -> list[str]:
    """Those of the words that a file holds, in whatever letters and in UTF-8 or UTF-16."""
    everything = [content.lower() for content in contents(path)]
    spelt = {word: [word.lower().encode(kind) for kind in ("utf-8", "utf-16-le", "utf-16-be")] for word in words}
    return [word for word, forms in spelt.items() if any(form in content for content in everything for form in forms)]
