"""Results of single reconstructions, each computed once and kept in a folder that git ignores."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reconstruction_cases import CASES, SLICES, SOURCES, WINDOW_HU, LesionStudy, Study
from benchmarks.record import clock
from medidiff.acquisition.settings import RESULT_VERSION as MEASURED
from medidiff.diffusion.prior import Prior, assemble_prior
from medidiff.errors import NumericsError
from medidiff.io.atomic import write_text
from medidiff.io.prior_files import read_prior
from medidiff.metrics.attenuation import body_mask, hu_errors
from medidiff.metrics.image import PLANES, psnr, ssim_wang
from medidiff.metrics.roughness import tvz_ratio
from medidiff.reconstruction.intervals import coverage, spread, volume_scores
from medidiff.reconstruction.lesion_test import Response, respond
from medidiff.reconstruction.settings import NEED_PRIOR, RESULT_VERSION, ReconstructSettings
from medidiff.reconstruction.task import Reconstruction, reconstruct

MODELS = Path(__file__).parents[1] / "models"
FOLDER = Path(__file__).parents[1] / "benchmarks_run" / "reconstruction"
USED = {"tv": ("tv", "heldout"), "auto": ("tv", "heldout", "nadds")}  # sections of the settings
FLOOR_HU = 5.0  # added to the spread of samples


@dataclass(frozen=True)
class Runs:
    """Runs reconstructions with one budget of network calls and remembers what came out.

    calls     of the network per slice and sample
    """

    calls: int = 50
    priors: dict[str, tuple[Prior, str]] = field(default_factory=dict, repr=False)

    def result(self, study: Study, case: str, method: str, *, samples: int = 1, **changes: Any) -> dict[str, Any]:
        """Quality, cost and calibration scores of one reconstruction, from the folder where it is there already.

        changes   weight, iterations: of total variation; prior: another than the source's; calls: another budget than usual

        Only `failed` where the numbers left the range in which they mean something.
        """
        settings = self._settings(study, method, samples, **changes)
        path = FOLDER / f"{self._key(study, case, method, settings)}.json"
        return _kept(path, lambda: self._compute(study, case, method, settings))

    def response(self, nodule: LesionStudy, case: str, method: str, *, samples: int = 1) -> Response:
        """What a method makes of a chest with and without its nodule."""
        study = Study("phantom", nodule.number)
        settings = self._settings(study, method, samples)
        prior = self._prior(settings.prior)[0] if settings.prior else None

        def solve(fine: np.ndarray, seed: int) -> np.ndarray:
            measurement = nodule.measure(fine, case, seed)
            return reconstruct(measurement, method=method, prior=prior, settings=settings).volume.array.transpose(2, 1, 0)

        path = FOLDER / f"lesion-{self._key(study, case, method, settings)}.json"
        return Response(**_kept(path, lambda: asdict(respond(nodule.pair(), solve))))

    def _settings(self, study: Study, method: str, samples: int, **changes: Any) -> ReconstructSettings:
        prior = changes.pop("prior", SOURCES[study.source].prior)
        prior = prior if method in {*NEED_PRIOR, "auto"} else None
        calls = changes.pop("calls", self.calls)
        steps = {name: {"steps": calls} for name in ("nadds", "dds", "reddiff")}
        steps["mbir"] = {"steps": max(2, calls // 2)}  # two calls each
        values = {"methods": [method], "prior": prior, "window_hu": WINDOW_HU, "samples": samples, "seed": study.number}
        return ReconstructSettings.model_validate({**values, **steps, "tv": changes})

    def _key(self, study: Study, case: str, method: str, settings: ReconstructSettings) -> str:
        """Names all that the result depends on."""
        used = {
            name: getattr(settings, name).model_dump()
            for name in (*USED.get(method, (method,)), "iterative", "fbp")
            if hasattr(settings, name)
        }
        weights = self._prior(settings.prior)[1] if settings.prior else None
        kind = (study.source, SLICES[study.source], study.number)
        parts = (MEASURED, RESULT_VERSION, *kind, CASES[case].model_dump(), method, used, settings.samples)
        digest = hashlib.blake2b(repr((*parts, settings.seed, weights)).encode(), digest_size=8).hexdigest()
        return f"{study.source}-{study.number}-{method}-{digest}"

    def _compute(self, study: Study, case: str, method: str, settings: ReconstructSettings) -> dict[str, Any]:
        measurement, truth = study.measure(case)
        prior = self._prior(settings.prior)[0] if settings.prior else None
        begin = clock()
        try:
            found = reconstruct(measurement, method=method, prior=prior, settings=settings)
        except NumericsError as error:
            return {"failed": str(error)}
        seconds, numbers = clock() - begin, _scored(found, truth)
        if "first" in numbers:
            numbers["first"]["seconds"] = seconds / settings.samples
        return {"seconds": seconds, **numbers}

    def _prior(self, name: str) -> tuple[Prior, str]:
        """The prior and a digest of its files."""
        if name not in self.priors:
            files = read_prior(MODELS / name)
            digest = hashlib.blake2b(b"".join(files[key] for key in sorted(files)), digest_size=8).hexdigest()
            self.priors[name] = assemble_prior(files), digest
        return self.priors[name]


def _kept(path: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the file holds, computed and written where there is none."""
    if not path.exists():
        write_text(path, json.dumps(compute()) + "\n")
    return json.loads(path.read_text())


def _scored(found: Reconstruction, truth: np.ndarray) -> dict[str, Any]:
    """Numbers of the volume; of its samples how they spread, and as `first` the numbers of one alone."""
    body, calls = body_mask(truth), found.numbers["network_calls"]
    numbers = _beside(found.volume.array.transpose(2, 1, 0), truth, body) | {"calls": calls, "chi2": found.numbers["chi2"]}
    numbers |= {"chosen": found.numbers.get("chosen"), "tv_weight": found.numbers.get("tv_weight")}
    if found.samples is None:
        return numbers
    samples = found.samples.transpose(0, 3, 2, 1)
    several = spread(samples)
    seen = coverage(several, truth, None, body=body)
    scores = volume_scores(several, truth, floor=FLOOR_HU, body=body)
    first = _beside(samples[0], truth, body) | {"calls": calls / len(samples), "chi2": None}
    return numbers | {"scores": scores, "raw_90": seen["raw_90"], "too_sure": seen["too_sure"], "first": first}


def _beside(x: np.ndarray, truth: np.ndarray, body: np.ndarray) -> dict[str, Any]:
    width = WINDOW_HU[1] - WINDOW_HU[0]
    errors = {name: None if math.isnan(value) else value for name, value in hu_errors(x, truth, body=body).items()}
    above = x - WINDOW_HU[0], truth - WINDOW_HU[0]  # 0 is the window's lower end
    similar = {f"ssim_{plane}": ssim_wang(*above, range=width, axis=axis, body=body) for plane, axis in PLANES.items()}
    return {"psnr": psnr(x, truth, range=width), **similar, "tvz_ratio": tvz_ratio(x, truth), **errors}
