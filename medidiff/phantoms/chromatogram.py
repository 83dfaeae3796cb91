"""A digital chromatogram: five aromatics at the parameters of Cabrera-Codony et al. (2024), written as an instrument's file."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from medidiff.io.atomic import write_text
from medidiff.io.chromatogram.andi import write_andi
from medidiff.io.chromatogram.csvfile import write_csv
from medidiff.io.chromatogram.trace import Chromatogram
from medidiff.phantoms.identity import random_stream
from medidiff.phantoms.trace_settings import ChromatogramPhantom
from physics.chromatography.chromatogram import chromatogram
from physics.chromatography.column import Capillary, hold_up_factor
from physics.chromatography.peaks import Peaks

# the paper's Table 1
COLUMN = Capillary(length=20.0, radius=9e-5, film=1e-6, inlet_pressure=4.01e5, outlet_pressure=1.013e5, viscosity=2.3e-5)
VELOCITY = 0.41  # u0, m/s
INJECTION = 4.0  # t1, s
CONCENTRATION = 2.732e-6  # c0, mol/m3: 20 ppb
BASELINE = 3935.4  # arbitrary units
# the paper's Table 3: ka (1/s), kd (1/s), response (arbitrary units per mol/m3), feed in units of c0; in order of elution
AROMATICS = {
    "benzene": (579.0, 5.299, 4.1997e8, 1.0),
    "toluene": (2953.0, 11.502, 3.3584e8, 1.0),
    "ethylbenzene": (9203.0, 16.940, 2.0356e8, 1.0),
    "m/p-xylene": (6483.0, 11.057, 2.5557e8, 2.0),
    "o-xylene": (10168.0, 14.291, 1.8708e8, 1.0),
}


def hold_up_time() -> float:
    """tM at the quoted velocity, s."""
    return hold_up_factor(COLUMN.pressure_ratio) * COLUMN.length / VELOCITY


def true_peaks(settings: ChromatogramPhantom) -> tuple[Peaks, torch.Tensor]:
    """The peaks and their areas (1, component), arbitrary units · s.

    area = f c0 t1 pL/p0, what a concentration detector behind the column sees
    """
    adsorption, desorption, response, feed = torch.tensor(list(AROMATICS.values()), dtype=torch.float64).T.unsqueeze(1)
    peaks = Peaks(
        COLUMN.phase_ratio * adsorption / desorption,
        desorption,
        hold_up_time(),
        INJECTION,
        tailing=settings.tailing_s,
        delay=settings.delay_s,
    )
    return peaks, settings.amount * response * feed * CONCENTRATION * INJECTION * COLUMN.pressure_ratio


def make_chromatogram(settings: ChromatogramPhantom) -> Chromatogram:
    """The record of the detector: peaks, baseline, drift and white noise."""
    times = settings.step_s * np.arange(round(settings.until_s / settings.step_s) + 1)
    peaks, areas = true_peaks(settings)
    signal = chromatogram(torch.from_numpy(times), peaks, areas=areas)[0].numpy()
    highest = float(signal.max())
    noise = settings.noise * highest * random_stream(settings.seed, "detector").standard_normal(len(times))
    return Chromatogram(times, BASELINE + settings.drift * highest * times / times[-1] + signal + noise, "a.u.", "digital PID")


def write_chromatogram(settings: ChromatogramPhantom, folder: Path) -> dict:
    """The instrument's file and `manifest.json`, which is written last; returns the manifest.

    folder   `chromatogram.cdf` or `chromatogram.csv`, by the settings' format
    """
    path = Path(folder) / settings.file
    made = make_chromatogram(settings)
    if settings.format == "andi":
        write_andi(path, made)
    else:
        write_text(path, write_csv(made))
    peaks, areas = true_peaks(settings)
    truth = {
        name: {"retention": k, "desorption_per_s": kd, "area": area}
        for name, k, kd, area in zip(AROMATICS, peaks.retention[0].tolist(), peaks.desorption[0].tolist(), areas[0].tolist())
    }
    manifest = {
        "settings": settings.model_dump(mode="json"),
        "hold_up_s": hold_up_time(),
        "truth": truth,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()},
    }
    write_text(Path(folder) / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest
