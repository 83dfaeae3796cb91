"""The mechanistic fit of one whole chromatogram: all overlapping peaks at once, with what the data cannot determine."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.chromatography.parameters import LOGARITHMIC
from medidiff.chromatography.problem import Problem, pose
from medidiff.chromatography.refusals import check_finite, check_freedom, check_times
from medidiff.chromatography.search import Search
from medidiff.chromatography.solver import Solution, solve
from medidiff.chromatography.statements import refuse_singular, refuse_stuck, statements
from medidiff.chromatography.uncertainty import Uncertainty, uncertainty
from medidiff.chromatography.wording import name_of
from medidiff.errors import ConfigError, NumericsError
from physics.chromatography.peaks import Peaks

RATES = ("retention", "desorption")


@dataclass(frozen=True)
class Fit:
    """A fitted chromatogram; parameters in the order theta (k, kd, ... by `free`), areas, baseline coefficients."""

    peaks: Peaks  # (1, component)
    areas: Tensor  # (component,)   signal unit · s
    baseline: Tensor  # (time,)
    curve: Tensor  # (time,)        peaks and baseline
    residual: Tensor  # (time,)     signal - curve
    noise: float  # standard deviation of the signal's noise, from its baseline or as given
    sigma: float  # standard deviation of the residual
    analytes: tuple[str, ...]
    names: tuple[str, ...]  # of all parameters, for people
    labels: tuple[tuple[str, int | None], ...]  # quantity and component of each
    values: Tensor  # (q,)          logarithms for k, kd, hold-up time, dispersion
    uncertainty: Uncertainty  # (1, q)
    converged: bool
    iterations: int
    statements: tuple[str, ...]  # what to know about this result, above all what it does not determine
    problem: Problem  # what was solved, for `bootstrap` and `profile`
    theta: Tensor  # (1, p)
    bounds: tuple[Tensor, Tensor]  # of theta, each (1, p)

    @property
    def covariance(self) -> Tensor:
        """Covariance of all parameters (q, q), relative for logarithms."""
        return self.uncertainty.covariance[0]

    def deviation(self, quantity: str, component: int | None = None) -> float:
        """Standard deviation of one quantity in its own unit."""
        index = self.labels.index((quantity, component))
        deviation = float(self.uncertainty.deviations[0, index])
        return deviation * float(self.values[index].exp()) if quantity in LOGARITHMIC else deviation


def fit_chromatogram(
    times: Tensor,
    signal: Tensor,
    start: Peaks,
    *,
    free: tuple[str, ...] = RATES,
    search: Search | None = None,
    analytes: Sequence[str] = (),
) -> Fit:
    """The chromatogram's best peaks, areas and baseline in the least-squares sense, with their uncertainty.

    times      (time,)          s, increasing
    signal     (time,)          any unit
    start      (1, component)   first guess and the instrument; hold-up time and delay stay as here unless free
    free                        names of `parameters.FREE`
    analytes   (component,)     names for messages; default: numbers from 1

    Areas and baseline are eliminated (variable projection); the rest is bounded least squares with the exact Jacobian.
    Raises DataError for bad samples, ConfigError for a fit that cannot be determined from one peak or unknown names, and
    NumericsError for a parameter at a bound, a peak that is not there, a singular Jacobian or a result that is not finite.
    """
    search = search or Search()
    times, signal = (torch.as_tensor(each, dtype=torch.float64) for each in (times, signal))
    components = start.shape[1]
    analytes = tuple(analytes) or tuple(f"peak {i + 1}" for i in range(components))
    if start.shape[0] != 1 or len(analytes) != components or len(set(analytes)) < components:
        raise ConfigError(
            f"fit: start of shape {tuple(start.shape)} for analytes {', '.join(analytes)}; expected (1, analytes), all distinct."
        )
    sampling = check_times(times, signal, source="chromatogram")
    check_freedom(free, components, priors=tuple(search.priors))
    problem = pose(times, signal.unsqueeze(0), start, free=free, search=search)
    bounds = problem.parameters.limits(search.bounds)
    try:
        solution = solve(problem, bounds, search=search)
    except ValueError as error:
        raise NumericsError(f"chromatogram: the fit left the range of the model. {error}") from error
    check_finite(solution.evaluation.residual, "the residual", source="chromatogram")
    known = uncertainty(solution.problem, solution.evaluation)
    labels = all_labels(problem)
    refuse_singular(solution, known, labels=labels, analytes=analytes)
    refuse_stuck(solution, known, bounds=bounds, labels=labels, analytes=analytes)
    said = (*sampling, *statements(solution, known, labels=labels, analytes=analytes))
    return _fit(solution, known, bounds=bounds, analytes=analytes, said=said)


def all_labels(problem: Problem) -> tuple[tuple[str, int | None], ...]:
    """Quantity and component of every parameter: theta, areas, baseline coefficients."""
    areas = tuple(("area", i) for i in range(problem.parameters.base.shape[1]))
    return (*problem.parameters.labels, *areas, *(("baseline", i) for i in range(len(problem.baseline))))


def _fit(
    solution: Solution,
    known: Uncertainty,
    *,
    bounds: tuple[Tensor, Tensor],
    analytes: tuple[str, ...],
    said: tuple[str, ...],
) -> Fit:
    """Everything known about one solution."""
    problem, evaluation = solution.problem, solution.evaluation
    labels = all_labels(problem)
    components = len(analytes)
    curve = evaluation.curve[0]
    return Fit(
        peaks=evaluation.peaks,
        areas=evaluation.coefficients[0, :components],
        baseline=evaluation.coefficients[0, components:] @ problem.baseline,
        curve=curve,
        residual=problem.signal[0] - curve,
        noise=float(1 / problem.weights.max()),
        sigma=float(known.deviation[0]),
        analytes=analytes,
        names=tuple(name_of(label, analytes) for label in labels),
        labels=labels,
        values=torch.cat([solution.theta[0], evaluation.coefficients[0]]),
        uncertainty=known,
        converged=solution.converged,
        iterations=solution.iterations,
        statements=said,
        problem=problem,
        theta=solution.theta,
        bounds=bounds,
    )
