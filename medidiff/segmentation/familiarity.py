"""Whether a study looks like those that a model was trained on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medidiff.segmentation.conditioning import FILL

_MARGIN = 0.5  # of the range of the training patients, on each side, since few patients do not show the whole range


def features(channels: NDArray[np.float32], modalities: Sequence[str]) -> dict[str, float]:
    """Mean, spread and top of every channel, where it is neither air nor without uptake; 0 where nothing is.

    channels   (c, i, j, k) of `conditioning.conditions`
    returns    by name such as `pet top`, in channel units from -1 to 1; top is the 99.9th percentile
    """
    found = {}
    for name, channel in zip(modalities, channels, strict=True):
        seen = channel[channel > FILL]
        seen = seen if seen.size else np.full(1, FILL, np.float32)
        numbers = {"mean": seen.mean(dtype=float), "spread": seen.std(dtype=float), "top": np.percentile(seen, 99.9)}
        found |= {f"{name} {kind}": float(value) for kind, value in numbers.items()}
    return found


def ranges(patients: Iterable[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """For each feature the range over patients, for the card of a model."""
    rows = list(patients)
    return {name: (min(row[name] for row in rows), max(row[name] for row in rows)) for name in rows[0]}


def strange(found: Mapping[str, float], known: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """A sentence for each feature that lies further outside of the known range than half of its width.

    known   feature to low and high; a feature that it lacks is not judged
    """
    for name, value in found.items():
        if name not in known:
            continue
        low, high = known[name]
        margin = _MARGIN * (high - low)
        if not low - margin <= value <= high + margin:
            modality, kind = name.split()
            words = {"mean": "mean", "spread": "spread", "top": "99.9th percentile"}[kind]
            yield (
                f"Unlike the training's: the {words} of the {modality.upper()} is {value:.2f} in channel units, there"
                f" {low:.2f} to {high:.2f}."
            )
