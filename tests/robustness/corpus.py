"""The corpus: damaged and odd copies of every seed, each read in a process of its own. `python -m tests.robustness.corpus`."""

import argparse
import gc
import json
import shutil
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tests.robustness import array_seeds, dicom_seeds, text_seeds
from tests.robustness.mutation import EQUAL, PLACED, READ, REFUSED, Mutation, of_bytes, of_folders
from tests.robustness.seed import Seed
from tests.robustness.trial import CANARY, Found, Outcome, attempt

SEEDS = (*dicom_seeds.SEEDS, *array_seeds.SEEDS, *text_seeds.SEEDS)


@dataclass(frozen=True)
class Case:
    """One mutation of one seed, and the number that its random choices follow from."""

    seed: Seed
    mutation: Mutation
    number: int


@dataclass(frozen=True)
class Result:
    """What came of a case; `fault` is empty where that is as it must be."""

    seed: str
    mutation: str
    number: int
    word: str
    message: str
    seconds: float
    megabytes: float
    fault: str


def cases(count: int) -> Iterator[Case]:
    """So many cases, spread evenly over the seeds; of each seed its own mutations and those of bytes take turns."""
    for at, seed in enumerate(SEEDS):
        share = count // len(SEEDS) + (at < count % len(SEEDS))
        random = np.random.default_rng(zlib.crc32(seed.name.encode()))
        general = [*of_bytes(seed.bytes_give), *of_folders()]
        named = [seed.named[k] for k in random.permutation(len(seed.named))]
        for number in range(share):
            own = number // 2 if number < 2 * len(named) else len(named)
            mutation = named[own] if number % 2 == 0 and own < len(named) else general[random.integers(len(general))]
            yield Case(seed, mutation, number)


def run(count: int, *, only: str = "", mutation: str = "") -> Iterator[Result]:
    """The result of every case; `only` and `mutation` keep those whose names begin so."""
    torch.set_num_threads(1)  # a process that forks must have no other threads
    gc.collect(), gc.freeze()  # what is imported is shared with every trial, and not looked at again by its collector
    with tempfile.TemporaryDirectory(prefix="medidiff-corpus-") as root:
        originals: dict[str, tuple[Path, Found]] = {}
        for case in cases(count):
            if not case.seed.name.startswith(only) or not case.mutation.name.startswith(mutation):
                continue
            if case.seed.name not in originals:
                originals[case.seed.name] = _original(case.seed, Path(root))
            yield _run(case, *originals[case.seed.name], Path(root) / "trial")


def _original(seed: Seed, root: Path) -> tuple[Path, Found]:
    folder = root / seed.name.replace(" ", "-")
    folder.mkdir()
    seed.write(folder)
    outcome = attempt(seed.read, folder)
    assert outcome.found is not None, f"{seed.name}: the seed itself is {outcome.word}: {outcome.message}"
    return folder, outcome.found


def _run(case: Case, original: Path, expected: Found, place: Path) -> Result:
    shutil.rmtree(place, ignore_errors=True)
    folder = place / "study"
    shutil.copytree(original, folder)
    random = np.random.default_rng([zlib.crc32(f"{case.seed.name}|{case.mutation.name}".encode()), case.number])
    case.mutation.change(folder, random)
    before = {path.name for path in place.parent.iterdir()}
    outcome = attempt(case.seed.read, folder)
    fault = _fault(case, outcome, expected)
    if not fault and CANARY in outcome.message + (place / "study.said").read_text(errors="replace"):
        fault = "a name of the patient was told"
    if not fault and {path.name for path in place.parent.iterdir()} != before:
        fault = "a file was written outside"
    numbers = round(outcome.seconds, 3), round(outcome.megabytes)
    return Result(case.seed.name, case.mutation.name, case.number, outcome.word, outcome.message, *numbers, fault)


def _fault(case: Case, outcome: Outcome, expected: Found) -> str:
    """Why an outcome is not as it must be; "" where it is."""
    if outcome.word in ("crashed", "hung", "large"):
        return outcome.word
    if outcome.word == "refused":
        return "refused, which it must not" if case.mutation.expect == READ else ""
    given = outcome.found
    is_placed = len(given.grid) == len(expected.grid) and bool(
        np.allclose(given.grid, expected.grid, rtol=0, atol=case.seed.near)
    )
    is_equal = is_placed and given.content == expected.content
    allowed = {REFUSED: False, PLACED: is_placed, EQUAL: is_equal, READ: is_equal}.get(case.mutation.expect, True)
    return (
        ""
        if allowed
        else f"accepted in silence ({'the same' if is_equal else 'in the same place' if is_placed else 'elsewhere'})"
    )


def summary(results: list[Result]) -> dict:
    """Numbers of a run: outcomes, faults, and the worst time and memory."""
    return {
        "cases": len(results),
        "seeds": len({result.seed for result in results}),
        "outcomes": dict(Counter(result.word for result in results)),
        "faults": sum(bool(result.fault) for result in results),
        "worst_seconds": max((result.seconds for result in results), default=0),
        "worst_megabytes": max((result.megabytes for result in results), default=0),
    }


def main() -> None:
    """Runs the corpus; prints every fault as a line of JSON when it is found, and the summary as the last one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="cases in all")
    parser.add_argument("--only", default="", help="seeds whose name begins so")
    parser.add_argument("--mutation", default="", help="mutations whose name begins so")
    chosen = parser.parse_args()
    results = []
    for result in run(chosen.count, only=chosen.only, mutation=chosen.mutation):
        results.append(result)
        if result.fault:
            sys.stdout.write(json.dumps(asdict(result)) + "\n")
            sys.stdout.flush()
    sys.stdout.write(json.dumps(summary(results)) + "\n")


if __name__ == "__main__":
    main()
