"""A generated ultrasound scan as a file: IQ in the layout of zea, and its truth beside it, where only a judge looks."""

import hashlib
import json
from pathlib import Path

from medidiff.io.atomic import write_text
from medidiff.io.ultrasound.recording import Recording, Sector
from medidiff.io.ultrasound.zea import write_zea
from medidiff.phantoms.echo import draw_echo
from medidiff.phantoms.recording_settings import FILE, EchoPhantom


def write_scan(settings: EchoPhantom, folder: Path) -> dict:
    """`scan.hdf5` and `manifest.json`, which is written last; returns the manifest.

    The file holds y = x + h + n as beamformed IQ, and under `/medidiff` x, h, n and labels: 1 myocardium, 2 ventricle.
    """
    echo = draw_echo(
        settings.seed,
        family=settings.family,
        htr_db=settings.htr_db,
        frames=settings.frames,
        shape=(settings.ranges, settings.lines),
    )
    grid, hz = echo.grid, echo.frequencies
    recording = Recording(
        echo.y.numpy(),
        "iq",
        Sector(grid.first_range_m, grid.range_step_m, grid.first_angle_rad, grid.angle_step_rad),
        sampling_hz=hz.sampling_hz,
        centre_hz=hz.centre_hz,
        demodulation_hz=hz.demodulation_hz,
        sound_speed=hz.sound_speed,
        frame_rate_hz=hz.frame_rate_hz,
        facts={"format": "generated", "seed": settings.seed, "family": settings.family, "htr_db": float(echo.htr_db)},
    )
    path = Path(folder) / FILE
    truth = {"x": echo.x.numpy(), "h": echo.h.numpy(), "n": echo.n.numpy(), "labels": echo.labels.numpy()}
    write_zea(recording, path, extras=truth)
    manifest = {
        "settings": settings.model_dump(mode="json"),
        "htr_db": float(echo.htr_db),
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()},
    }
    write_text(Path(folder) / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest
