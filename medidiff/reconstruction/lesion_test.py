"""Whether a solver erases lesions or paints them: the same patient with and without one, measured with the same noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.stats import mannwhitneyu

RING = 3  # voxels around a lesion that are its background

Reconstruct = Callable[[np.ndarray, int], np.ndarray]  # (true volume, noise seed) -> reconstruction on the grid of the masks


@dataclass(frozen=True, eq=False)
class Pair:
    """One patient twice. Volumes may be finer than the masks, if `reconstruct` takes that."""

    present: np.ndarray  # true volume with the lesion
    absent: np.ndarray  # and without
    mask: np.ndarray  # (slice, row, column) bool, where the lesion is
    contrast: float  # mean of present - absent over the mask, unit of the volumes
    seed: int  # of the noise of both


@dataclass(frozen=True)
class Response:
    """What a solver made of one pair, unit of the volumes."""

    present: float  # lesion minus ring, where there is a lesion
    absent: float  # the same place of the same patient without
    recovery: float  # (mean of the reconstructions' difference over the mask) / contrast


@dataclass(frozen=True)
class LesionTest:
    """What a solver makes of lesions; 0.5 and 0 are a solver that erases them all, 1 and 1 a perfect one."""

    auc: float  # that a lesion's place looks more like one than the same kind of place without
    recovery: float  # mean share of the contrast that is left
    low: float  # 95 % of single lesions recover between these, at most
    high: float
    painted: float  # largest |contrast| of places without a lesion over the mean contrast of lesions
    pairs: int


def respond(pair: Pair, reconstruct: Reconstruct) -> Response:
    """Both reconstructions of a pair, seen through the known place of its lesion."""
    present, absent = (reconstruct(volume, pair.seed) for volume in (pair.present, pair.absent))
    ring = ndimage.binary_dilation(pair.mask, iterations=RING) & ~ndimage.binary_dilation(pair.mask)
    contrast = lambda volume: float(volume[pair.mask].mean() - volume[ring].mean())
    recovery = float((present - absent)[pair.mask].mean()) / pair.contrast
    return Response(contrast(present), contrast(absent), recovery)


def lesion_test(pairs: Sequence[Pair], responses: Sequence[Response]) -> LesionTest:
    """Detection and recovery over many pairs.

    pairs, responses   one for each other, from `respond`

        auc = P(present_i sign > absent_j sign) + P(equal)/2 over all i, j      (Mann and Whitney 1947)

    with the sign of each lesion's contrast, so that dark lesions count as bright ones do. An observer who knows the place.
    """
    signs = np.sign([pair.contrast for pair in pairs])
    present, absent = (signs * [getattr(one, name) for one in responses] for name in ("present", "absent"))
    recovery = np.array([one.recovery for one in responses])
    low, high = np.quantile(recovery, (0.025, 0.975))
    auc = mannwhitneyu(present, absent).statistic / len(responses) ** 2
    usual = np.mean(np.abs([pair.contrast for pair in pairs]))
    return LesionTest(
        float(auc), float(recovery.mean()), float(low), float(high), float(np.abs(absent).max() / usual), len(pairs)
    )
