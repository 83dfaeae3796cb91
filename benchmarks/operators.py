"""What operators are worth: against references at equal time, against the own solver, as controllers, and as ensembles.

    python -m benchmarks.operators [--only methods solver control ensemble wavelets cells] [--systems burgers] [--seconds 60]

Needs the shipped operators, and makes their trajectories where `--data` does not hold them. neuraloperator, ptwt and
pytorch_wavelets are peers; a missing FNO is a row that says so. Times are the processor's. Writes results/operators.json.
"""

import argparse
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.operator_classical import SOLVERS, solved_on
from benchmarks.operator_control import controllers
from benchmarks.operator_methods import METHODS, Made, make, timed
from benchmarks.operator_solvers import solver_rows
from benchmarks.record import Row, clock, kept, line, write
from benchmarks.wavelets import wavelet_rows
from medidiff.io.prior_files import read_prior
from medidiff.metrics.bootstrap import bootstrap
from medidiff.metrics.ensemble import coverage, crps, spread_skill
from medidiff.metrics.pde import mean_square, pdebench_metrics
from medidiff.metrics.shock import shock_metrics
from medidiff.operators.calibration import half_width
from medidiff.operators.model import Operator, assemble_operator
from medidiff.operators.problem import Solved
from medidiff.operators.restrict import coarser_solved
from medidiff.operators.scores import comparable, ensemble_sampler, relative_errors
from medidiff.operators.task import ANSWER, simulate, super_resolve
from medidiff.training.settings import read_training
from medidiff.training.trajectories import OperatorSets, operator_sets

PACKAGES = ("torch", "numpy", "neuraloperator", "ptwt", "pytorch_wavelets")
ROOT = Path(__file__).parents[1]
CASES = 8  # of control
CELLS = {"burgers": (8, 16, 32, 64, 128), "shock": (16, 32, 64, 128), "advection": (16, 32, 64)}
WEIGHT = 0.01  # of the force


@dataclass(frozen=True)
class Bench:
    """What is run."""

    data: Path
    seconds: float  # of training for each method
    seed: int
    iterations: int  # of the adjoint optimum

    def operator(self, system: str) -> Operator:
        """The shipped one."""
        return assemble_operator(read_prior(ROOT / "models" / f"operator-{system}"))

    def sets(self, system: str) -> OperatorSets:
        """Its trajectories."""
        settings = self.settings(system)
        return operator_sets(settings, self.data / f"operator-{system}" / "data")

    def settings(self, system: str):
        """Those of its training."""
        return read_training(ROOT / "configs" / "priors" / f"operator-{system}.yaml").operator


def on_grid(operator: Operator, solved: Solved) -> Solved:
    """Trajectories averaged to the operator's cells."""
    return coarser_solved(solved, solved.problem.sizes[-1] // operator.card.cells[0])


def methods(bench: Bench, system: str) -> Iterator[Row]:
    """The form that is shipped against the other forms and the references, equal processor time, paired by trajectory."""
    operator, settings, found = bench.operator(system), bench.settings(system), bench.sets(system)
    test = on_grid(operator, found.test)
    errors = {}
    case = f"{system}, {bench.seconds:g} s of training each, {len(test)} test trajectories"
    for name, method in METHODS.items():
        if method.is_fno and importlib.util.find_spec("neuralop") is None:
            yield Row("relative_l2", case, peer="FNO", note="neuraloperator is not installed")
            continue
        made = make(name, settings, found.sets, card=operator.card, seconds=bench.seconds, seed=bench.seed)
        states, spent = _answer(made.operator, test)
        errors[name] = relative_errors(states, test.states)
        yield _against(case, errors, name, _told(made, spent, states, test, system))


def _against(case: str, errors: dict[str, np.ndarray], name: str, note: str) -> Row:
    ours, theirs = errors["residual"], errors[name]
    if name == "residual":
        return Row("relative_l2", case, float(ours.mean()), "of the norm", note=note)
    items = [str(index) for index in range(len(ours))]
    gap = bootstrap(lambda index: (ours[index] - theirs[index]).mean(), items)
    return Row(
        "relative_l2",
        case,
        float(ours.mean()),
        "of the norm",
        float(theirs.mean()),
        METHODS[name].label,
        difference=gap.value,
        low=gap.low,
        high=gap.high,
        note=note,
    )


def _answer(operator: Operator, test: Solved) -> tuple[torch.Tensor, float]:
    found, spent = timed(partial(simulate, operator, test.problem, members=1, sampler=ANSWER))
    return found.states[:, 0], 1e3 * spent / len(test)


def _told(made: Made, milliseconds: float, states: torch.Tensor, test: Solved, system: str) -> str:
    found, truth = comparable(states, test.states), comparable(test.states, test.states)
    numbers = pdebench_metrics(found, truth, lengths=(made.operator.card.length,))
    chosen = {name: numbers[name] for name in ("nrmse", "max_error", "frmse_low", "frmse_mid", "frmse_high")}
    chosen |= {"median": float(np.median(relative_errors(states, test.states))), "mse": mean_square(found, truth)}
    if system != "advection":
        chosen |= shock_metrics(found, truth)
    steps = " + ".join(str(count) for count in made.steps.values())
    told = ", ".join(f"{name} {value:.3g}" for name, value in chosen.items())
    return f"{steps} steps, {made.parameters / 1e6:.2f} M numbers, {milliseconds:.2f} ms per trajectory, {told}"


def solver(bench: Bench, system: str) -> Iterator[Row]:
    """Error against time per trajectory: the own solver on fewer cells, and the shipped operator."""
    operator, fine = bench.operator(system), bench.sets(system).test
    test = on_grid(operator, fine)
    for name, solve in SOLVERS[system].items():
        for cells in (size for size in CELLS[system] if size <= fine.problem.sizes[-1]):
            try:
                states, spent = timed(partial(solved_on, solve, fine.problem, operator.card, cells=cells))
            except ValueError as error:
                yield Row("error_vs_time", f"{system}, {name}, {cells} cells", note=f"fails: {str(error).split('.')[0]}")
                continue
            error = relative_errors(states, test.states)
            yield _point(f"{system}, {name}, {cells} cells", error, 1e3 * spent / len(test))
    states, spent = _answer(operator, test)
    yield _point(f"{system}, operator, one answer", relative_errors(states, test.states), spent)
    if "refiner" in operator.networks:
        yield from _refined(operator, fine)


def _refined(operator: Operator, fine: Solved) -> Iterator[Row]:
    times = fine.problem.sizes[-1] // operator.card.cells[0]
    for factor in (size for size in (2, 4) if size <= times):
        test = coarser_solved(fine, times // factor)
        found = super_resolve(operator, test.problem, sampler=ANSWER).states[:, 0]
        coarse = simulate(operator, coarser_solved(test, factor).problem, members=1, sampler=ANSWER).states[:, 0]
        flat = torch.nn.functional.interpolate(coarse.flatten(0, 2).unsqueeze(1), scale_factor=factor, mode="linear")
        ours, theirs = (relative_errors(one, test.states).mean() for one in (found, flat.reshape(found.shape)))
        case = f"{operator.card.system}, {factor} times as many cells"
        peer = "linear interpolation of the same answer"
        yield Row("super_resolution", case, ours, "of the norm", theirs, peer, difference=ours - theirs)


def _point(case: str, error: np.ndarray, milliseconds: float) -> Row:
    note = f"{milliseconds:.2f} ms per trajectory, median error {np.median(error):.4f}"
    return Row("error_vs_time", case, float(error.mean()), "of the norm", note=note)


def control_rows(bench: Bench) -> Iterator[Row]:
    """The objective through the solver of every controller of Burgers' equation."""
    operator, found = bench.operator("burgers"), bench.sets("burgers")
    cases, tuning = on_grid(operator, found.test).at(slice(0, CASES)), found.sets.validation
    results = controllers(operator, cases, tuning, weight=WEIGHT, iterations=bench.iterations)
    ours = results["model, 8 draws"]
    case = f"burgers, {CASES} cases, energy weight {WEIGHT:g}"
    for name, one in results.items():
        note = f"{one.seconds:.3f} s per case, median {float(one.actual.median()):.4g}"
        if one.predicted is not None:
            note += f", predicted {float(one.predicted.mean()):.4g}, gap {float((one.actual - one.predicted).mean()):.4g}"
        theirs = float(one.actual.mean())
        yield Row("control_objective", case, float(ours.actual.mean()), "J", theirs, name, note=note)


def ensemble(bench: Bench, system: str) -> Iterator[Row]:
    """Spread over skill, coverage of 90 % intervals and CRPS of the shipped operator on trajectories that nothing has seen."""
    operator, fine = bench.operator(system), bench.sets(system).test
    test = on_grid(operator, fine)
    found = simulate(operator, test.problem, members=8, sampler=ensemble_sampler(operator)).states
    members, truth = comparable(found, test.states), comparable(test.states, test.states)
    width = half_width(found, operator.card.interval_factor)
    case = f"{system}, 8 members, {len(test)} test trajectories"
    yield Row("spread_skill", case, spread_skill(members, truth), "", note="1 is calibrated")
    yield Row("coverage_90", case, coverage(found.mean(1).numpy(), width.numpy(), test.states.numpy()), "")
    note = "of one answer: its mean absolute error"
    answer, _ = _answer(operator, test)
    theirs = float(np.abs(comparable(answer, test.states) - truth).mean())
    yield Row("crps", case, crps(members, truth), "of the root mean square", theirs, "one answer", note=note)


def rows(bench: Bench, only: list[str], systems: list[str]) -> Iterator[Row]:
    """Everything that was asked for, one after the other."""
    for system in systems:
        for name, part in (("solver", solver), ("ensemble", ensemble), ("methods", methods)):
            if name in only:
                yield from part(bench, system)
    if "control" in only:
        yield from control_rows(bench)
    if "wavelets" in only:
        yield from wavelet_rows()
    if "cells" in only:
        yield from solver_rows()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["solver", "ensemble", "methods", "control", "wavelets", "cells"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--systems", nargs="+", choices=sorted(SOLVERS), default=["burgers", "shock"])
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time for the training of each method")
    parser.add_argument("--iterations", type=int, default=60, help="of L-BFGS for the adjoint optimum")
    parser.add_argument(
        "--data", type=Path, default=ROOT / "results" / "training", help="folder with trajectories of each operator"
    )
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    begin = clock()
    found: list[Row] = []
    path = None
    for row in rows(Bench(asked.data, asked.seconds, asked.seed, asked.iterations), asked.only, asked.systems):
        found.append(row)
        print(line(row), flush=True)
        path = write("operators", [*kept_rows(found), *found], PACKAGES)  # after each row: a run may be stopped
    print(path, f"{clock() - begin:.0f} s")


def kept_rows(found: list[Row]) -> list[Row]:
    """Rows of an earlier run that this one has not measured again; two systems share a name, so that cases are compared too."""
    names = {row.name for row in found}
    measured = {(row.name, row.case.split(",")[0]) for row in found}
    earlier = kept("operators", [], PACKAGES)
    return [row for row in earlier if row.name not in names or (row.name, row.case.split(",")[0]) not in measured]


if __name__ == "__main__":
    main()
