"""What dehazing is worth: errors against the truth of generated echoes that no model was trained on, and what it costs.

    python -m benchmarks.dehazing [--quick] [--only quality shift haze targets ...] [--frames 8] [--methods ...]

Families: g1, from which models were trained, with seeds of their own; g2, another scanner with other haze; g3, other haze alone.
Regions are eroded by 5 samples, gCNR has bins of equal count, KS distances are to the truth. Identity, black-fill
and the oracle are always there: a figure that black-fill wins says nothing. Each result is kept in benchmarks_run/dehazing and
never computed twice, so that a run can be stopped and go on. Writes results/dehazing.json.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.dehazing_domains import bayes, coverage, domains
from benchmarks.dehazing_runs import ALL, CHEAP, JOINT, TARGETS_DB, Bench
from benchmarks.record import Row, kept, line, write
from medidiff.metrics.averages import average

PACKAGES = ("torch", "numpy", "scipy", "scikit-image")
HTR_DB = (-20.0, -15.0, -10.0, -5.0)  # haze over tissue of the test frames, in turn
FIGURES = ("nmse_db", "nmse_b_db", "gcnr", "level_mae_db", "ks_b", "contrast_error_db")


@dataclass(frozen=True)
class Part:
    """Which frames and methods a run covers."""

    bench: Bench
    frames: int
    joint_frames: int  # of methods that call the network many times
    methods: tuple[str, ...]

    def seeds(self, method: str) -> range:
        """Test seeds of a method."""
        return range(20_000, 20_000 + (self.joint_frames if method in JOINT else self.frames))


def quality(part: Part) -> Iterator[Row]:
    """Every method on the family that models were trained with."""
    yield from table(part, "g1")


def shift(part: Part) -> Iterator[Row]:
    """The same on another scanner with other haze."""
    yield from table(part, "g2")


def haze(part: Part) -> Iterator[Row]:
    """The same scanner and tissue under another haze, whose grain is nearly that of tissue."""
    yield from table(part, "g3")


def bounds(part: Part) -> Iterator[Row]:
    """What posterior samples could reach."""
    for family in ("g1", "g2", "g3"):
        yield from bayes(part.seeds("oracle"), family=family, htr_db=HTR_DB)


def tracks(part: Part) -> Iterator[Row]:
    """RF, IQ and pictures of the same echoes."""
    chosen = tuple(method for method in part.methods if method in ("wiener", "regress", "split_gibbs"))
    yield from domains(part.bench, part.seeds("split_gibbs"), chosen)


def spread(part: Part) -> Iterator[Row]:
    """Whether samples spread as far as they err."""
    yield from coverage(part.bench, part.seeds("split_gibbs"))


def steps(part: Part) -> Iterator[Row]:
    """Frames per second of the joint sampler against its calls, and the error that is left."""
    for rounds in ((2, 1), (4, 1), (4, 3), (8, 3)):
        rate, error = part.bench.rounds(*rounds)
        case = f"256 x 128, split_gibbs, {rounds[0] * rounds[1]} calls of both priors, 1 thread"
        yield Row("frames_per_second", case, rate, "1/s", note=f"one sample, eta 0; nmse_db {error:.2f} on one frame of g1")


def table(part: Part, family: str) -> Iterator[Row]:
    """A row for each method: error of the tissue over the measurement's, with what is said of contrast and levels."""
    for method in part.methods:
        seeds = part.seeds(method)
        found = [part.bench.figures(method, family, seed, HTR_DB[index % len(HTR_DB)]) for index, seed in enumerate(seeds)]
        hazy = [part.bench.figures("identity", family, seed, HTR_DB[i % len(HTR_DB)]) for i, seed in enumerate(seeds)]
        gain = average([ours["nmse_db"] - theirs["nmse_db"] for ours, theirs in zip(found, hazy)])
        told = ", ".join(f"{name} {mean(found, name):.2f}" for name in FIGURES[1:])
        if method in JOINT:
            rival = [part.bench.figures("regress", family, seed, HTR_DB[i % len(HTR_DB)]) for i, seed in enumerate(seeds)]
            told += f"; regress on the same frames {mean(rival, 'nmse_db'):.2f} dB, levels {mean(rival, 'level_mae_db'):.2f}"
        truth = f"gcnr of the truth {mean(found, 'gcnr_truth'):.2f}, {mean(found, 'network_calls'):.0f} network calls"
        yield Row(
            "nmse_tissue_db",
            f"{family}, {len(seeds)} frames, {method}",
            mean(found, "nmse_db"),
            "dB",
            mean(hazy, "nmse_db"),
            "identity",
            difference=gain.mean,
            low=finite(gain.low),
            high=finite(gain.high),
            note=f"{told}; {truth}",
        )


def targets(part: Part) -> Iterator[Row]:
    """Whether a weak structure in the ventricle survives: the share of it that is kept, and how far it stands out."""
    for method in part.methods:
        if method in JOINT and method != "split_gibbs_point":
            continue
        for level_db in TARGETS_DB:
            pairs = [part.bench.target(method, seed, level_db) for seed in part.seeds(method)]
            share = average([pair["kept"] for pair in pairs])
            note = f"{len(pairs)} structures {-level_db:g} dB under myocardium; d' {mean(pairs, 'd_prime'):.1f}"
            note += f", of the truth {mean(pairs, 'd_truth'):.1f}, nmse_b_db {mean(pairs, 'nmse_b_db'):.2f}"
            ends = {"low": finite(share.low), "high": finite(share.high)}
            yield Row("target_kept", f"g1, {level_db:g} dB, {method}", share.mean, "share", 1.0, "truth", **ends, note=note)


def warm(part: Part) -> Iterator[Row]:
    """Frames of a clip that start from the one before, against cold ones."""
    cold, follower = part.bench.clip(is_warm=False), part.bench.clip(is_warm=True)
    ratio = cold["seconds"] / follower["seconds"]
    note = f"{follower['calls']:.0f} against {cold['calls']:.0f} network calls, {ratio:.1f} times as fast"
    yield Row(
        "warm_start_nmse_db",
        "g1, 4 frames of a beating heart, the last 3",
        follower["nmse_db"],
        "dB",
        cold["nmse_db"],
        "cold start",
        difference=follower["nmse_db"] - cold["nmse_db"],
        note=note,
    )


def speed(part: Part) -> Iterator[Row]:
    """Frames per second of each method, with gain and companding, on one thread."""
    for method in part.methods:
        if method in ("oracle", "identity"):
            continue
        rate, latency = part.bench.speed(method)
        yield Row(
            "frames_per_second", f"256 x 128, {method}, 1 thread", rate, "1/s", note=f"95 % of frames within {latency:.2f} s"
        )


def mean(found: Sequence[dict], name: str) -> float:
    """Of one figure over frames, without those that have none."""
    return float(np.nanmean([one[name] for one in found]))


def finite(value: float) -> float | None:
    """An end of an interval, None where one frame has none."""
    return None if np.isnan(value) else value


PARTS = {
    "quality": quality,
    "shift": shift,
    "haze": haze,
    "bounds": bounds,
    "targets": targets,
    "tracks": tracks,
    "spread": spread,
    "warm": warm,
    "steps": steps,
    "speed": speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dehazing", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one frame, methods of one call; nothing is written")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run (default: all)")
    parser.add_argument("--methods", nargs="+", choices=ALL, default=list(ALL), help="default: all")
    parser.add_argument("--frames", type=int, default=16, help="test frames of methods of few calls")
    parser.add_argument("--joint-frames", type=int, default=2, help="test frames of methods of many calls")
    parser.add_argument("--models", default="models", help="folder of the echo-* models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    methods = tuple(m for m in arguments.methods if not arguments.quick or m in CHEAP)
    counts = (1, 1) if arguments.quick else (arguments.frames, arguments.joint_frames)
    part = Part(Bench(arguments.models, keep=not arguments.quick), *counts, methods)
    rows = []
    for name in arguments.only:
        for row in PARTS[name](part):
            rows.append(row)
            print(line(row), flush=True)
    if not arguments.quick:
        print(f"written: {write('dehazing', kept('dehazing', rows, PACKAGES) + rows, PACKAGES)}", file=sys.stderr)


if __name__ == "__main__":
    main()
