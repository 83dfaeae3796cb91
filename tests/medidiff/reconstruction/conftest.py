"""A small scan of smooth slices, and a prior whose denoiser is known in closed form."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from medidiff.diffusion.card import Card
from medidiff.io.measurement import Projections

SIZE, PIXEL_MM, SLICE_MM, WATER = 16, 4.0, 2.5, 0.0192
WINDOW = (-1000.0, 1000.0)


def smooth_hu(slices: int = 3, size: int = SIZE) -> np.ndarray:
    """Attenuation of a soft ball of tissue in air that changes a little from slice to slice, HU (slice, row, column)."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x + 1.0, 1.3 * y) / size
    shape = 1 / (1 + np.exp(40 * (radius - 0.32)))
    return np.stack([-1000 + (1000 + 30 * k) * shape + 60 * np.cos(x / 3 + k / 4) * shape for k in range(slices)])


def oblique(slice_mm: float = SLICE_MM) -> np.ndarray:
    """An affine that is turned about two axes and has slices closer than pixels."""
    a, b = 0.3, 0.2
    turn = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ np.diag([PIXEL_MM, PIXEL_MM, slice_mm])
    affine[:3, 3] = (-12.0, 7.0, 30.0)
    return affine


@pytest.fixture
def geometry():
    """views -> the geometry of a scan, as `Projections` holds it."""
    return describe


def describe(views: int, *, size: int = SIZE, beam: str = "parallel") -> dict:
    turn = math.pi if beam == "parallel" else 2 * math.pi
    found = {
        "beam": beam,
        "rows": size,
        "columns": size,
        "pixel_mm": PIXEL_MM,
        "angles_rad": [turn * view / views for view in range(views)],
        "bins": math.ceil(size * 1.5),
        "bin_mm": PIXEL_MM if beam == "parallel" else 2 * PIXEL_MM,
    }
    return found if beam == "parallel" else {**found, "source_mm": 200.0, "detector_mm": 400.0}


@pytest.fixture
def measure():
    """hu -> Projections of it, with Gaussian noise where a standard deviation is given."""
    from medidiff.reconstruction.operators import beam_of

    def make(hu: np.ndarray, *, views: int = 12, noise_std: float = 0.0, beam: str = "parallel") -> Projections:
        shape = describe(views, size=hu.shape[-1], beam=beam)
        clean = beam_of(shape).forward(torch.from_numpy(WATER * (1 + hu / 1000)).float()[:, None])[:, 0]
        if not noise_std:
            return Projections(clean.numpy(), shape, oblique())
        noisy = clean + noise_std * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
        weights = np.full(clean.shape, noise_std**-2, dtype=np.float32)
        return Projections(noisy.numpy(), shape, oblique(), weights)

    return make


@pytest.fixture
def hu() -> np.ndarray:
    return smooth_hu()


@pytest.fixture
def window_units():
    """hu -> (slice, 1, row, column) with 0 and 1 at the ends of a window."""
    return lambda hu, window=WINDOW: torch.from_numpy((hu - window[0]) / (window[1] - window[0])).float()[:, None]


@pytest.fixture(scope="session")
def card():
    """Changes -> the card of a CT prior that has no weights."""
    plain = Card(
        name="closed form",
        process="edm",
        output="x0",
        sd=0.5,
        trained_range=(0.002, 80.0),
        window=(-1000.0, 1000.0),
        units="HU",
        channels=1,
        multiple=1,
        network={},
        weights_sha256="",
        data_sha256=(),
        seed=0,
        steps=0,
        threads=1,
        versions={},
    )
    return lambda **changes: replace(plain, **changes)
