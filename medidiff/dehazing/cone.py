"""Where the sector of a scan-converted clip lies: its apex, angles and radii, fitted to the pixels that ever show an echo."""

import math
from dataclasses import astuple, dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import minimize
from skimage.morphology import convex_hull_image

from medidiff.errors import DataError

WORK_PIXELS = 160  # along the longer side while fitting
FLICKER = 3  # grey levels by which a pixel changes where there is an echo; what a scanner writes stands still
LEAST_OVERLAP = 0.85
_ADVICE = "State it: apex, angles and radii under `cone`."


@dataclass(frozen=True)
class Cone:
    """A sector in a picture. Angles count from straight down, positive to the right; lengths in pixels.

    overlap   of the sector and the hull of the echoes, intersection over union; 1 where it was stated
    """

    apex_row: float
    apex_column: float
    left_rad: float
    right_rad: float
    near: float
    far: float
    overlap: float = 1.0


def fit_cone(frames: np.ndarray) -> Cone:
    """The sector whose pixels best agree with the convex hull of all echoes.

    frames   (frame, row, column) uint8, of the ultrasound region alone

    Echoes change from frame to frame, writing does not; one frame alone is taken as it is. Raises DataError where no sector
    covers the hull well, since a guess would bend the picture.
    """
    hull = _hull(frames)
    factor = max(1.0, max(hull.shape) / WORK_PIXELS)
    coarse = ndimage.zoom(hull.astype(np.float32), 1 / factor, order=1) > 0.5
    best = min((_fitted(coarse, start) for start in _starts(coarse)), key=lambda found: found.fun)
    overlap = 1 - float(best.fun)
    if overlap < LEAST_OVERLAP:
        raise DataError(f"the scan sector: found an overlap of {overlap:.2f}, expected {LEAST_OVERLAP} at least. {_ADVICE}")
    row, column, left, right, near, far = best.x.tolist()
    return Cone(
        *((value + 0.5) * factor - 0.5 for value in (row, column)), left, right, max(near, 0.0) * factor, far * factor, overlap
    )


def _hull(frames: np.ndarray) -> np.ndarray:
    highest = frames.max(axis=0)
    shown = (highest.astype(np.int16) - frames.min(axis=0) >= FLICKER) if len(frames) > 2 else highest >= FLICKER
    closed = ndimage.binary_opening(ndimage.binary_closing(shown, iterations=3), iterations=2)
    parts, count = ndimage.label(closed)
    if not count:
        raise DataError(f"the scan sector: found no echoes in {len(frames)} frames. {_ADVICE}")
    sizes = ndimage.sum_labels(closed, parts, np.arange(1, count + 1))
    return convex_hull_image(parts == 1 + int(np.argmax(sizes)))


def _starts(hull: np.ndarray) -> list[np.ndarray]:
    rows, columns = np.nonzero(hull)
    top, bottom = rows.min(), rows.max()
    middle = columns[rows <= top + 2].mean()
    found = []
    for lift in (0.0, 0.15, 0.4):  # how far the apex lies above the first echo, in heights
        apex = top - lift * (bottom - top)
        angles = np.arctan2(columns - middle, rows - apex + 1e-6)
        far = np.hypot(columns - middle, rows - apex).max()
        found.append(np.array([apex, middle, np.quantile(angles, 0.02), np.quantile(angles, 0.98), top - apex, far]))
    return found


def _fitted(hull: np.ndarray, start: np.ndarray):
    rows, columns = np.indices(hull.shape, dtype=np.float64)
    scale = np.array([4.0, 4.0, 0.1, 0.1, 3.0, 4.0])

    def miss(change: np.ndarray) -> float:
        cover = _cover(rows, columns, start + change * scale)
        both = (cover * hull).sum()
        return 1 - both / (cover.sum() + hull.sum() - both)

    corners = np.vstack([np.zeros(6), np.eye(6)])
    options = {"initial_simplex": corners, "maxfev": 900, "xatol": 1e-3, "fatol": 1e-6}
    found = minimize(miss, np.zeros(6), method="Nelder-Mead", options=options)
    found.x = start + found.x * scale
    return found


def _cover(rows: np.ndarray, columns: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """How much of each pixel lies in a sector, 0 to 1, from its distance to the nearest edge."""
    row, column, left, right, near, far = parameters
    down, across = rows - row, columns - column
    r = np.hypot(down, across)
    edges = [
        r - near,
        far - r,
        across * math.cos(left) - down * math.sin(left),
        down * math.sin(right) - across * math.cos(right),
    ]
    return np.clip(np.minimum.reduce(edges) + 0.5, 0, 1)


def stated(values: tuple[float, ...]) -> Cone:
    """The sector that a user states: apex row and column, left and right angle in degrees, near and far radius."""
    row, column, left, right, near, far = values
    return Cone(row, column, math.radians(left), math.radians(right), near, far)


def told(cone: Cone) -> dict[str, float]:
    """The sector as a record has it, angles in degrees."""
    row, column, left, right, near, far, overlap = astuple(cone)
    return {
        "apex_row": row,
        "apex_column": column,
        "left_deg": math.degrees(left),
        "right_deg": math.degrees(right),
        "near": near,
        "far": far,
        "overlap": overlap,
    }
