"""What a reader of a result should know of its measurement."""

from collections.abc import Iterator

import torch

from medidiff.reconstruction.operators import Scan

EVEN = 0.01  # relative difference of slice and pixel distance that still counts as equal
BORDER = 0.05  # of the largest line integral, above which an object is seen to leave the field of view


def doubts(scan: Scan) -> Iterator[str]:
    """A sentence for each thing that limits what a reconstruction can say."""
    if len(scan.y) == 1:
        yield "There is one slice: the coupling of slices is off."
    elif abs(scan.slice_ratio - 1) > EVEN:
        yield (
            f"Slices are {1 / scan.slice_ratio:.3g} times as far apart as pixels: the threshold between slices of nadds is "
            f"multiplied by {scan.slice_ratio:.3g}."
        )
    if scan.operator.trusted is not None:
        yield f"{float((scan.operator.trusted == 0).float().mean()):.2%} of the rays were not measured and are left out."
    if not scan.operator.is_complex and _leaves_view(scan):
        yield "Rays at the edge of the detector are not empty: the object may exceed the field of view."


def _leaves_view(scan: Scan) -> bool:
    profile = scan.y.mean(dim=tuple(range(scan.y.ndim - 1)))
    return float(torch.maximum(profile[0], profile[-1])) > BORDER * float(profile.max())
