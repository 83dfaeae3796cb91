"""Whether files under final names are whole, whatever their format."""

import gzip
import json
from pathlib import Path

import h5py
import pydicom
from PIL import Image


def check(path: Path) -> None:
    """Raises when a file is not whole."""
    if path.suffix == ".gz":
        with gzip.open(path) as stream:  # compares the checksum at the end
            while stream.read(1 << 20):
                pass
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".dcm":
        header = pydicom.dcmread(path)
        if header.Modality != "RTSTRUCT":
            assert len(header.PixelData) >= header.Rows * header.Columns // 8
    elif path.suffix in (".h5", ".hdf5"):
        with h5py.File(path) as file:
            file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
    elif path.suffix == ".gif":
        with Image.open(path) as picture:
            picture.seek(picture.n_frames - 1)
            picture.load()
    elif path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>")


def unreadable(folder: Path) -> list[str]:
    """Files under final names that are not whole."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith((".tmp.", ".old.", ".snakemake")) for part in path.parts):
            try:
                check(path)
            except Exception as error:
                found.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    return found
