"""Made chromatograms of the paper's five aromatics (Cabrera-Codony et al. 2024, Tables 1 and 3) with known truth."""

from types import SimpleNamespace

import pytest
import torch

from physics.chromatography.chromatogram import chromatogram
from physics.chromatography.peaks import Peaks

ANALYTES = ("o-xylene", "m/p-xylene", "ethylbenzene", "toluene", "benzene")


@pytest.fixture(scope="session")
def btex():
    """Times every 0.5 s, the peaks, their areas as the paper converted them, and the curve on a sloping baseline."""
    adsorption = torch.tensor([[10168.0, 6483.0, 9203.0, 2953.0, 579.0]], dtype=torch.float64)
    desorption = torch.tensor([[14.291, 11.057, 16.940, 11.502, 5.299]], dtype=torch.float64)
    peaks = Peaks(2 / 90 * adsorption / desorption, desorption, 34.18, 4.0)
    times = torch.arange(0, 800, 0.5, dtype=torch.float64)
    detector = torch.tensor([1.8708, 2 * 2.5557, 2.0356, 3.3584, 4.1997], dtype=torch.float64)
    areas = detector * 1e8 * 2.732e-6 * 4.0 * 1.013 / 4.01
    baseline = 3935.4 - 0.02 * times
    clean = chromatogram(times, peaks, areas.unsqueeze(0))[0] + baseline
    noise = 0.01 * float((clean - baseline).max())
    return SimpleNamespace(
        analytes=ANALYTES,
        times=times,
        peaks=peaks,
        areas=areas,
        baseline=baseline,
        clean=clean,
        noise=noise,
        noisy=_noisy(clean, noise),
    )


@pytest.fixture(scope="session")
def start(btex):
    """A first guess: retention off by a third of a peak's width, rates by 25 %."""
    shift = torch.tensor([[1.004, 0.995, 1.003, 0.99, 1.02]], dtype=torch.float64)
    rates = torch.tensor([[1.25, 0.8, 0.75, 1.3, 0.8]], dtype=torch.float64)
    return Peaks(btex.peaks.retention * shift, btex.peaks.desorption * rates, 34.18, 4.0)


def _noisy(clean, noise):
    """A function of a seed and a count: the curve with white noise, (time,) or (count, time)."""

    def draw(seed: int, count: int | None = None):
        generator = torch.Generator().manual_seed(seed)
        shape = clean.shape if count is None else (count, *clean.shape)
        return clean + noise * torch.randn(shape, dtype=torch.float64, generator=generator)

    return draw
