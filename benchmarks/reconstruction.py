"""What the prior is worth: decibels over 3-D total variation whose weight was chosen with the answer in hand, and what they cost.

    python -m benchmarks.reconstruction [--quick] [--only quality auto coverage ...] [--data phantom real] [--cases ...]

Volumes are digital chests of fresh seeds, and heads and necks that no prior has seen, from the folder that MEDIDIFF_MIRROR names;
their values are clipped to the window of the prior, the truth's too.
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
from medidiff.metrics.attenuation import BANDS_HU
from medidiff.metrics.averages import Average, average
from medidiff.metrics.image import PLANES
from medidiff.reconstruction.intervals import SHARES, calibrate
from medidiff.reconstruction.lesion_test import lesion_test

PACKAGES = ("torch", "numpy", "scipy")
TV_WEIGHTS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # the oracle chooses among them for every volume
FIRST_PLACE = 3  # where it begins
SCREENED = 200  # iterations by which weights are compared; 100 chose a neighbour of the best over 90 degrees
CONVERGED = 500  # iterations of the best weight: from 200 on it gains .2 to .3 dB at 8 views, hardly anything after 600
FEW = 10  # network calls of the fast mode
WRONG_PRIOR = "ct-head-neck"  # for chests
NOISY = "20 views, 1e4 photons"  # the case in which lesions are looked for


@dataclass(frozen=True)
class Bench:
    """What is run."""

    runs: Runs
    sources: tuple[str, ...]
    cases: tuple[str, ...]  # none: those of each source
    volumes: int | None  # at most so many of each kind

    def fresh(self, source: str) -> list[Study]:
        """Volumes that are scored."""
        return [Study(source, number) for number in SOURCES[source].fresh[: self.volumes]]

    def calibrating(self, source: str) -> list[Study]:
        """Other volumes, which only calibrate."""
        return [Study(source, number) for number in SOURCES[source].calibration[: self.volumes]]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every source with every case."""
        return ((source, case) for source in self.sources for case in self.cases or SOURCES[source].cases)


def quality(bench: Bench) -> Iterator[Row]:
    """Every diffusion solver against oracle-tuned total variation; differences with their interval over volumes."""
    for source in bench.sources:  # volume by volume, so that a run that is stopped leaves whole volumes
        for study in bench.fresh(source):
            for case in bench.cases or SOURCES[source].cases:
                of_all(bench, study, case)
    for source, case in bench.pairs():
        found = [of_all(bench, study, case) for study in bench.fresh(source)]
        oracle, samples = [results["oracle"] for results in found], SOURCES[source].samples
        yield classical_row(bench, source, case, oracle)
        several = [results["nadds"] for results in found]
        yield over_tv(f"{source}, {case}, nadds, mean of {samples}", several, oracle)
        yield over_tv(f"{source}, {case}, nadds, one sample", [result.get("first", result) for result in several], oracle)
        yield over_tv(f"{source}, {case}, nadds, one sample of {FEW} calls", [results["few"] for results in found], oracle)
        for method in SOURCES[source].peers:
            how = "weight by held-out views" if method == "tv" else "one sample"
            yield over_tv(f"{source}, {case}, {method}, {how}", [results[method] for results in found], oracle)


def of_all(bench: Bench, study: Study, case: str) -> dict[str, dict]:
    """The result of each method; `oracle` is total variation whose weight saw the truth."""
    runs, source = bench.runs, SOURCES[study.source]
    found = {"oracle": best_tv(runs, study, case), "nadds": runs.result(study, case, "nadds", samples=source.samples)}
    found["few"] = runs.result(study, case, "nadds", calls=FEW)
    return found | {method: runs.result(study, case, method) for method in source.peers}


def best_tv(runs: Runs, study: Study, case: str) -> dict:
    """The total variation result with the largest PSNR: uphill from weight to weight, the best one then converged."""
    place, before = FIRST_PLACE, -1
    while place != before:
        before, near = place, range(max(0, place - 1), min(len(TV_WEIGHTS), place + 2))
        place = max(near, key=lambda at: runs.result(study, case, "tv", weight=TV_WEIGHTS[at], iterations=SCREENED)["psnr"])
    return runs.result(study, case, "tv", weight=TV_WEIGHTS[place], iterations=CONVERGED)


def auto(bench: Bench) -> Iterator[Row]:
    """What `auto` loses against the better of total variation and NA-DDS, with the right prior and with one of other images."""
    for case in bench.cases or CASES:
        studies = bench.fresh("phantom")
        for prior in (SOURCES["phantom"].prior, WRONG_PRIOR):
            run = lambda study, method, prior=prior, case=case: bench.runs.result(study, case, method, prior=prior)
            found = [{name: run(study, name) for name in ("auto", "tv", "nadds")} for study in studies]
            lost = [each["auto"]["psnr"] - max(each["tv"]["psnr"], each["nadds"]["psnr"]) for each in found]
            names = [each["auto"]["chosen"] for each in found]
            note = f"{len(lost)} volumes; worst {min(lost):.2f} dB; chose " + ", ".join(names)
            better = [max(each["tv"]["psnr"], each["nadds"]["psnr"]) for each in found]
            values = {"ours": mean([each["auto"] for each in found], "psnr"), "theirs": float(np.mean(better))}
            yield Row(
                "auto",
                f"phantom, {case}, prior {prior}",
                unit="dB",
                peer="the better",
                difference=float(np.mean(lost)),
                note=note,
                **values,
            )


def over_tv(name: str, results: Sequence[dict], oracle: Sequence[dict]) -> Row:
    """A row of PSNR, ours and that of total variation, over the same volumes."""
    failed = [result["failed"] for result in results if "failed" in result]
    if failed:
        return Row("psnr_over_tv", name, note=f"no result for {len(failed)} of {len(results)} volumes: {failed[0]}")
    gain = average([ours["psnr"] - theirs["psnr"] for ours, theirs in zip(results, oracle)])
    chi2 = [result["chi2"] for result in results if result["chi2"] is not None]
    note = (
        f"{gain.cases} volumes; {beside_tv(results, oracle)}, {mean(results, 'calls'):.0f} network calls, "
        f"{np.median([result['seconds'] for result in results]):.0f} s"
    )
    note += f", chi2 {np.mean(chi2):.2f}" if chi2 else ""
    values = {"ours": mean(results, "psnr"), "theirs": mean(oracle, "psnr"), "difference": gain.mean, **ends(gain)}
    return Row("psnr_over_tv", name, unit="dB", peer="3-D TV, oracle weight", note=note, **values)


def beside_tv(results: Sequence[dict], oracle: Sequence[dict]) -> str:
    """Similarity in every plane, errors of CT numbers in every tissue and roughness; in brackets those of total variation."""
    both = lambda name, digits: f"{mean(results, name):.{digits}f} ({mean(oracle, name):.{digits}f})"
    similar = ", ".join(f"{plane} {both(f'ssim_{plane}', 3)}" for plane in PLANES)
    errors = ", ".join(f"{tissue} {both(f'mae_{tissue}_hu', 0)}" for tissue in BANDS_HU)
    return f"SSIM {similar}; MAE {both('mae_hu', 1)} HU: {errors}; roughness along z {both('tvz_ratio', 2)}"


def classical_row(bench: Bench, source: str, case: str, oracle: Sequence[dict]) -> Row:
    """Total variation and, for scale, what needs no weight."""
    names = ("cgls", "sirt") if CASES[case].arc_deg < 180 else ("fbp", "cgls", "sirt")  # no direct inverse of a short arc
    found = {name: [bench.runs.result(study, case, name) for study in bench.fresh(source)] for name in names}
    note = ", ".join(f"{name} {mean(results, 'psnr'):.1f} dB" for name, results in found.items())
    return Row("psnr_classical", f"{source}, {case}, 3-D TV with oracle weight", mean(oracle, "psnr"), "dB", note=note)


def coverage(bench: Bench) -> Iterator[Row]:
    """Percent of the body's voxels that lie within calibrated 90 % intervals, on volumes that took no part in calibration."""
    for source, case in bench.pairs():
        samples = SOURCES[source].samples
        run = lambda study, case=case, samples=samples: bench.runs.result(study, case, "nadds", samples=samples)
        scores = [tuple(run(study)["scores"]) for study in bench.calibrating(source)]
        calibration, results = calibrate(scores, floor=FLOOR_HU, conditions={}), [run(study) for study in bench.fresh(source)]
        raw, too_sure = mean(results, "raw_90"), mean(results, "too_sure")
        for aim in ("volumes", "voxels"):
            scale, name = calibration.scale(0.9, aim), f"{source}, {case}, {samples} samples, aim {aim}"
            if math.isinf(scale):
                yield Row("coverage_90", name, note=f"{len(scores)} volumes are too few to calibrate")
                continue
            covered = average([100 * float(np.interp(scale, result["scores"], SHARES, left=0.0)) for result in results])
            note = f"95 % interval {covered.low:.1f} to {covered.high:.1f} over {covered.cases} volumes, scale {scale:.2f}, "
            note += f"{len(scores)} others calibrate; uncalibrated {100 * raw:.0f} %, RMS error {too_sure:.1f} times RMS spread"
            yield Row("coverage_90", name, covered.mean, "%", 90.0, "nominal", difference=covered.mean - 90, note=note)


def lesions(bench: Bench) -> Iterator[Row]:
    """Whether nodules of digital chests survive: the area under the curve of an observer who knows where to look."""
    own = SOURCES["phantom"]
    for case in {NOISY} & set(bench.cases or own.cases) if "phantom" in bench.sources else ():
        studies = [LesionStudy(number) for number in NODULES[: bench.volumes]]
        pairs = [study.pair() for study in studies]
        found = {}
        for method, samples in (("nadds", own.samples), ("tv", 1)):
            found[method] = lesion_test(pairs, [bench.runs.response(study, case, method, samples=samples) for study in studies])
        told = [
            f"{method}: contrast left {test.recovery:.2f} (95 % of nodules {test.low:.2f} to {test.high:.2f}), "
            f"largest painted {test.painted:.2f}"
            for method, test in found.items()
        ]
        note = f"{len(pairs)} nodules of 8 to 15 mm radius; " + "; ".join(told)
        auc = {method: test.auc for method, test in found.items()}
        values = {"ours": auc["nadds"], "theirs": auc["tv"], "difference": auc["nadds"] - auc["tv"]}
        yield Row("lesion_auc", f"phantom, {case}, nadds, mean of {own.samples}", peer="3-D TV", note=note, **values)


def speed(bench: Bench) -> Iterator[Row]:
    """Seconds per slice of every method with the same prior, for as many network calls as it is given, and of TV."""
    source, case = next(bench.pairs())
    for method in dict.fromkeys(("nadds", *SOURCES[source].peers, "tv")):
        changes = {"weight": TV_WEIGHTS[FIRST_PLACE]} if method == "tv" else {}
        results = [bench.runs.result(study, case, method, **changes) for study in bench.fresh(source)]
        results = [result for result in results if "failed" not in result]
        if not results:
            continue
        seconds = float(np.median([result["seconds"] for result in results])) / SLICES[source]
        note = f"{mean(results, 'calls'):.0f} network calls per slice, {mean(results, 'psnr'):.1f} dB"
        yield Row("seconds_per_slice", f"{source}, {case}, {method}, {torch.get_num_threads()} thread", seconds, "s", note=note)


def mean(results: Sequence[dict], name: str) -> float:
    """Of one number over the results that have it: not every volume holds every tissue."""
    return float(np.mean([result[name] for result in results if result[name] is not None]))


def ends(found: Average) -> dict[str, float | None]:
    """The interval's ends; None for a single volume."""
    return {name: None if math.isnan(value) else value for name, value in (("low", found.low), ("high", found.high))}


PARTS = {"quality": quality, "auto": auto, "coverage": coverage, "lesions": lesions, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconstruction", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one volume, few calls; nothing is written")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run (default: all)")
    parser.add_argument("--data", nargs="+", choices=SOURCES, default=list(SOURCES), help="volumes (default: all)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[], help="default: those of each kind")
    parser.add_argument("--volumes", type=int, help="at most so many of each kind (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs = Runs(calls=4) if arguments.quick else Runs()
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
