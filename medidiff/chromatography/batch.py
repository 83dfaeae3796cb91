"""Fits of many chromatograms at once, in batches, here or spread over the workers of a Dask cluster."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from medidiff.chromatography.levenberg import minimise
from medidiff.chromatography.parameters import LOGARITHMIC
from medidiff.chromatography.problem import Problem, evaluate, pose
from medidiff.chromatography.refusals import check_freedom, check_times
from medidiff.chromatography.search import Search
from medidiff.chromatography.solver import REWEIGHTINGS, SETTLED, soft_weights
from medidiff.chromatography.uncertainty import uncertainty
from physics.chromatography.peaks import Peaks

CHUNK = 32  # chromatograms of one batch: what stays in a cache


@dataclass(frozen=True)
class Fits:
    """Results of b chromatograms; parameters in the order theta (by `free`), areas, baseline coefficients."""

    theta: Tensor  # (b, p)       logarithms of k, kd, hold-up time, dispersion; others in s
    areas: Tensor  # (b, component)
    baseline: Tensor  # (b, order)   coefficients of Legendre polynomials over the time axis
    deviations: Tensor  # (b, q)       standard deviations, relative for logarithms
    sigma: Tensor  # (b,)         standard deviation of the residual
    is_converged: Tensor  # (b,)   bool; False with nan everywhere for a chromatogram that could not be computed
    is_at_bound: Tensor  # (b, p)  bool
    iterations: Tensor  # (b,)
    slices: dict[str, slice]  # where each quantity sits in theta

    def __getitem__(self, quantity: str) -> Tensor:
        """Values of one fitted quantity (b, component or 1), in its own unit."""
        values = self.theta[:, self.slices[quantity]]
        return values.exp() if quantity in LOGARITHMIC else values


def fit_many(
    times: Tensor,
    signals: Tensor,
    start: Peaks,
    *,
    free: tuple[str, ...] = ("retention", "desorption"),
    search: Search | None = None,
    client=None,
) -> Fits:
    """The fits of many chromatograms on one time axis: what `fit_chromatogram` finds, without its sentences.

    times     (time,)               s
    signals   (b, time)
    start     (b or 1, component)   first guess and instrument
    client                          a dask.distributed.Client that spreads the batches; None computes here

    Results do not depend on the client: the batches are the same. A chromatogram that fails leaves the others alone; one
    at a bound or without convergence says so instead of raising. Raises DataError and ConfigError as `fit_chromatogram`.
    """
    search = search or Search()
    times, signals = (torch.as_tensor(each, dtype=torch.float64) for each in (times, signals))
    check_times(times, signals, source="chromatograms")
    check_freedom(free, start.shape[1], priors=tuple(search.priors))
    problem = pose(times, signals, start, free=free, search=search)
    bounds = problem.parameters.limits(search.bounds)
    pieces = [torch.arange(i, min(i + CHUNK, len(signals))) for i in range(0, len(signals), CHUNK)]
    jobs = [(problem.rows(piece), (bounds[0][piece], bounds[1][piece]), search) for piece in pieces]
    if client is None:
        return _joined([_fit_piece(job) for job in jobs])
    return _joined(client.gather(client.map(_fit_piece, jobs, pure=False)))


def refit(
    problem: Problem, theta: Tensor, *, bounds: tuple[Tensor, Tensor], search: Search
) -> tuple[Tensor, Tensor, Tensor, Problem]:
    """`minimise`, for `soft_l1` repeated with new weights until they settle; the last problem comes back too."""
    theta, converged, steps = minimise(problem, theta, bounds=bounds, iterations=search.iterations)
    if search.loss == "linear":
        return theta, converged, steps, problem
    weighted = problem
    for _ in range(REWEIGHTINGS):
        weights = soft_weights(problem, evaluate(weighted, theta).curve)
        settled = (weights - weighted.weights).abs().max() <= SETTLED * problem.weights.max()
        weighted = replace(problem, weights=weights)
        theta, converged, more = minimise(weighted, theta, bounds=bounds, iterations=search.iterations)
        steps = steps + more
        if settled:
            break
    return theta, converged, steps, weighted


def _fit_piece(job: tuple[Problem, tuple[Tensor, Tensor], Search]) -> Fits:
    """One batch; where it cannot be computed together, each chromatogram alone."""
    problem, bounds, search = job
    try:
        return _fit_batch(problem, bounds, search)
    except ValueError:
        if len(problem.signal) == 1:
            return _failed(problem)
    single = [torch.tensor([i]) for i in range(len(problem.signal))]
    return _joined([_fit_piece((problem.rows(i), (bounds[0][i], bounds[1][i]), search)) for i in single])


def _fit_batch(problem: Problem, bounds: tuple[Tensor, Tensor], search: Search) -> Fits:
    start = problem.parameters.pack(problem.parameters.base)
    theta, converged, steps, problem = refit(problem, start, bounds=bounds, search=search)
    evaluation = evaluate(problem, theta)
    known = uncertainty(problem, evaluation)
    components = problem.parameters.base.shape[1]
    areas, baseline = evaluation.coefficients[:, :components], evaluation.coefficients[:, components:]
    at_bound = (theta <= bounds[0]) | (theta >= bounds[1])
    return Fits(theta, areas, baseline, known.deviations, known.deviation, converged, at_bound, steps, problem.parameters.slices)


def _failed(problem: Problem) -> Fits:
    """Not a number for the one chromatogram of a problem."""
    count, components, order = len(problem.parameters.labels), problem.parameters.base.shape[1], len(problem.baseline)
    nan = torch.full((1, 2 * count + 2 * components + 2 * order + 1), torch.nan, dtype=torch.float64)
    sizes = [count, components, order, count + components + order, 1]
    theta, areas, baseline, deviations, sigma = nan[:, : sum(sizes)].split(sizes, dim=1)
    no = torch.zeros((1, count), dtype=torch.bool)
    zero = torch.zeros(1, dtype=torch.int64)
    return Fits(theta, areas, baseline, deviations, sigma[:, 0], no[:, 0], no, zero, problem.parameters.slices)


def _joined(parts: list[Fits]) -> Fits:
    """Batches one after the other."""
    names = [field.name for field in fields(Fits) if field.name != "slices"]
    return Fits(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names}, slices=parts[0].slices)
