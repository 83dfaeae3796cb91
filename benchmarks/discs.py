"""Speed options of the engine on a small trained prior: images of discs; beside each option, fewer levels at equal time."""

import copy
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.record import Row, clock
from medidiff.diffusion.cache import Cached
from medidiff.diffusion.denoiser import Denoiser, edm
from medidiff.diffusion.exact import sliced_wasserstein
from medidiff.diffusion.grid import karras, uniform_flow, uniform_lambda
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.onestep import dpm3
from medidiff.diffusion.precision import Autocast, channels_last, computes_bfloat16, prepared
from medidiff.diffusion.quantise import Float8, Integer, Quantised
from medidiff.diffusion.sample import sample
from medidiff.diffusion.search import Evolution, path_error, search_levels
from medidiff.diffusion.speed import Outcome, Trial, compare_options
from medidiff.diffusion.train import Session, Training, train
from medidiff.diffusion.training_set import Tensors

TOP, BOTTOM, SIDE = 40.0, 0.02, 32


def discs(count: int, seed: int) -> Tensor:
    """Images (count, 1, 32, 32) of three soft discs each, brightnesses -1 to 1: twelve true parameters."""
    parameters = Noise(seed, ("discs",)).uniform(0, torch.empty(1, 3, 4, count, 1, 1))[0]
    places = torch.linspace(-1, 1, SIDE)
    images = torch.zeros(count, SIDE, SIDE)
    for x, y, radius, brightness in parameters:
        distance = torch.sqrt((places.view(1, -1) - 1.2 * (x - 0.5)) ** 2 + (places.view(-1, 1) - 1.2 * (y - 0.5)) ** 2)
        images += torch.sigmoid((0.2 + 0.4 * radius - distance) / 0.05) * (2 * brightness - 1)
    return images[:, None]


def prior(quick: bool) -> tuple[UNet, float, float]:
    """A U-Net of .66 million parameters trained on discs, the standard deviation of the data and the last validation loss."""
    data = discs(512 if quick else 8192, seed=1)
    sd = float(data.std())
    network = UNet(UNetShape(width=24, multipliers=(1, 2, 4)), seed=0)
    losses: list[float] = []
    settings = Training(
        steps=40 if quick else 500,
        batch=16,
        learning_rate=2e-3,
        warmup=10 if quick else 50,
        first_look=10**6,
        look_every=10**6,
        save_every=10**6,
    )
    session = Session(on_step=lambda progress: losses.append(progress.loss))
    train(
        network, Tensors({"x0": data}), objective=Denoising(sd), adapter=partial(edm, sd=sd), settings=settings, session=session
    )
    tail = losses[-len(losses) // 5 :]
    return network.requires_grad_(False).eval(), sd, sum(tail) / len(tail)


def options(quick: bool) -> Iterator[Row]:
    """Every speed option with its two errors, and the unchanged network with fewer levels in the same time."""
    network, sd, loss = prior(quick)
    count, levels = (8, 6) if quick else (16, 16)
    start = TOP * Noise(2, ("start",))(0, torch.empty(1, count, 1, SIDE, SIDE))[0]
    truth, other = discs(count, seed=3), discs(count, seed=4)
    floor = sliced_wasserstein(truth, other)
    grid_of = partial(karras, smin=BOTTOM, smax=TOP)
    trial = Trial(start, grid_of, levels, pp2m, lambda found: sliced_wasserstein(found, truth), 3, clock)

    def calibrate(rounded: nn.Module) -> None:
        sample(edm(rounded, sd), start[: count // 2], grid_of(levels), pp2m)

    made: dict[str, nn.Module] = {
        "channels_last": channels_last(copy.deepcopy(network)),
        "prepared, as the pipelines run it": prepared(copy.deepcopy(network)),
        "cached, every 2": Cached(network, every=2),
        "cached, every 3": Cached(network, every=3),
        "int8 emulated, 1 bucket": Quantised(network, calibrate, rounding=Integer(8)),
        "int8 emulated, 4 buckets": Quantised(network, calibrate, rounding=Integer(8), buckets=4),
        "int6 emulated, 4 buckets": Quantised(network, calibrate, rounding=Integer(6), buckets=4),
        "fp8 emulated": Quantised(network, calibrate, rounding=Float8()),
    }
    if computes_bfloat16(torch.device("cpu")):
        made["bf16 autocast"] = Autocast(copy.deepcopy(network))
    else:
        yield Row(
            "speed_option",
            "bf16 autocast",
            note="this processor has no bfloat16 instructions and emulates them many times slower",
        )
    plain = edm(network, sd)
    case = f"{SIDE}x{SIDE}, batch {count}, {levels - 1} levels, pp2m, loss {loss:.3f}"
    for found in compare_options(plain, {name: edm(option, sd) for name, option in made.items()}, trial):
        yield option_row(found, case, floor)
    yield from searched(plain, start, quick)


def option_row(found: Outcome, case: str, floor: float) -> Row:
    """One option; emulated formats say nothing about time, only about error."""
    note = found.verdict.removeprefix(f"{found.name}: ")
    if "emulated" in found.name:
        note = f"path error {found.path_error:.2g}, set distance {found.distance:.3g}; emulated in float32, so no time"
    is_timed = "emulated" not in found.name
    return Row(
        "speed_option",
        f"{found.name}: {case}",
        ours=found.seconds if is_timed else None,
        unit="s",
        ratio=found.speedup if is_timed else None,
        floor=floor,
        note=note,
    )


def searched(plain: Denoiser, start: Tensor, quick: bool) -> Iterator[Row]:
    """Searched level grids against the best of Karras, uniform lambda and uniform flow, on starts the search has not seen."""
    half = len(start) // 2
    with torch.no_grad():
        end = sample(plain, start, uniform_lambda(13 if quick else 61, smin=BOTTOM, smax=TOP), dpm3)
    inside, held_out = path_error(plain, start[:half], end[:half], pp2m), path_error(plain, start[half:], end[half:], pp2m)
    for calls in (4,) if quick else (4, 6, 10):
        candidates = [make(calls + 1, smin=BOTTOM, smax=TOP) for make in (karras, uniform_lambda, uniform_flow)]
        grid, _ = search_levels(inside, candidates, settings=Evolution(rounds=2 if quick else 12))
        ours, theirs = held_out(grid), min(held_out(candidate) for candidate in candidates)
        yield Row(
            "searched_levels",
            f"{calls} calls, pp2m, held-out relative path error",
            ours,
            "",
            theirs,
            "best of Karras, lambda, flow",
            ratio=theirs / ours,
        )
