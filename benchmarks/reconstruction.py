"""What the prior is worth: decibels over 3-D total variation whose weight was chosen with the answer in hand, and what they cost.

    python -m benchmarks.reconstruction [--quick] [--only quality coverage lesions speed] [--data phantom real] [--cases ...]

Volumes are digital chests of fresh seeds, and heads and necks that no prior has seen, from the folder that MEDIDIFF_MIRROR names.
Each result is kept in benchmarks_run/reconstruction and never computed twice, so that a run can be stopped and go on.
Writes results/reconstruction.json.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.reconstruction_cases import CASES, NODULES, SLICES, SOURCES, LesionStudy, Study
from benchmarks.reconstruction_runs import FLOOR_HU, Runs
from benchmarks.record import Row, kept, line, write
from medidiff.metrics.averages import Average, average
from medidiff.reconstruction.intervals import SHARES, calibrate
from medidiff.reconstruction.lesion_test import lesion_test

PACKAGES = ("torch", "numpy", "scipy")
TV_WEIGHTS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # the oracle chooses among them for every volume
PEERS = ("dds", "reddiff", "mbir")  # with as many network calls as one sample of NA-DDS, so in the same time
NOISY = "20 views, 1e4 photons"  # the case in which lesions are looked for
USUAL = tuple(CASES)[:4]


@dataclass(frozen=True)
class Bench:
    """What is run."""

    runs: Runs
    sources: tuple[str, ...]
    cases: tuple[str, ...]
    volumes: int | None  # at most so many of each kind

    def fresh(self, source: str) -> list[Study]:
        """Volumes that are scored."""
        return [Study(source, number) for number in SOURCES[source].fresh[: self.volumes]]

    def calibrating(self, source: str) -> list[Study]:
        """Other volumes, which only calibrate."""
        return [Study(source, number) for number in SOURCES[source].calibration[: self.volumes]]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every source with every case."""
        return ((source, case) for source in self.sources for case in self.cases)


def quality(bench: Bench) -> Iterator[Row]:
    """Every diffusion solver against oracle-tuned total variation; differences with their interval over volumes."""
    for source, case in bench.pairs():
        oracle = [best_tv(bench.runs, study, case) for study in bench.fresh(source)]
        yield classical_row(bench, source, case, oracle)
        several = [bench.runs.result(study, case, "nadds", samples=bench.runs.samples) for study in bench.fresh(source)]
        yield over_tv(f"{source}, {case}, nadds, mean of {bench.runs.samples}", several, oracle)
        yield over_tv(f"{source}, {case}, nadds, one sample", [result.get("first", result) for result in several], oracle)
        for method in PEERS:
            results = [bench.runs.result(study, case, method) for study in bench.fresh(source)]
            yield over_tv(f"{source}, {case}, {method}, one sample", results, oracle)


def best_tv(runs: Runs, study: Study, case: str) -> dict:
    """The total variation result with the largest PSNR."""
    return max((runs.result(study, case, "tv", weight=weight) for weight in TV_WEIGHTS), key=lambda result: result["psnr"])


def over_tv(name: str, results: Sequence[dict], oracle: Sequence[dict]) -> Row:
    """A row of PSNR, ours and that of total variation, over the same volumes."""
    failed = [result["failed"] for result in results if "failed" in result]
    if failed:
        return Row("psnr_over_tv", name, note=f"no result for {len(failed)} of {len(results)} volumes: {failed[0]}")
    gain = average([ours["psnr"] - theirs["psnr"] for ours, theirs in zip(results, oracle)])
    chi2 = [result["chi2"] for result in results if result["chi2"] is not None]
    note = (
        f"{gain.cases} volumes; SSIM {mean(results, 'ssim'):.3f} (TV {mean(oracle, 'ssim'):.3f}), "
        f"MAE {mean(results, 'mae_hu'):.1f} HU (TV {mean(oracle, 'mae_hu'):.1f}), roughness along z "
        f"{mean(results, 'tvz_ratio'):.2f} (TV {mean(oracle, 'tvz_ratio'):.2f}), {mean(results, 'calls'):.0f} network calls"
    )
    note += f", chi2 {np.mean(chi2):.2f}" if chi2 else ""
    values = {"ours": mean(results, "psnr"), "theirs": mean(oracle, "psnr"), "difference": gain.mean, **ends(gain)}
    return Row("psnr_over_tv", name, unit="dB", peer="3-D TV, oracle weight", note=note, **values)


def classical_row(bench: Bench, source: str, case: str, oracle: Sequence[dict]) -> Row:
    """Total variation and, for scale, what needs no weight."""
    names = ("cgls", "sirt") if CASES[case].arc_deg < 180 else ("fbp", "cgls", "sirt")  # no direct inverse of a short arc
    found = {name: [bench.runs.result(study, case, name) for study in bench.fresh(source)] for name in names}
    note = ", ".join(f"{name} {mean(results, 'psnr'):.1f} dB" for name, results in found.items())
    return Row("psnr_classical", f"{source}, {case}, 3-D TV with oracle weight", mean(oracle, "psnr"), "dB", note=note)


def coverage(bench: Bench) -> Iterator[Row]:
    """Percent of the body's voxels that lie within calibrated 90 % intervals, on volumes that took no part in calibration."""
    for source, case in bench.pairs():
        run = lambda study, case=case: bench.runs.result(study, case, "nadds", samples=bench.runs.samples)
        scores = [tuple(run(study)["scores"]) for study in bench.calibrating(source)]
        calibration, results = calibrate(scores, floor=FLOOR_HU, conditions={}), [run(study) for study in bench.fresh(source)]
        raw, too_sure = mean(results, "raw_90"), mean(results, "too_sure")
        for aim in ("volumes", "voxels"):
            scale, name = calibration.scale(0.9, aim), f"{source}, {case}, {bench.runs.samples} samples, aim {aim}"
            if math.isinf(scale):
                yield Row("coverage_90", name, note=f"{len(scores)} volumes are too few to calibrate")
                continue
            covered = average([100 * float(np.interp(scale, result["scores"], SHARES, left=0.0)) for result in results])
            note = f"95 % interval {covered.low:.1f} to {covered.high:.1f} over {covered.cases} volumes, scale {scale:.2f}, "
            note += f"{len(scores)} others calibrate; uncalibrated {100 * raw:.0f} %, RMS error {too_sure:.1f} times RMS spread"
            yield Row("coverage_90", name, covered.mean, "%", 90.0, "nominal", difference=covered.mean - 90, note=note)


def lesions(bench: Bench) -> Iterator[Row]:
    """Whether nodules of digital chests survive: the area under the curve of an observer who knows where to look."""
    for case in {NOISY} & set(bench.cases) if "phantom" in bench.sources else ():
        studies = [LesionStudy(number) for number in NODULES[: bench.volumes]]
        pairs = [study.pair() for study in studies]
        found = {}
        for method, samples in (("nadds", bench.runs.samples), ("tv", 1)):
            found[method] = lesion_test(pairs, [bench.runs.response(study, case, method, samples=samples) for study in studies])
        told = [
            f"{method}: contrast left {test.recovery:.2f} (95 % of nodules {test.low:.2f} to {test.high:.2f}), "
            f"largest painted {test.painted:.2f}"
            for method, test in found.items()
        ]
        note = f"{len(pairs)} nodules of 8 to 15 mm radius; " + "; ".join(told)
        auc = {method: test.auc for method, test in found.items()}
        values = {"ours": auc["nadds"], "theirs": auc["tv"], "difference": auc["nadds"] - auc["tv"]}
        yield Row("lesion_auc", f"phantom, {case}, nadds, mean of {bench.runs.samples}", peer="3-D TV", note=note, **values)


def speed(bench: Bench) -> Iterator[Row]:
    """Seconds per slice of every method with the same prior, for as many network calls as it is given, and of TV."""
    source, case = bench.sources[0], bench.cases[0]
    for method in ("nadds", *PEERS, "tv"):
        weight = TV_WEIGHTS[2] if method == "tv" else None
        results = [bench.runs.result(study, case, method, weight=weight) for study in bench.fresh(source)]
        results = [result for result in results if "failed" not in result]
        if not results:
            continue
        seconds = float(np.median([result["seconds"] for result in results])) / SLICES
        note = f"{mean(results, 'calls'):.0f} network calls per slice, {mean(results, 'psnr'):.1f} dB"
        yield Row("seconds_per_slice", f"{source}, {case}, {method}, {torch.get_num_threads()} thread", seconds, "s", note=note)


def mean(results: Sequence[dict], name: str) -> float:
    """Of one number over results."""
    return float(np.mean([result[name] for result in results]))


def ends(found: Average) -> dict[str, float | None]:
    """The interval's ends; None for a single volume."""
    return {name: None if math.isnan(value) else value for name, value in (("low", found.low), ("high", found.high))}


PARTS = {"quality": quality, "coverage": coverage, "lesions": lesions, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconstruction", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one volume, few calls; nothing is written")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run (default: all)")
    parser.add_argument("--data", nargs="+", choices=SOURCES, default=list(SOURCES), help="volumes (default: all)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(USUAL), help="default: all but 60 views")
    parser.add_argument("--volumes", type=int, help="at most so many of each kind (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs = Runs(calls=4, samples=2) if arguments.quick else Runs()
    volumes = 1 if arguments.quick else arguments.volumes
    bench = Bench(runs, tuple(arguments.data), tuple(arguments.cases), volumes)
    rows = []
    for part in arguments.only:
        for row in PARTS[part](bench):
            rows.append(row)
            print(line(row), flush=True)
    if not arguments.quick:
        print(f"written: {write('reconstruction', kept('reconstruction', rows, PACKAGES) + rows, PACKAGES)}", file=sys.stderr)


if __name__ == "__main__":
    main()
