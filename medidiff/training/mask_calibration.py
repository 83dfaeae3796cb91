"""A trained mask model completed by what is measured after its training: calibration, scores, and how its studies look."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from medidiff.segmentation.calibration import Calibration
from medidiff.segmentation.familiarity import features, ranges
from medidiff.segmentation.model import MaskCard, read_card
from medidiff.segmentation.patches import Patient
from medidiff.training.mask_page import mask_page


def familiar(patients: Iterable[Patient], modalities: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """The range of each feature over the patients of a training, for the card."""
    return ranges(features(patient.condition.numpy(), modalities) for patient in patients)


def completed(
    files: Mapping[str, bytes],
    *,
    calibration: Calibration,
    familiar: Mapping[str, tuple[float, float]],
    scores: Mapping[str, object],
) -> dict[str, bytes]:
    """The files of a model with a card and a page that also tell these; the weights stay.

    scores   added to those that the card has
    """
    card = read_card(files["card.json"])
    told = replace(card, calibration=asdict(calibration), familiar=dict(familiar), scores={**card.scores, **scores})
    return {**files, "card.json": card_bytes(told), "README.md": mask_page(told).encode()}


def card_bytes(card: MaskCard) -> bytes:
    """The card as JSON, the same bytes for the same card."""
    return (json.dumps(asdict(card), indent=1, sort_keys=True) + "\n").encode()
