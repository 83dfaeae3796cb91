"""One training run of any network: from its parts to the best weights, with checkpoints, a log, and resuming to the bit."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from medidiff.diffusion.checkpoint import Checkpoint, pack, settings_hash, unpack
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch, Objective
from medidiff.diffusion.train import Progress, Session, Training, best_weights, train
from medidiff.diffusion.training_set import Data
from medidiff.diffusion.validation import Look
from medidiff.io.checkpoint_files import read_checkpoint, write_checkpoint
from medidiff.journal import append, read_journal

LINE_EVERY = 50  # steps between lines of the log

OnLine = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that shapes a training run, as `medidiff.diffusion.train.train` takes it."""

    network: nn.Module  # with its first weights, on its device
    data: Data
    objective: Objective
    adapter: Callable[[nn.Module], Denoiser]
    training: Training
    score: Callable[[Denoiser], float]  # of held-out data; the weights with the lowest are kept
    identity: Mapping[str, object]  # JSON: what else the result depends on, such as the hashes of the data
    look: Callable[[Denoiser], Look] | None = None  # losses per noise level, for the log and the card


@dataclass(frozen=True, eq=False)
class Trained:
    """The end of a run; the network holds the best weights."""

    checkpoint: Checkpoint
    weights: str  # which are best: raw, or ema-{width}
    score: float  # theirs
    look: Look | None  # theirs
    hours: float  # of all attempts, the repeated steps after an interruption included


@dataclass(frozen=True)
class OnDevice:
    """A training set whose batches are moved to a device."""

    data: Data
    device: str

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        return {name: value.to(self.device) for name, value in self.data[indices].items()}


@dataclass(frozen=True, eq=False)
class MeanLoss:
    """A score: the mean of an objective over held-out items, with levels and noise that never change.

    held_out   named tensors of equal length
    batch      items per call; the levels of the objective are spread over each batch, and items over batches
    """

    objective: Objective
    held_out: Batch
    batch: int = 64
    seed: int = 2024

    @torch.no_grad()
    def __call__(self, denoiser: Denoiser) -> float:
        size = len(next(iter(self.held_out.values())))
        calls = -(-size // self.batch)
        total = 0.0
        for first in range(calls):
            part = {name: value[first::calls] for name, value in self.held_out.items()}
            share = len(next(iter(part.values()))) / size
            total += share * float(self.objective(part, denoiser, Noise(self.seed + first)))
        return total


def run_training(run: Run, folder: str | Path, *, on_line: OnLine = lambda line: None) -> Trained:
    """The best weights of a run that is started, or goes on from the newest checkpoint in its folder.

    folder    of checkpoints and of `log.jsonl`, one line every 50 steps
    on_line   is given every line of the log

    Interrupted anywhere and called again, the run ends in the same bytes. Raises DataError when the folder holds a run of other
    settings or data.
    """
    folder = Path(folder)
    key = _key(run)
    found = read_checkpoint(folder, settings=key)
    log = _Log(folder / "log.jsonl", on_line)
    session = Session(
        resume=unpack(found) if found else None,
        on_step=log,
        save=lambda checkpoint: _save(folder, checkpoint, key),
        validate=run.look,
    )
    checkpoint = train(
        run.network, run.data, objective=run.objective, adapter=run.adapter, settings=run.training, session=session
    )
    return finish_training(run, checkpoint, hours=log.hours)


def finish_training(run: Run, checkpoint: Checkpoint, *, hours: float) -> Trained:
    """The best weights of a checkpoint, raw or averaged, by the score of the run; the network holds them afterwards."""
    run.network.eval()
    weights, score = best_weights(run.network, checkpoint, adapter=run.adapter, score=run.score)
    with torch.no_grad():
        look = run.look(run.adapter(run.network)) if run.look else None
    return Trained(checkpoint, weights, score, look, hours)


def _key(run: Run) -> str:
    return settings_hash({"training": asdict(run.training), "identity": dict(run.identity)})


def _save(folder: Path, checkpoint: Checkpoint, key: str) -> None:
    write_checkpoint(folder, pack(checkpoint), step=checkpoint.step, settings=key)


@dataclass
class _Log:
    """The lines of `log.jsonl`; their seconds add up to the duration of all attempts."""

    path: Path
    on_line: OnLine
    since: float = field(default_factory=time.monotonic)

    def __call__(self, progress: Progress) -> None:
        if progress.step % LINE_EVERY and progress.validation is None and progress.step != progress.steps:
            return
        now = time.monotonic()
        line = {"step": progress.step, "steps": progress.steps, "seconds": round(now - self.since, 2)}
        self.since = now
        if progress.step:
            line |= {"loss": progress.loss, "gradient": progress.gradient_norm, "rate": progress.learning_rate}
        if progress.validation is not None:
            line["validation"] = list(progress.validation.loss)
        append(self.path, line)
        self.on_line(line)

    @property
    def hours(self) -> float:
        return sum(line.get("seconds", 0.0) for line in read_journal(self.path)) / 3600
