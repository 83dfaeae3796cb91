"""Training: one loop for every objective, resumable to the bit.

Data order is a hashed permutation per epoch and every random number is a hash of seed and step, so weights, optimiser,
averages and the step are the whole state.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor, nn

from medidiff.diffusion.checkpoint import Checkpoint, load_optimizer, load_weights, optimizer_tensors
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.ema import PowerAverage
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Objective
from medidiff.diffusion.training_set import Data, batch_indices
from medidiff.diffusion.validation import Look
from medidiff.errors import ConfigError, NumericsError


@dataclass(frozen=True)
class Training:
    steps: int = 20_000  # updates of the weights
    batch: int = 16  # items per update
    learning_rate: float = 3e-4  # after the warm-up
    final_rate: float = 1e-6  # at the last step, reached along a cosine
    warmup: int = 500  # steps in which the rate rises from 0
    weight_decay: float = 0.0
    clip: float = 1.0  # largest norm of the gradient; the loss is a mean, so that this does not depend on the image size
    ema_widths: tuple[float, ...] = (0.05, 0.10)  # relative widths of the averages of the weights
    seed: int = 0
    first_look: int = 100  # step of the first validation after the one before training
    look_every: int = 2000  # steps between later validations
    save_every: int = 1000  # steps between checkpoints


@dataclass(frozen=True)
class Progress:
    step: int
    steps: int
    loss: float
    gradient_norm: float  # before clipping
    learning_rate: float
    validation: Look | None = None  # at steps with a look only


@dataclass(frozen=True)
class Session:
    """How a run is tied to the world outside; the engine itself neither prints nor writes."""

    resume: Checkpoint | None = None  # of the same settings, to go on from
    on_step: Callable[[Progress], None] = field(default=lambda progress: None)
    save: Callable[[Checkpoint], None] = field(default=lambda checkpoint: None)
    validate: Callable[[Denoiser], Look] | None = None


def train(
    network: nn.Module,
    data: Data,
    *,
    objective: Objective,
    adapter: Callable[[nn.Module], Denoiser],
    settings: Training,
    session: Session = Session(),
) -> Checkpoint:
    """The state after the last step; the network holds the raw weights then.

    network     what is trained, in place, on its own device
    data        named batches by index, `x0` is clean data
    objective   (batch, denoiser, noise) -> loss
    adapter     makes a denoiser of the network, e.g. `partial(edm, sd=.5)`
    settings    all numbers of the run
    session     progress, checkpoints and validation as callbacks; resumed, the bytes are those of a run that never stopped

    AdamW (arXiv 1711.05101), gradients clipped in norm, linear warm-up and cosine decay. Raises ConfigError for impossible
    settings and NumericsError when the loss or the gradient is not finite.
    """
    _check(settings, data)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    resume = session.resume
    average = PowerAverage(settings.ema_widths, resume.averages if resume else None)
    start = _restore(network, optimizer, resume)
    if start >= settings.steps:
        return resume
    run = _Run(network, adapter(network), data, objective, optimizer, settings)
    with _deterministic(next(network.parameters()).device):
        if start == 0:
            session.on_step(Progress(0, settings.steps, math.nan, 0.0, 0.0, _look(run, session)))
        for step in range(start + 1, settings.steps + 1):
            progress = _update(run, step)
            average.update(network.state_dict(), step)
            if step in (settings.first_look, settings.steps) or step % settings.look_every == 0:
                progress = replace(progress, validation=_look(run, session))
            session.on_step(progress)
            if step == settings.steps or step % settings.save_every == 0:
                checkpoint = _state(run, average, progress)
                session.save(checkpoint)
    return checkpoint


def learning_rate(settings: Training, step: int) -> float:
    """The rate of update number `step`: linear up to the warm-up's end, then a cosine down to `final_rate`."""
    if step <= settings.warmup:
        return settings.learning_rate * step / settings.warmup
    share = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    return settings.final_rate + (settings.learning_rate - settings.final_rate) * (1 + math.cos(math.pi * share)) / 2


def best_weights(
    network: nn.Module, checkpoint: Checkpoint, *, adapter: Callable[[nn.Module], Denoiser], score: Callable[[Denoiser], float]
) -> tuple[str, float]:
    """Name and score of the weights with the lowest score, which the network holds afterwards: `raw` or `ema-{width}`.

    Short runs are often better raw, long ones averaged: so both are measured.
    """
    candidates = {"raw": checkpoint.model, **{f"ema-{width:g}": weights for width, weights in checkpoint.averages.items()}}
    scores = {}
    for name, weights in candidates.items():
        load_weights(network, weights)
        with torch.no_grad():
            scores[name] = score(adapter(network))
    best = min(scores, key=scores.get)
    load_weights(network, candidates[best])
    return best, scores[best]


@dataclass(frozen=True)
class _Run:
    network: nn.Module
    denoiser: Denoiser
    data: Data
    objective: Objective
    optimizer: torch.optim.Optimizer
    settings: Training


def _update(run: _Run, step: int) -> Progress:
    settings = run.settings
    rate = learning_rate(settings, step)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    loss = _loss(run, step)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    value = float(loss.detach())
    norm = float(nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip))
    if not (math.isfinite(norm) and math.isfinite(value)):
        raise NumericsError(
            f"not finite at training step {step}: loss {value:.3g}, gradient {norm:.3g}. "
            f"Lower learning_rate (now {settings.learning_rate:g}) or look for values that are not finite in the data"
        )
    run.optimizer.step()
    return Progress(step, settings.steps, value, norm, rate)


def _loss(run: _Run, step: int) -> Tensor:
    # one generator seed per step: dropout and the like inside a network resume as everything else does
    seed = Noise(run.settings.seed).generator(step, "train", "step").initial_seed()
    device = next(run.network.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        batch = run.data[batch_indices(len(run.data), run.settings.batch, step=step, seed=run.settings.seed)]
        return run.objective(batch, run.denoiser, Noise(seed))


def _look(run: _Run, session: Session) -> Look | None:
    if session.validate is None:
        return None
    was_training = run.network.training
    run.network.eval()
    with torch.no_grad():
        found = session.validate(run.denoiser)
    run.network.train(was_training)
    return found


def _restore(network: nn.Module, optimizer: torch.optim.Optimizer, resume: Checkpoint | None) -> int:
    if resume is None:
        return 0
    load_weights(network, resume.model)
    load_optimizer(optimizer, resume.optimizer)
    return resume.step


def _state(run: _Run, average: PowerAverage, progress: Progress) -> Checkpoint:
    card = {
        "settings": asdict(run.settings),
        "threads": torch.get_num_threads(),
        "versions": {"torch": str(torch.__version__)},
        "loss": progress.loss,
        "validation": asdict(progress.validation) if progress.validation else None,
    }
    return Checkpoint(
        step=progress.step,
        model=_copied(run.network.state_dict()),
        averages={width: _copied(track) for width, track in average.tracks.items()},
        optimizer=_copied(optimizer_tensors(run.optimizer)),
        card=card,
    )


def _copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    before, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")  # cuBLAS needs an environment variable to be strict
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)


def _check(settings: Training, data: Data) -> None:
    wrong = [
        f"{name} {value:g}: expected {limit}"
        for name, value, limit, is_right in [
            ("steps", settings.steps, "1 or more", settings.steps >= 1),
            ("batch", settings.batch, "1 or more", settings.batch >= 1),
            ("learning_rate", settings.learning_rate, "above 0", settings.learning_rate > 0),
            ("clip", settings.clip, "above 0", settings.clip > 0),
            ("warmup", settings.warmup, "0 to steps", 0 <= settings.warmup <= settings.steps),
            ("items in the training set", len(data), "1 or more", len(data) >= 1),
        ]
        if not is_right
    ]
    if wrong:
        raise ConfigError("training: " + "; ".join(wrong))
