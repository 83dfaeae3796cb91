"""MR volumes as a data set of BIDS derivatives, which other programs find their way in."""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medidiff.errors import ConfigError
from medidiff.io.atomic import atomic_path, write_text

BIDS_VERSION = "1.10.0"
SUFFIXES = ("T1w", "T2w", "PDw", "FLAIR", "T2starw", "PDT2", "inplaneT1", "inplaneT2")  # contrasts that BIDS knows


@dataclass(frozen=True)
class BidsVolume:
    """One reconstructed volume and what BIDS wants to know of it."""

    study: str
    method: str
    path: Path  # .nii.gz with unit mm
    suffix: str  # one of SUFFIXES
    is_skull_stripped: bool
    facts: dict  # further keys of the sidecar


def write_bids(volumes: Iterable[BidsVolume], folder: Path, *, title: str, version: str) -> list[Path]:
    """The volumes as `sub-*/anat/sub-*_rec-*_desc-recon_*.nii.gz` with their sidecars, and what describes the set.

    volumes   of MR alone: BIDS has no place for CT and ultrasound
    folder    of the data set; what is in it and not written anew stays
    title     of the data set
    version   of medidiff

    Names of studies and methods lose what BIDS forbids in labels. Raises ConfigError when two studies then have the same label,
    and for a contrast that BIDS does not know.
    """
    volumes = list(volumes)
    labels = _labels({volume.study for volume in volumes})
    generated = [{"Name": "medidiff", "Version": version, "Description": "reconstruction of k-space"}]
    described = {"Name": title, "BIDSVersion": BIDS_VERSION, "DatasetType": "derivative", "GeneratedBy": generated}
    write_text(folder / "dataset_description.json", _json(described))
    write_text(folder / "README.md", f"# {title}\n\nMR volumes reconstructed by medidiff {version}, as BIDS derivatives.\n")
    return [_write(volume, folder, labels[volume.study]) for volume in volumes]


def _write(volume: BidsVolume, folder: Path, label: str) -> Path:
    if volume.suffix not in SUFFIXES:
        raise ConfigError(f"{volume.study}: contrast {volume.suffix!r}: expected one of {', '.join(SUFFIXES)}.")
    name = f"sub-{label}_rec-{_label(volume.method)}_desc-recon_{volume.suffix}"
    path = folder / f"sub-{label}" / "anat" / f"{name}.nii.gz"
    with atomic_path(path) as temporary:
        shutil.copyfile(volume.path, temporary)
    write_text(path.with_name(f"{name}.json"), _json({"SkullStripped": volume.is_skull_stripped, **volume.facts}))
    return path


def _labels(studies: set[str]) -> dict[str, str]:
    labels = {study: _label(study) for study in sorted(studies)}
    for label in labels.values():
        same = [study for study, other in labels.items() if other == label]
        if len(same) > 1:
            raise ConfigError(f"{' and '.join(same)} have the same BIDS label, sub-{label}: rename one of them.")
    return labels


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)


def _json(content: dict) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
