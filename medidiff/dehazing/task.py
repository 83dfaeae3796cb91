"""Hazy frames in, tissue and haze out, with what says how far to trust them."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from medidiff.dehazing.denoiser import depth_channel
from medidiff.dehazing.gain import Scaled, check_clipping, scaled
from medidiff.dehazing.gate import check_gate
from medidiff.dehazing.methods import Frames, Separation, amortised, classical, compared, split_gibbs
from medidiff.dehazing.model import EchoModel, Priors, check_signal
from medidiff.dehazing.refusals import check_frames, check_growth, check_size
from medidiff.dehazing.result import Dehazed, described, frame_records, gathered, in_units
from medidiff.dehazing.settings import NEED_MODEL, DehazeSettings
from medidiff.dehazing.warm_start import Follower
from physics.ultrasound.polar import PolarGrid

DEFAULTS = DehazeSettings()
NO_PRIORS = Priors()


@dataclass(frozen=True, eq=False)
class Dehazer:
    """A method with its model and settings, ready for the frames of clips with one grid."""

    method: str
    grid: PolarGrid
    settings: DehazeSettings
    model: EchoModel | None
    seed: int


def dehaze(
    y: Tensor,
    grid: PolarGrid,
    *,
    method: str = "regress",
    settings: DehazeSettings = DEFAULTS,
    priors: Priors = NO_PRIORS,
    seed: int = 0,
) -> Dehazed:
    """A whole clip without its haze, by one method.

    y          (frame, axial, lateral) complex    baseband IQ before log compression
    grid       where its samples lie
    method     a name of `settings.Method`
    priors     `model.assemble_priors`; the models that methods need
    seed       of all noise; a frame's result depends on it, on the frame's number and on nothing else in the clip, unless
               frames start from the one before
    returns    diagnostics: network_calls of a frame, seconds_per_frame, latency_p95_s, frames_per_second, residual |r| / |y|,
               htr_db (haze over tissue, estimated), out_of_range, clipped, empty_frames, warm_frames, model, warnings, frames

    ConfigError for a method that lacks its model; DataError for values that are not finite, real or 8-bit values (haze is not
    additive after log compression), saturated recordings, and recordings unlike those the model was trained on; NumericsError
    where a sampler diverges.
    """
    dehazer = prepare(method, grid, settings=settings, priors=priors, seed=seed)
    check_frames(y)
    if method == "svd":
        return gathered([_chunk(dehazer, y, 0, None)])
    return gathered(list(dehaze_frames(y, dehazer)))


def prepare(method: str, grid: PolarGrid, *, settings: DehazeSettings, priors: Priors, seed: int) -> Dehazer:
    """The method, checked against its model and the grid; errors as `dehaze`."""
    model = None
    if method in NEED_MODEL:
        model = priors.need(NEED_MODEL[method], method)
        signal = settings.signal
        check_signal(model.card, grid, mu=signal.mu, tolerance=signal.grid_tolerance)
        if NEED_MODEL[method] == "joint":
            check_gate(model.card.name, model.card.gate)
    return Dehazer(method, grid, settings, model, seed)


def dehaze_frames(frames: Iterable[Tensor], dehazer: Dehazer) -> Iterator[Dehazed]:
    """The same for frames (axial, lateral) that come one after the other: the memory does not grow with the clip.

    Frames are numbered as they come. Method svd needs the whole clip: `dehaze`. Errors as `dehaze`.
    """
    settings = dehazer.settings
    is_warm = settings.warm_start.enabled and dehazer.method == "split_gibbs"
    follower = Follower(settings.warm_start.reset) if is_warm else None
    at_once, stream, first = 1 if is_warm else settings.frames_at_once, iter(frames), 0
    while chunk := list(islice(stream, at_once)):
        yield _chunk(dehazer, torch.stack(chunk), first, follower)
        first += len(chunk)


def _chunk(dehazer: Dehazer, y: Tensor, first: int, follower: Follower | None) -> Dehazed:
    """A few frames, of which the first has number `first`."""
    started = time.perf_counter()
    check_frames(y, first)
    check_size(dehazer.grid.shape, tuple(y.shape[1:]))
    signal = dehazer.settings.signal
    frames = scaled(y.to(torch.complex64), headroom=signal.headroom)
    warnings = check_clipping(frames.clipped, first, warn=signal.clipped_warning, stop=signal.clipped_error)
    start = _start(follower, frames, y, dehazer.settings)
    found = _separated(dehazer, frames.signal, first, start)
    if follower is not None:
        follower.remember(frames.undone(found.tissue[:, 0]), frames.undone(found.haze[:, 0]))
    result = in_units(y, frames, found, strength=dehazer.settings.strength)
    check_growth(y, result.tissue, first, dehazer.method)
    seconds = (time.perf_counter() - started) / len(y)
    records = frame_records(result, frames, first, window=dehazer.settings.classical.window)
    common = {"seconds": seconds, "network_calls": found.network_calls, "is_warm": start is not None}
    told = {"frames": [record | common for record in records], "warnings": warnings}
    return replace(result, diagnostics=described(dehazer.method, dehazer.model) | told)


def _start(follower: Follower | None, frames: Scaled, y: Tensor, settings: DehazeSettings) -> tuple[Tensor, Tensor] | None:
    """The last separation in the units of this frame, where it is a start."""
    if follower is None or not follower.follows(y[0], gamma=settings.strength):
        return None
    return follower.tissue * frames.gain, follower.haze * frames.gain


@torch.no_grad()
def _separated(dehazer: Dehazer, y: Tensor, first: int, start: tuple[Tensor, Tensor] | None) -> Separation:
    """Tissue and haze of scaled frames: padded to what the network needs, and cut again."""
    method, model, settings = dehazer.method, dehazer.model, dehazer.settings
    if settings.strength == 0:
        return Separation(y[None], torch.zeros_like(y)[None], 0)
    if model is None:
        return classical(method, Frames(y, y.real[:1, None], (), dehazer.seed), settings)
    whole = padded(y, model.multiple)
    numbers = tuple(range(first, first + len(y)))
    frames = Frames(whole, depth_channel(dehazer.grid, tuple(whole.shape[1:])), numbers, dehazer.seed)
    if method == "split_gibbs":
        begin = None if start is None else (padded(start[0], model.multiple), padded(start[1], model.multiple))
        found = split_gibbs(frames, model, settings, begin)
    else:
        found = (amortised if NEED_MODEL[method] != "joint" else compared)(method, frames, model, settings)
    rows, columns = y.shape[1:]
    return replace(found, tissue=found.tissue[..., :rows, :columns], haze=found.haze[..., :rows, :columns])


def padded(y: Tensor, multiple: int) -> Tensor:
    """Frames (b, axial, lateral) mirrored at their ends until both sides are multiples of a number; of any size."""
    rows, columns = (np.pad(np.arange(side), (0, -side % multiple), mode="reflect") for side in y.shape[1:])
    return y[:, rows][:, :, columns]
