"""Training checkpoints on disk: one folder per step, whole or ignored, the newest two kept."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from medidiff.documents import json_object
from medidiff.errors import DataError
from medidiff.io.atomic import write_bytes, write_text

MANIFEST = "manifest.json"


def write_checkpoint(folder: str | Path, files: Mapping[str, bytes], *, step: int, settings: str, keep: int = 2) -> Path:
    """The folder `step-{step}` that now holds the files.

    folder     of the training run
    files      name to bytes, as `medidiff.diffusion.checkpoint.pack` gives them
    step       updates made
    settings   hash of everything that shaped the run
    keep       how many whole checkpoints stay, newest first

    The manifest with the SHA-256 of every file is written last; a folder without it, or with another file in it, is torn.
    """
    target = Path(folder) / f"step-{step:08d}"
    for name, content in files.items():
        write_bytes(target / name, content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    write_text(target / MANIFEST, json.dumps({"settings": settings, "files": hashes}, indent=1, sort_keys=True) + "\n")
    _remove_old(Path(folder), newest=step, keep=keep)
    return target


def read_checkpoint(folder: str | Path, *, settings: str) -> dict[str, bytes] | None:
    """The files of the newest whole checkpoint, or None where a run has none yet; torn ones are passed over.

    A folder without a manifest was being written when its writer was killed, and is none; it is written anew.

    settings   hash of the run that wants to go on

    Raises DataError when checkpoints exist but none is whole, or when the newest whole one is of other settings.
    """
    torn = []
    for candidate in (path for path in _steps(Path(folder)) if (path / MANIFEST).exists()):
        files, made_with = _read_whole(candidate)
        if files is None:
            torn.append(candidate.name)
        elif made_with != settings:
            raise DataError(
                f"{candidate.name} was made with settings {made_with[:8]}, these are {settings[:8]}; "
                f"restore the old settings, or train into an empty folder"
            )
        else:
            return files
    if torn:
        raise DataError(f"no whole checkpoint: {', '.join(torn)} are torn; delete them to start from step 0")
    return None


def _steps(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)


def _read_whole(folder: Path) -> tuple[dict[str, bytes] | None, str]:
    try:
        manifest = json_object((folder / MANIFEST).read_text())
        files = {name: (folder / Path(name).name).read_bytes() for name in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, ""
    is_whole = all(hashlib.sha256(files[name]).hexdigest() == digest for name, digest in manifest["files"].items())
    return (files if is_whole else None), manifest.get("settings", "")


def _remove_old(folder: Path, *, newest: int, keep: int) -> None:
    earlier = [path for path in _steps(folder) if path.name < f"step-{newest:08d}"]
    whole = [path for path in earlier if (path / MANIFEST).exists()]
    kept = set(whole[: keep - 1])
    for path in earlier:
        if path not in kept:
            shutil.rmtree(path)
