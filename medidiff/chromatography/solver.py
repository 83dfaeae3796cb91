"""Bounded nonlinear least squares of one problem: trust region with the analytic Jacobian, outliers, other starts."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor

from medidiff.chromatography.problem import Evaluation, Problem, evaluate
from medidiff.chromatography.search import Search

TOLERANCE = 1e-8
MISFIT = 5.0  # noise deviations of the residual: other starts are tried above
OTHER_STARTS = (0.3, 3.0)  # factors of kd
REWEIGHTINGS = 20
SETTLED = 1e-3  # largest relative change of a weight


@dataclass(frozen=True)
class Solution:
    """The best point found."""

    problem: Problem  # with the weights of the last reweighting
    theta: Tensor  # (1, p)
    evaluation: Evaluation
    converged: bool
    iterations: int  # evaluations of the Jacobian

    @property
    def misfit(self) -> float:
        """Root mean square of the whitened residual."""
        samples = self.evaluation.residual[0, : len(self.problem.times)]
        return float((samples**2).mean().sqrt())


def solve(problem: Problem, bounds: tuple[Tensor, Tensor], *, search: Search) -> Solution:
    """The best fit of one chromatogram (b = 1) from its start, and from others where that leaves 5 times the noise.

    bounds   (1, p) each   lowest and highest theta
    """
    start = problem.parameters.pack(problem.parameters.base)
    best = _robust(problem, start, bounds, search)
    part = problem.parameters.slices.get("desorption")
    if best.misfit > MISFIT and part is not None:
        for factor in OTHER_STARTS:
            other = start.clone()
            other[:, part] += float(np.log(factor))
            found = _robust(problem, other, bounds, search)
            best = found if found.evaluation.cost < best.evaluation.cost else best
    return best


def _robust(problem: Problem, start: Tensor, bounds: tuple[Tensor, Tensor], search: Search) -> Solution:
    """One fit; for `soft_l1` repeated with weights (1 + z^2)^(-1/4) of the last residual z until they settle."""
    solution = _trust_region(problem, start, bounds, search.iterations)
    if search.loss == "linear":
        return solution
    whole, iterations = problem.weights, solution.iterations
    for _ in range(REWEIGHTINGS):
        weights = soft_weights(problem, solution.evaluation.curve)
        settled = (weights - solution.problem.weights).abs().max() <= SETTLED * whole.max()
        solution = _trust_region(replace(problem, weights=weights), solution.theta, bounds, search.iterations)
        iterations += solution.iterations
        if settled:
            break
    return replace(solution, iterations=iterations)


def soft_weights(problem: Problem, curve: Tensor) -> Tensor:
    """Weights (b, time) whose squares are those of the soft L1 loss 2 (sqrt(1 + z^2) - 1), z the whitened residual."""
    z = (problem.signal - curve) * problem.weights
    return problem.weights * (1 + z**2) ** -0.25


def _trust_region(problem: Problem, start: Tensor, bounds: tuple[Tensor, Tensor], iterations: int) -> Solution:
    """scipy's bounded trust-region reflective method; residual and Jacobian of a point are computed together, once.

    The method uses nothing but |r|, J^T r and J^T J, so both are handed over as Q^T r (with the rest of |r|) and R of J = Q R.
    """
    known: dict[bytes, tuple[Evaluation, np.ndarray, np.ndarray]] = {}

    def at(theta: np.ndarray) -> tuple[Evaluation, np.ndarray, np.ndarray]:
        key = theta.tobytes()
        if key not in known:
            known.clear()
            evaluation = evaluate(problem, torch.from_numpy(theta.copy()).unsqueeze(0))
            known[key] = (evaluation, *_compressed(evaluation))
        return known[key]

    low, high = (bound[0].numpy() for bound in bounds)
    result = least_squares(
        lambda theta: at(theta)[1],
        np.clip(start[0].numpy(), low, high),
        jac=lambda theta: at(theta)[2],
        bounds=(low, high),
        method="trf",
        x_scale="jac",
        ftol=TOLERANCE,
        xtol=TOLERANCE,
        gtol=None,
        max_nfev=iterations,
    )
    return Solution(problem, torch.from_numpy(result.x).unsqueeze(0), at(result.x)[0], result.status > 0, int(result.njev))


def _compressed(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Residual (p + 1,) and Jacobian (p + 1, p) with the same norms and products as the long ones."""
    orthonormal, triangle = torch.linalg.qr(evaluation.jacobian[0].T)
    residual = evaluation.residual[0]
    inside = residual @ orthonormal
    outside = torch.linalg.vector_norm(residual - orthonormal @ inside)
    short = torch.nn.functional.pad(triangle, (0, 0, 0, 1))
    return torch.cat([inside, outside.unsqueeze(0)]).numpy(), short.numpy()
