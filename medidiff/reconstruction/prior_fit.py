"""Whether a prior may speak of a scan: the same window, unit and channels, and slices that its network can take."""

from collections.abc import Sequence

from medidiff.diffusion.card import Card, check_window
from medidiff.errors import DataError
from medidiff.reconstruction.operators import Scan


def check_prior(card: Card, scan: Scan, window_hu: Sequence[float]) -> None:
    """DataError, with what was found and expected, unless the prior was trained on images like those of the scan.

    window_hu   on which CT is reconstructed; MR images bring their own scale
    """
    channels, kind = (2, "complex MR") if scan.operator.is_complex else (1, "CT")
    if card.channels != channels:
        advice = "real images" if card.channels == 1 else f"{card.channels} channels"
        raise DataError(
            f"prior {card.name} was trained on {advice}, {kind} images have {channels} "
            f"channel{'s' if channels > 1 else ''}; found {card.channels}, expected {channels}. Choose another prior."
        )
    if not scan.operator.is_complex:
        check_window(card, window_hu, "HU")


def check_patch(card: Card, patch: int) -> None:
    """DataError unless patches of this edge, 0 for whole slices, are a multiple of what the network needs."""
    if patch % card.multiple:
        raise DataError(
            f"patch: found {patch}, expected a multiple of {card.multiple} for prior {card.name}. "
            f"Use {patch + -patch % card.multiple}."
        )
