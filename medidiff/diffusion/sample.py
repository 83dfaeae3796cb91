"""The sampling loop: a frozen state, one `step` function per method, and states that resume to the byte."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, Limits, limits_of
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import check_grid
from medidiff.diffusion.noise import Noise
from medidiff.errors import ConfigError, DataError, NumericsError


@dataclass(frozen=True)
class State:
    """Where a sampler stands."""

    u: Tensor  # (b, c, *space), data unit
    step: int = 0  # index into the grid: u is at level grid[step]
    history: tuple[Tensor, ...] = ()  # what a multistep method remembers, newest first

    def moved(self, u: Tensor, *history: Tensor) -> "State":
        """The state one level lower."""
        return State(u, self.step + 1, history)


Step = Callable[[Denoiser, State, Tensor, Noise], State]  # one method: (denoiser, state, grid, noise) -> state one level lower


def sample(
    denoiser: Denoiser,
    start: Tensor | State,
    grid: Tensor,
    step: Step,
    *,
    noise: Noise = Noise(0),  # noqa: B008  (frozen)
    on_step: Callable[[State], None] | None = None,
    **condition: Tensor,
) -> Tensor:
    """The sample at the last level of `grid`, from a start tensor or a saved `State`.

    denoiser     (u, sigma, **condition) -> E[x0 | u]
    start        (b, c, *space)    state at grid[0], or a `State` to go on from
    grid         (n,)              falling levels, float64, data unit
    step         one method of `onestep`, `multistep`, `stochastic`, ...
    noise        where the fresh noise of stochastic methods comes from
    on_step      called with every new state: progress, saving, looking
    condition    named tensors with leading b, handed to the denoiser
    returns      as start

    ConfigError for a wrong grid or a level outside the trained range, DataError for a wrong state or condition, both before the
    first call; NumericsError when the state stops being finite or leaves the noise shell.
    """
    state = start if isinstance(start, State) else State(start)
    grid = grid.double().cpu()
    limits = limits_of(denoiser)
    check_start(state, grid, step, limits)
    for name, value in {"start": state.u, **condition}.items():
        check_finite(name, value)
    conditioned = partial(denoiser, **condition) if condition else denoiser
    while state.step < len(grid) - 1:
        last, state = state, step(conditioned, state, grid, noise)
        if not state.u.is_cuda or state.step % 8 == 0 or state.step == len(grid) - 1:
            check_state(state, last, grid, limits)
        if on_step:
            on_step(state)
    return state.u


def start(shape: tuple[int, ...], sigma: float, *, noise: Noise = Noise(0), gaussian: Gaussian | None = None) -> Tensor:  # noqa: B008
    """A float32 start at level sigma: white noise, or a draw from the prior's Gaussian plus noise.

    shape       (b, c, *space)
    gaussian    mean and spectrum of the prior; without it take sigma above 50 times the largest standard deviation of the data,
                for the probability-flow ODE never forgets a wrong start
    """
    z = noise(0, torch.empty(shape))
    return sigma * z if gaussian is None else gaussian.noisy(z, sigma)


def check_start(state: State, grid: Tensor, step: Step, limits: Limits) -> None:
    """ConfigError or DataError unless grid, state, method and prior fit together."""
    check_grid(grid, may_repeat=getattr(step, "may_repeat", False))
    top, low = float(grid[0]), float(grid[grid > 0].min())
    rounding = 1e-6  # a grid that went through float32 may lie that far outside
    if top > limits.sigma_max * (1 + rounding) or low < limits.sigma_min * (1 - rounding):
        trained = f"this prior was trained on {limits.sigma_min:.3g} to {limits.sigma_max:.3g}"
        if top > limits.sigma_max:
            raise ConfigError(f"sigma_max {top:.4g} but {trained}; use at most {limits.sigma_max:.3g}")
        raise ConfigError(f"sigma_min {low:.4g} but {trained}; use at least {limits.sigma_min:.3g}, then 0")
    if getattr(step, "is_stochastic", False):
        limits.need_gaussian_kernel()
    u = state.u
    if u.is_complex():
        raise DataError(f"state is {kind(u)}; sample as_channels(state), two real channels, and read the result with as_complex")
    if u.dtype not in (torch.float32, torch.float64):
        raise DataError(f"state is {kind(u)}; use float32 (the network itself may run in half precision)")
    if any(size % limits.multiple for size in u.shape[2:]):
        padded = " x ".join(str(math.ceil(size / limits.multiple) * limits.multiple) for size in u.shape[2:])
        raise DataError(f"state {tuple(u.shape)}; the prior needs multiples of {limits.multiple}: pad to {padded}")


def kind(u: Tensor) -> str:
    """The dtype's plain name."""
    return str(u.dtype).removeprefix("torch.")


def check_finite(name: str, value: Tensor) -> None:
    """DataError that names the first value that is not finite."""
    if isinstance(value, Tensor) and not bool(torch.isfinite(value).all()):
        wrong = torch.nonzero(~torch.isfinite(value))
        raise DataError(f"{name} has {len(wrong)} values that are not finite, first at {tuple(wrong[0].tolist())}")


def check_state(state: State, last: State, grid: Tensor, limits: Limits) -> None:
    """NumericsError when a step made something that is not finite or that lies far outside the noise shell."""
    level = float(grid[state.step])
    total = float(state.u.sum())
    if not math.isfinite(total):
        item = int(torch.nonzero(~torch.isfinite(state.u.flatten(1).sum(1)))[0])
        rms = float(last.u.double().square().mean().sqrt())
        raise NumericsError(
            f"not finite at level {state.step} (sigma {level:.3g}), item {item}; last rms {rms:.2g}. "
            "Lower the guidance or use more levels"
        )
    if limits.data_std is not None:
        expected = math.hypot(level, limits.data_std)
        rms = float(state.u.double().flatten(1).square().mean(1).sqrt().max())
        if rms > 10 * expected:
            raise NumericsError(f"left the noise shell at level {state.step}: rms {rms:.3g}, expected {expected:.2g}")


def sampler_name(step: Step) -> str:
    """The method with its options, as a saved state names it."""
    if hasattr(step, "__name__"):
        return step.__name__
    options = {field.name: getattr(step, field.name) for field in fields(step)}
    named = {name: sampler_name(value) if callable(value) else repr(value) for name, value in options.items()}
    return f"{type(step).__name__}({', '.join(f'{name}={value}' for name, value in named.items())})"


@dataclass(frozen=True)
class Run:
    """What a saved state belongs to; a state may only go on in the same run."""

    sampler: str  # `sampler_name(step)`
    prior: str  # hash of the prior's weights
    seed: int
    grid: tuple[float, ...]  # levels, data unit


def save_state(state: State, run: Run) -> bytes:
    """The state and its run as the bytes of one safetensors file, equal bytes for equal states; write them with a rename."""
    tensors = {"u": state.u, **{f"history-{index}": tensor for index, tensor in enumerate(state.history)}}
    card = json.dumps({"step": state.step, "run": asdict(run)}, sort_keys=True)
    return safetensors.torch.save({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, {"card": card})


def load_state(content: bytes, run: Run) -> State:
    """The state in these bytes, if it was saved in the same run.

    DataError when the grid, prior, seed or sampler differ, or when the bytes are not a saved state.
    """
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        card = json.loads(header["__metadata__"]["card"])
        saved = Run(**{**card["run"], "grid": tuple(card["run"]["grid"])})
        history = tuple(tensors[f"history-{index}"] for index in range(len(tensors) - 1))
        state = State(tensors["u"], int(card["step"]), history)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"not a saved sampler state ({error}); start this sampling run again") from error
    for name in ("sampler", "prior", "seed", "grid"):
        was, now = getattr(saved, name), getattr(run, name)
        if was != now:
            raise DataError(f"state was saved with {name} {was}, this is {now}; go on with the same {name} or start again")
    return state
