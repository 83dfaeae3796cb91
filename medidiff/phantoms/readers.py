"""How readers outline the same patient differently, and the exact probability that a voxel is called tumour."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from medidiff.phantoms.anatomy import LABELS, Lesion

SIZE_SPREAD = 0.08  # standard deviation of the logarithm of a reader's radius


def median_outline(lesions: Sequence[Lesion], points: np.ndarray) -> np.ndarray:
    """Labels (n,) uint8 of the median reader: true size, and every lesion that at least half of the readers call tumour."""
    sizes, calls = np.ones(1), np.array([[lesion.probability >= 0.5 for lesion in lesions]], dtype=bool)
    return _outlines(lesions, points, sizes=sizes, calls=calls)[0]


def draw_outlines(lesions: Sequence[Lesion], points: np.ndarray, *, count: int, generator: np.random.Generator) -> np.ndarray:
    """Labels (count, n) uint8 by independent readers.

    Each reader has one size factor exp(N(0, 0.08²)) for all radii, and calls lesion l tumour with its probability.
    """
    sizes = np.exp(SIZE_SPREAD * generator.standard_normal(count))
    calls = generator.random((count, len(lesions))) < np.array([lesion.probability for lesion in lesions])
    return _outlines(lesions, points, sizes=sizes, calls=calls)


def outline_probability(lesions: Sequence[Lesion], points: np.ndarray) -> np.ndarray:
    """The exact probability (n,) that a random reader of `draw_outlines` calls each point tumour.

    With q_l the radius fraction of the point in lesion l, sorted upwards, and ρ_l the probability that l is called:

        P(y = 1) = Σ_l ρ_l Π_{m<l} (1 - ρ_m) · Φ(-ln q_l / 0.08)

    since a reader of size s includes the point exactly when some called lesion has q_l <= s.
    """
    if not lesions:
        return np.zeros(len(points))
    fractions = np.stack([lesion.solid.radius_fraction(points) for lesion in lesions]).astype(np.float64)
    order = np.argsort(fractions, axis=0)
    called = np.array([lesion.probability for lesion in lesions])[order]
    reached = ndtr(-np.log(np.maximum(np.take_along_axis(fractions, order, axis=0), 1e-9)) / SIZE_SPREAD)
    before = np.cumprod(np.vstack([np.ones((1, len(points))), 1 - called[:-1]]), axis=0)
    return (called * before * reached).sum(axis=0)


def _outlines(lesions: Sequence[Lesion], points: np.ndarray, *, sizes: np.ndarray, calls: np.ndarray) -> np.ndarray:
    labels = np.zeros((len(sizes), len(points)), dtype=np.uint8)
    for index in reversed(range(len(lesions))):  # the primary comes first in the list and wins where two touch
        inside = (lesions[index].solid.radius_fraction(points) <= sizes[:, None]) & calls[:, index : index + 1]
        labels[inside] = LABELS[lesions[index].label]
    return labels


def median_margin(lesions: Sequence[Lesion], points: np.ndarray, *, label: str) -> np.ndarray:
    """Depth (n,) mm inside the nearest lesion that the median reader calls `label`, negative outside; -1000 with none.

    Measured along the radius fraction: (1 - q) times the mean radius; its zero is the surface of `median_outline`.
    """
    margin = np.full(len(points), -1000.0)
    for lesion in lesions:
        if lesion.label == label and lesion.probability >= 0.5:
            depth = (1 - lesion.solid.radius_fraction(points)) * lesion.solid.mean_radius_mm
            margin = np.maximum(margin, depth)
    return margin
