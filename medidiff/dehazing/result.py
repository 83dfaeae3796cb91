"""What comes out of dehazing: the parts in units of the measurement, and numbers of each frame and of the clip."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medidiff.dehazing.baselines import dark_region
from medidiff.dehazing.gain import Scaled
from medidiff.dehazing.methods import Separation
from medidiff.dehazing.model import EchoModel

HTR_MARGIN_DB = 3.0  # by which an estimate may lie outside the training range before a flag is raised
TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, eq=False)
class Dehazed:
    """A clip taken apart:  y = tissue + strength haze + residual."""

    tissue: Tensor  # (frame, axial, lateral) complex64, in units of the measurement
    haze: Tensor
    residual: Tensor  # 0 for every method that keeps the measurement
    spread: Tensor | None  # (frame, axial, lateral) float32, standard deviation of the tissue over samples
    diagnostics: dict[str, object]  # numbers of the clip, `frames` of each frame, `warnings`


def in_units(y: Tensor, frames: Scaled, found: Separation, *, strength: float) -> Dehazed:
    """Means and spread over samples in units of the measurement; what was cut before the models saw it belongs to the tissue.

    Empty frames have empty parts.
    """
    filled = (y != 0).flatten(1).any(1)[:, None, None]
    tissue = frames.undone(found.tissue.mean(0) + frames.excess) * filled
    haze = frames.undone(found.haze.mean(0)) * filled
    spread = frames.undone(found.tissue.std(0)) * filled if len(found.tissue) > 1 else None
    return Dehazed(tissue, haze, y - tissue - strength * haze, spread, {})


def frame_records(result: Dehazed, frames: Scaled, first: int, *, window: int) -> list[dict[str, object]]:
    """Numbers of each frame: residual |r| / |y|, share of clipped samples, and haze over tissue as the separation has it."""
    y = frames.undone(frames.signal + frames.excess)
    dark = dark_region(y, window=window)
    records = []
    for number, (whole, rest) in enumerate(zip(y, result.residual, strict=True)):
        blood = result.haze[number][dark[number]].abs().square()
        wall = result.tissue[number][~dark[number]].abs().square()
        is_known = bool(blood.any()) and bool(wall.any())
        norm = torch.linalg.vector_norm(whole)
        records.append(
            {
                "frame": first + number,
                "residual": float(torch.linalg.vector_norm(rest) / norm.clamp(min=TINY)),
                "clipped": float(frames.clipped[number]),
                "htr_db": float(10 * torch.log10(blood.mean() / wall.mean())) if is_known else None,
                "is_empty": not bool(norm > 0),
            }
        )
    return records


def described(method: str, model: EchoModel | None) -> dict[str, object]:
    """Method and model by name, with the hash of its weights and the haze that it was trained with."""
    card = model.card if model else None
    return {
        "method": method,
        "model": card.name if card else None,
        "weights_sha256": card.weights_sha256 if card else None,
        "trained_htr_db": list(card.htr_db) if card else None,
    }


def gathered(parts: Sequence[Dehazed]) -> Dehazed:
    """The clip of consecutive results, its numbers over all frames."""
    records = [record for part in parts for record in part.diagnostics["frames"]]
    told = {name: parts[0].diagnostics[name] for name in ("method", "model", "weights_sha256", "trained_htr_db")}
    warnings = [warning for part in parts for warning in part.diagnostics["warnings"]]
    numbers = summary(records, told["trained_htr_db"])
    if numbers["out_of_range"]:
        warnings.append(
            f"The haze, {numbers['htr_db']:.1f} dB over tissue, lies outside what the model was trained with, "
            f"{told['trained_htr_db'][0]:g} to {told['trained_htr_db'][1]:g} dB."
        )
    spreads = [part.spread for part in parts]
    return Dehazed(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("tissue", "haze", "residual")),
        None if any(spread is None for spread in spreads) else torch.cat(spreads),
        told | numbers | {"frames": records, "warnings": warnings},
    )


def summary(records: Sequence[dict], trained_htr_db: Sequence[float] | None) -> dict[str, object]:
    """Numbers of a clip from those of its frames."""
    seconds = [record["seconds"] for record in records]
    htr = [record["htr_db"] for record in records if record["htr_db"] is not None]
    level = statistics.median(htr) if htr else None
    is_outside = bool(
        trained_htr_db and htr and not trained_htr_db[0] - HTR_MARGIN_DB <= level <= trained_htr_db[1] + HTR_MARGIN_DB
    )
    return {
        "network_calls": max(record["network_calls"] for record in records),
        "seconds_per_frame": statistics.median(seconds),
        "latency_p95_s": float(np.percentile(seconds, 95)),
        "frames_per_second": 1 / statistics.median(seconds),
        "residual": max(record["residual"] for record in records),
        "clipped": max(record["clipped"] for record in records),
        "htr_db": level,
        "out_of_range": is_outside,
        "empty_frames": [record["frame"] for record in records if record["is_empty"]],
        "warm_frames": sum(record["is_warm"] for record in records),
    }
