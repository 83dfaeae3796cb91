"""Runs of dehazing methods on generated echoes, each computed once and kept."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from medidiff.dehazing.baselines import black_fill, oracle_wiener
from medidiff.dehazing.model import EchoModel, Priors, assemble_priors
from medidiff.dehazing.settings import NEED_MODEL, DehazeSettings
from medidiff.dehazing.task import dehaze
from medidiff.io.atomic import write_bytes
from medidiff.io.prior_files import read_prior
from medidiff.metrics.contrast import eroded
from medidiff.metrics.dehazing_truth import nmse_db, truth_figures
from medidiff.metrics.detectability import kept_share, local_detectability
from medidiff.phantoms.echo import Echo, draw_echo, insert_target
from medidiff.phantoms.echo_anatomy import MYOCARDIUM, VENTRICLE

KEPT = Path("benchmarks_run") / "dehazing"
FOLDERS = {"joint": "echo-priors", "regress": "echo-regress", "conditional": "echo-conditional"}
CHEAP = ("identity", "black_fill", "oracle", "high_pass", "wiener", "nlm", "regress", "conditional")
JOINT = ("split_gibbs_point", "split_gibbs", "projection", "dps", "pigdm")
ALL = (*CHEAP, *JOINT)
TARGETS_DB = (-25.0, -15.0, -5.0)  # weak structures over myocardium, in a ventricle with haze of -15 dB
ROUNDS = {"levels": 8, "repeats": 3}  # 24 calls of both priors for each sample
SETTINGS = DehazeSettings(
    methods=("regress",),
    conditional="models/echo-conditional",
    split_gibbs={**ROUNDS, "samples": 3},
    projection={"steps": 24},  # as many calls as one sample of split_gibbs
    guided={"steps": 12},  # each with a derivative, which costs as much as a call
    warm_start={"levels": 3, "repeats": 2},
)
POINT = SETTINGS.model_copy(update={"split_gibbs": SETTINGS.split_gibbs.model_copy(update={"samples": 1, "eta": 0.0})})


@dataclass(frozen=True)
class Bench:
    """Methods with the models of a folder."""

    models: str
    keep: bool = True

    @cached_property
    def priors(self) -> Priors:
        """The models that are there."""
        folders = {kind: Path(self.models) / name for kind, name in FOLDERS.items()}
        return assemble_priors({kind: read_prior(folder) for kind, folder in folders.items() if folder.is_dir()})

    def tissue(self, method: str, echo: Echo, *, seed: int) -> tuple[Tensor, int]:
        """Tissue as a method finds it, and its network calls."""
        blood = echo.labels == VENTRICLE
        if method == "oracle":
            return oracle_wiener(echo.y, echo.x, echo.h + echo.n, window=9), 0
        if method == "black_fill":
            return black_fill(echo.y, blood), 0
        settings, name = (POINT, "split_gibbs") if method == "split_gibbs_point" else (SETTINGS, method)
        found = dehaze(echo.y, echo.grid, method=name, settings=settings, priors=self.priors, seed=seed)
        return found.tissue, found.diagnostics["network_calls"]

    def figures(self, method: str, family: str, seed: int, htr_db: float) -> dict[str, float]:
        """Figures of one frame against its truth."""

        def run() -> dict[str, float]:
            echo = draw_echo(seed, family=family, htr_db=htr_db)
            tissue, calls = self.tissue(method, echo, seed=seed)
            return truth_figures(*_arrays(tissue, echo.x, echo.y), **regions(echo)) | {"network_calls": calls}

        return self._once(run, method, "figures", family, seed, htr_db)

    def target(self, method: str, seed: int, level_db: float) -> dict[str, float]:
        """What is left of a weak structure in the ventricle: difference of the results with and without it."""

        def run() -> dict[str, float]:
            echo = draw_echo(seed, htr_db=-15.0)
            shown, target = insert_target(echo, seed=seed, level_db=level_db)
            with_it, without = (self.tissue(method, one, seed=seed)[0] for one in (shown, echo))
            blood = regions(echo)["region_b"]
            found, bare, true, structure = _arrays(with_it, without, shown.x, target)
            return {
                "kept": kept_share(found - bare, structure),
                "d_prime": local_detectability(found[0], structure[0], region=blood[0]),
                "d_truth": local_detectability(true[0], structure[0], region=blood[0]),
                "nmse_b_db": nmse_db(found, true, region=blood),
            }

        return self._once(run, method, "target", seed, *([level_db] if level_db != TARGETS_DB[0] else []))

    def clip(self, *, is_warm: bool) -> dict[str, float]:
        """Error, calls and seconds of the frames after the first of a beating heart."""

        def run() -> dict[str, float]:
            echo = draw_echo(20_900, frames=4, htr_db=-10.0)
            warm = SETTINGS.warm_start.model_copy(update={"enabled": is_warm})
            settings = POINT.model_copy(update={"warm_start": warm})
            found = dehaze(echo.y, echo.grid, method="split_gibbs", settings=settings, priors=self.priors, seed=1)
            later = found.diagnostics["frames"][1:]
            return {
                "nmse_db": nmse_db(*_arrays(found.tissue[1:], echo.x[1:])),
                "calls": float(np.mean([frame["network_calls"] for frame in later])),
                "seconds": float(np.median([frame["seconds"] for frame in later])),
            }

        return self._once(run, "split_gibbs", "clip", is_warm)

    def rounds(self, levels: int, repeats: int) -> tuple[float, float]:
        """Frames per second of the joint sampler with so many rounds, processor time, and its error on one frame, dB."""
        echo = draw_echo(20_000, htr_db=-10.0)
        options = POINT.split_gibbs.model_copy(update={"levels": levels, "repeats": repeats})
        settings = POINT.model_copy(update={"split_gibbs": options})
        begin = time.process_time()
        found = dehaze(echo.y, echo.grid, method="split_gibbs", settings=settings, priors=self.priors, seed=1)
        return 1 / (time.process_time() - begin), nmse_db(*_arrays(found.tissue, echo.x))

    def speed(self, method: str, *, frames: int = 5) -> tuple[float, float]:
        """Frames per second, and the seconds within which 95 % of frames are done; processor time."""
        echo, seconds = draw_echo(20_950), []
        self.tissue(method, echo, seed=0)
        for seed in range(1 if method in JOINT else frames):
            begin = time.process_time()
            self.tissue(method, echo, seed=seed)
            seconds.append(time.process_time() - begin)
        return 1 / float(np.median(seconds)), float(np.percentile(seconds, 95))

    def _once(self, run: Callable[[], dict[str, float]], method: str, *key: object) -> dict[str, float]:
        """The result of a run, from its file where there is one for the same model and settings."""
        model = self._model(method)
        name = json.dumps([method, *key, model.card.weights_sha256 if model else None, SETTINGS.model_dump(mode="json")])
        path = KEPT / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"
        if self.keep and path.exists():
            return json.loads(path.read_text())
        found = run()
        if self.keep:
            write_bytes(path, (json.dumps(found) + "\n").encode())
        return found

    def _model(self, method: str) -> EchoModel | None:
        kind = NEED_MODEL.get("split_gibbs" if method == "split_gibbs_point" else method)
        return self.priors.need(kind, method) if kind else None


def regions(echo: Echo) -> dict[str, np.ndarray]:
    """Myocardium and blood of the ventricle without their rims."""
    labels = echo.labels.numpy()
    return {"region_a": eroded(labels == MYOCARDIUM), "region_b": eroded(labels == VENTRICLE)}


def _arrays(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(tensor.numpy() for tensor in tensors)
