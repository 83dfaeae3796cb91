"""Under which conditions samples were made: what a calibration of their spread must share with a result."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medidiff.io.measurement import KSpace, Projections
from medidiff.io.volume import Volume
from medidiff.metrics.attenuation import body_mask
from medidiff.reconstruction.intervals import Calibration, Spread, calibrate, interval, volume_scores
from medidiff.reconstruction.methods import solver_of
from medidiff.reconstruction.settings import ReconstructSettings

FLOOR_HU = 5.0  # added to the spread, so that voxels in which all samples agree do not decide
BODY_SHARE = 0.05  # of the largest magnitude, from which on a voxel of MRI counts


def conditions_of(
    measurement: Projections | KSpace, settings: ReconstructSettings, *, method: str, prior: Sequence[str]
) -> dict[str, Any]:
    """What must be alike for a calibration to speak for a result: solver, samples, prior, geometry and noise.

    method   of the samples; where `auto` chose, the one it chose
    prior    SHA-256 of the files of the prior, in the order of their names
    """
    solver = solver_of(settings, method)
    common = {
        "method": method,
        "samples": settings.samples,
        "solver": solver.model_dump(mode="json") if solver is not None else {},
        "window_hu": list(settings.window_hu),
        "patch": settings.patch,
        "prior": list(prior),
        "spacing_mm": [round(d, 3) for d in measurement.grid.spacing_mm],
        "shape": list(measurement.grid.shape[:2]),
    }
    return json.loads(json.dumps(common | _acquisition(measurement)))  # tuples as a file gives them back


def half_width(spread: Volume, calibration: Calibration, *, level: float) -> Volume:
    """Half of the interval of this level around each voxel. DataError where the level needs more calibration volumes."""
    zero = np.zeros_like(spread.array, dtype=np.float64)
    _, high = interval(Spread(zero, spread.array.astype(np.float64), 2), calibration, level=level)
    return spread.with_array(high.astype(np.float32))


def calibrate_volumes(
    volumes: Sequence[tuple[Volume, Volume, Volume]], conditions: Mapping[str, Any], *, kind: str
) -> Calibration:
    """The calibration of (mean, spread, truth) of volumes that were all made under these conditions."""
    floor = FLOOR_HU if kind == "ct" else 0.0
    scores = []
    for mean, spread, truth in volumes:
        arrays = [each.array.astype(np.float64).transpose(2, 1, 0) for each in (mean, spread, truth)]
        body = body_mask(arrays[2]) if kind == "ct" else arrays[2] > BODY_SHARE * arrays[2].max()
        scores.append(volume_scores(Spread(*arrays[:2], 2), arrays[2], floor=floor, body=body))
    return calibrate(scores, floor=floor, conditions=conditions)


def _acquisition(measurement: Projections | KSpace) -> dict[str, Any]:
    if isinstance(measurement, Projections):
        geometry = dict(measurement.geometry)
        angles = np.asarray(geometry.pop("angles_rad"))
        arc = {"views": len(angles), "arc_rad": [round(float(angle), 6) for angle in (angles[0], angles[-1])]}
        return {"geometry": {name: geometry[name] for name in sorted(geometry)} | arc, "noise": _noise(measurement)}
    acceleration = round(measurement.mask.size / int(measurement.mask.sum()), 2)
    lines = {"acceleration": acceleration, "calibration_lines": measurement.calibration_lines}
    return {"geometry": lines | {"coils": measurement.samples.shape[1]}, "noise": _noise(measurement)}


def _noise(measurement: Projections | KSpace) -> Any:
    """What the provenance says of it; the estimate of one measurement would differ from patient to patient."""
    facts = measurement.provenance
    return {name: facts[name] for name in ("photons", "electronic_std", "noise") if name in facts}
