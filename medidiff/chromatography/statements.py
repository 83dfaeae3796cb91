"""What a fit says about itself: refusals of results that mean nothing, and sentences on what to know about the rest."""

from collections.abc import Sequence

import torch
from torch import Tensor

from medidiff.chromatography.dependence import dependence_sentence, dependences
from medidiff.chromatography.noise import durbin_watson
from medidiff.chromatography.parameters import LOGARITHMIC, NOT_NEGATIVE
from medidiff.chromatography.refusals import sampling_sentences, unit_sentences
from medidiff.chromatography.solver import MISFIT, Solution
from medidiff.chromatography.uncertainty import FLAT, SINGULAR, Uncertainty
from medidiff.chromatography.wording import describe_direction, name_of
from medidiff.errors import NumericsError
from physics.chromatography.inversion import mean_and_variance

CORRELATED = 1.5  # Durbin-Watson statistic below which a residual is no white noise
AT_BOUND = 0.01  # of a standard deviation

Labels = tuple[tuple[str, int | None], ...]


def refuse_singular(solution: Solution, known: Uncertainty, *, labels: Labels, analytes: Sequence[str]) -> None:
    """Raises NumericsError for a peak that is not there, or parameters that the data cannot tell apart at all."""
    absent = [name for name, area in zip(analytes, solution.evaluation.coefficients[0].tolist()) if area <= 0]
    if absent:
        raise NumericsError(
            f"the area of {', '.join(absent)} is not positive: the signal shows no such peak at its place. Correct the start, "
            "or leave the analyte out."
        )
    if float(known.singular[0, -1]) < SINGULAR:
        flattest = flat_sentences(solution, known, labels=labels, analytes=analytes)[-1]
        raise NumericsError(f"the Jacobian is singular. {flattest} Fix one of them, or give a prior.")


def refuse_stuck(
    solution: Solution, known: Uncertainty, *, bounds: tuple[Tensor, Tensor], labels: Labels, analytes: Sequence[str]
) -> None:
    """Raises NumericsError for a parameter at a bound, except for a time that is 0: that is a result."""
    for label, side, value in _stuck(solution, known, bounds, labels):
        if not (label[0] in NOT_NEGATIVE and side == "lowest" and value <= 0):
            shown = f"{torch.tensor(value).exp():.4g}" if label[0] in LOGARITHMIC else f"{value:.4g}"
            raise NumericsError(
                f"{name_of(label, analytes)} ended at its {side} value, {shown}. Give a better start, or wider bounds."
            )


def _stuck(solution: Solution, known: Uncertainty, bounds: tuple[Tensor, Tensor], labels: Labels) -> list[tuple]:
    """Label, side and bound of every theta at a bound."""
    theta = solution.theta[0]
    margin = AT_BOUND * known.deviations[0, : len(theta)]
    found = []
    for side, bound, distance in (
        ("lowest", bounds[0][0], theta - bounds[0][0]),
        ("highest", bounds[1][0], bounds[1][0] - theta),
    ):
        found += [(labels[i], side, float(bound[i])) for i in torch.nonzero(distance <= margin).flatten().tolist()]
    return found


def statements(solution: Solution, known: Uncertainty, *, labels: Labels, analytes: Sequence[str]) -> list[str]:
    """Sentences on what the data do not determine, and on signs that the model or the noise is not as assumed."""
    problem, peaks = solution.problem, solution.evaluation.peaks
    said = []
    if "retention" in problem.parameters.free:
        factors = problem.parameters.slices["retention"]
        fixed = tuple(name for name in ("hold_up", "delay") if name not in problem.parameters.free)
        said += [
            dependence_sentence(each, analytes, factors=factors)
            for each in dependences(problem, solution.evaluation, names=fixed)
        ]
    said += flat_sentences(solution, known, labels=labels, analytes=analytes)
    said += sampling_sentences(problem.times, mean_and_variance(peaks)[1][0].sqrt())
    said += unit_sentences((peaks.retention * peaks.desorption * peaks.hold_up)[0], analytes)
    return said + _quality_sentences(solution, labels, analytes)


def _quality_sentences(solution: Solution, labels: Labels, analytes: Sequence[str]) -> list[str]:
    """Sentences on samples left out, times that are 0, misfit and correlated residuals."""
    problem, said = solution.problem, []
    dropped = problem.times[problem.weights[0] == 0]
    if len(dropped):
        said.append(
            f"The detector is saturated at {float(dropped[0]):.4g} s: {len(dropped)} samples of its flat top are left out."
        )
    for label, value in zip(labels, solution.theta[0].tolist()):
        if label[0] in NOT_NEGATIVE and value <= 1e-9:
            said.append(f"The {name_of(label, analytes)} is 0, the least possible: the data ask for none.")
    if solution.misfit > MISFIT:
        said.append(
            f"The residual is {solution.misfit:.3g} times the noise: the model leaves out something that shapes the peaks."
        )
    watson = float(durbin_watson(solution.evaluation.residual[0, : len(problem.times)]))
    if watson < CORRELATED:
        said.append(
            f"The residual is correlated (Durbin-Watson {watson:.2f}, 2 for white noise): the covariances are too small, take "
            "the intervals of the block bootstrap."
        )
    if not solution.converged:
        said.append(f"The fit did not converge in {solution.iterations} iterations.")
    return said


def flat_sentences(solution: Solution, known: Uncertainty, *, labels: Labels, analytes: Sequence[str]) -> list[str]:
    """One sentence for every direction whose singular value is below 1e-3 of the largest."""
    times = float(solution.evaluation.peaks.hold_up.reshape(-1)[0])
    areas = dict(zip([("area", i) for i in range(len(analytes))], solution.evaluation.coefficients[0].tolist()))
    scales = torch.tensor(
        [1.0 if quantity in LOGARITHMIC else areas.get((quantity, i), times) for quantity, i in labels], dtype=torch.float64
    )
    flat = torch.nonzero(known.singular[0] < FLAT).flatten().tolist()
    return [
        describe_direction(known.directions[0, i], labels, analytes=analytes, scales=scales, visible=float(known.visible[0, i]))
        for i in flat
    ]
