"""What the diffusion engine costs and what its samplers reach: overhead, loops of peers, distance against calls, speed options.

    python -m benchmarks.engine [--quick] [--only overhead loops distance options]

Writes results/engine.json. Peers (k-diffusion, diffusers) are optional: a missing one is a row that says so.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks import peer_loops
from benchmarks.discs import options
from benchmarks.record import Row, interleaved, kept, line, write
from medidiff.diffusion.denoiser import Denoiser, edm
from medidiff.diffusion.dpm_v3 import DPMv3, measure
from medidiff.diffusion.exact import Mixture, sliced_wasserstein
from medidiff.diffusion.grid import karras, uniform_lambda, with_zero
from medidiff.diffusion.langevin import DenoisingMCMC, exact_classifier
from medidiff.diffusion.multistep import GHVB, LMS, HeavyBall, HeavyBall2M, UniPC, pndm, pp2m, pp3m
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import dpm2, dpm3, euler, flow_heun, heun, pp2s
from medidiff.diffusion.sample import Step, sample
from medidiff.diffusion.stochastic import PP2MSDE, EulerMaruyama, InterpolantSDE, Renoise

PACKAGES = ("torch", "numpy", "monai", "diffusers", "k-diffusion")
SHAPE = UNetShape(width=40, multipliers=(1, 2, 4), blocks=2)  # 3.2 million parameters
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SD = 0.5


def unet() -> Denoiser:
    """The denoiser around an untrained U-Net of three million parameters."""
    return edm(UNet(SHAPE).to(DEVICE).eval(), SD)


def label(step: Step) -> str:
    """The method's name with the options that are not its defaults."""
    if not is_dataclass(step):
        return step.__name__
    options = [f"{f.name}={getattr(step, f.name)}" for f in fields(step) if f.repr and getattr(step, f.name) != f.default]
    return f"{type(step).__name__}({', '.join(options)})"


def silent(x: Tensor, c_noise: Tensor) -> Tensor:
    """A network that costs nothing to speak of."""
    return x


@torch.no_grad()
def overhead(quick: bool) -> Iterator[Row]:
    """Step, noise, wrapper and checks of one level, in percent of a U-Net step of the same size."""
    side, batch, steps = (64 if quick else 256), 1, 20
    u = 80 * torch.randn(batch, 1, side, side, device=DEVICE)
    grid, network, plain = karras(steps + 1, smin=0.01, smax=80.0), unet(), edm(silent, SD)
    level = torch.ones(batch, dtype=torch.float64, device=DEVICE)
    runs: dict[str, Callable[[], object]] = {"U-Net": lambda: network(u, level)}
    for step in (pp2m, UniPC(3), Renoise(), PP2MSDE()):
        runs[label(step)] = partial(sample, plain, u, grid, step)
    seconds = interleaved(runs, 5 if quick else 11)
    case = f"{side}x{side}, batch {batch}, float32, {DEVICE.type}"
    base = seconds.pop("U-Net")
    yield Row("unet_step", case, base, "s", note="3.2 million parameters")
    for name, total in seconds.items():
        note = f"{1e3 * total / steps:.3f} ms per step with EDM wrapper, noise and checks"
        yield Row("sampler_overhead", f"{name}, {case}", 100 * total / steps / base, "%", note=note)


@torch.no_grad()
def loops(quick: bool) -> Iterator[Row]:
    """Whole loops beside those of peers: with the same U-Net (images per second), and with a network that costs nothing."""
    side, levels = (32, 5) if quick else (128, 10)
    found = peer_loops.installed(karras(levels, smin=0.02, smax=80.0))
    for name, loop in found.items():
        if loop is None:
            yield Row(f"loop_vs_{name}", "not installed", note="install the extra [peers] to compare")
            continue
        yield loop_row(f"loop_vs_{name}", loop, unet(), (1, 1, side, side), 5 if quick else 7)
        yield loop_row(f"loop_alone_vs_{name}", loop, edm(silent, SD), (1, 1, 256, 256), 9)


def loop_row(name: str, loop: peer_loops.Loop, denoiser: Denoiser, shape: tuple[int, ...], repeats: int) -> Row:
    """Images per second of our loop and theirs, same denoiser, levels and start."""
    u = float(loop.grid[0]) * torch.randn(shape, device=DEVICE, generator=torch.Generator(DEVICE).manual_seed(0))
    runs = {
        "ours": partial(sample, denoiser, u, loop.grid, loop.step),
        "theirs": partial(loop.run, denoiser, u),
    }
    seconds = interleaved(runs, repeats)
    apart = float((runs["ours"]() - runs["theirs"]()).norm() / runs["ours"]().norm())
    case = f"{len(loop.grid) - 1} levels, {'x'.join(map(str, shape))}, float32, {DEVICE.type}, {label(loop.step)}"
    rates = {key: shape[0] / value for key, value in seconds.items()}
    ratio, note = rates["ours"] / rates["theirs"], f"samples differ by {apart:.1e} (relative L2)"
    if apart > 1e-3:
        note += "; MONAI steps to t - 1000/n while its own next level is another"
    return Row(name, case, rates["ours"], "images/s", rates["theirs"], loop.peer, ratio=ratio, note=note)


def mixture() -> Mixture:
    """Four components of rank 3 in 8 dimensions."""
    z = Noise(0)(0, torch.empty(3, 4, 8, 3, dtype=torch.float64))
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    return Mixture(weights, 2 * z[0, ..., 0], 0.6 * z[1], torch.full((4,), 0.1, dtype=torch.float64))


class OneDraw(Noise):
    """Noise of a whole batch in one draw: thousands of small items need no names of their own."""

    def stacked(self, sampler, step, like, draw):
        return sampler(like.shape, generator=self.generator(step, "all", draw), dtype=like.dtype)


SAMPLERS: tuple[Step, ...] = (
    euler,
    heun,
    flow_heun,
    dpm2,
    pp2s,
    dpm3,
    pp2m,
    pp3m,
    UniPC(2),
    UniPC(3),
    pndm,
    LMS(4),
    HeavyBall(2, 0.8),
    HeavyBall2M(0.8),
    GHVB(2, 0.8),
    Renoise(eta=0.5),
    Renoise(),
    PP2MSDE(),
    EulerMaruyama(),
    InterpolantSDE(0.5),
)
TOP, BOTTOM = 40.0, 0.05


def distance(quick: bool) -> Iterator[Row]:
    """Sliced 2-Wasserstein distance to the data after 4 to 50 calls, with the distance of two true sets as the floor."""
    count, prior = (500 if quick else 2000), mixture()
    picks = (torch.arange(count, dtype=torch.float64) + 0.5) / count  # every component with its own share
    draw = OneDraw(1)
    like = torch.empty(count, 8, dtype=torch.float64)
    truth = prior.draw(draw(0, like), picks)
    other = prior.draw(draw(1, like), draw.uniform(1, like[:, :1])[:, 0])  # samplers draw the shares of components too
    floor = sliced_wasserstein(truth, other)
    start = prior.draw(draw(2, like), picks, TOP)
    data = prior.draw(draw(3, like.new_empty(512, 8)), (torch.arange(512, dtype=torch.float64) + 0.5) / 512)
    statistics = measure(prior, data, uniform_lambda(120, smin=BOTTOM, smax=TOP))
    for step in (*SAMPLERS, DPMv3(statistics, 2)):
        for levels, calls in affordable(step, (4, 10, 20) if quick else (4, 6, 8, 10, 15, 20, 30, 50)).items():
            grid = with_zero(karras(levels, smin=BOTTOM, smax=TOP))
            found = sample(prior, start, grid, step, noise=OneDraw(4))
            yield distance_row(label(step), calls, sliced_wasserstein(found, truth), floor)
    for budget in (4, 5, 6, 8, 10):
        found, calls = chain_states(budget, prior, like, 10 if quick else 30)
        yield distance_row("DenoisingMCMC with pp2m", calls, sliced_wasserstein(found, truth), floor)


def distance_row(name: str, calls: float, value: float, floor: float) -> Row:
    return Row("sliced_w2", f"{name}, {calls:.3g} calls", value, "data unit", floor=floor)


def affordable(step: Step, budgets: tuple[int, ...]) -> dict[int, int]:
    """Numbers of Karras levels and their calls: for each budget the finest grid that stays within it."""
    found, calls = {}, 0

    def counting(u: Tensor, sigma: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return torch.zeros_like(u)

    for levels in range(2, max(budgets) + 1):
        calls = 0
        sample(counting, torch.ones(1, 8), with_zero(karras(levels, smin=BOTTOM, smax=TOP)), step)
        found[levels] = calls
        if calls > max(budgets):
            break
    best = {budget: max((n for n, calls in found.items() if calls <= budget), default=0) for budget in budgets}
    return {levels: found[levels] for levels in best.values() if levels}


def chain_states(levels: int, prior: Mixture, like: Tensor, moves: int) -> tuple[Tensor, float]:
    """Samples from a denoising Langevin-Gibbs chain after some moves, and the mean calls of one."""
    grid = with_zero(karras(levels, smin=BOTTOM, smax=TOP))
    chain = DenoisingMCMC(prior, exact_classifier(prior.log_density, grid[:-1]), grid, OneDraw(5))
    u, index = TOP * OneDraw(6)(0, like), torch.zeros(len(like), dtype=torch.long)
    for step in range(moves):
        u, index = chain.moved(u, index, step)
    found, calls = chain.finished(u, index, pp2m)
    return found, 1 + calls / len(like)


PARTS = {"overhead": overhead, "loops": loops, "distance": distance, "options": options}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, seconds instead of minutes; nothing is written")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run (default: all)")
    arguments = parser.parse_args()
    rows = []
    for part in arguments.only:
        for row in PARTS[part](arguments.quick):
            rows.append(row)
            print(line(row), flush=True)
    if not arguments.quick:
        print(f"written: {write('engine', kept('engine', rows, PACKAGES) + rows, PACKAGES)}", file=sys.stderr)


if __name__ == "__main__":
    main()
