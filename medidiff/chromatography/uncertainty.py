"""Covariance of all parameters of a fit, linear ones included, and the directions that the data leave flat."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.chromatography.problem import Evaluation, Problem

FLAT = 1e-3  # singular value of the unit-column Jacobian over the largest: flat below
SINGULAR = 1e-10


@dataclass(frozen=True)
class Uncertainty:
    """Second-order knowledge at the best fit; parameters: theta, then areas, then baseline coefficients."""

    covariance: Tensor  # (b, q, q)
    deviation: Tensor  # (b,)        standard deviation of the residual, signal unit
    visible: Tensor  # (b, q)      singular values of the unit-column Jacobian, falling
    directions: Tensor  # (b, q, q)   one per row: changes of all parameters that move the curve by `visible` deviations of noise

    @property
    def singular(self) -> Tensor:
        """Singular values over the largest (b, q)."""
        return self.visible / self.visible[:, :1]

    @property
    def condition(self) -> Tensor:
        """Condition number of the unit-column Jacobian (b,)."""
        return 1 / self.singular[:, -1].clamp_min(1e-300)

    @property
    def deviations(self) -> Tensor:
        """Standard deviations of all parameters (b, q)."""
        return torch.diagonal(self.covariance, dim1=1, dim2=2).sqrt()


def whole_jacobian(problem: Problem, evaluation: Evaluation) -> Tensor:
    """Derivatives of the whitened model by theta and by all coefficients (b, rows, q); rows: samples, priors, knowledge."""
    count = evaluation.slopes.shape[1]
    both = torch.cat([evaluation.slopes, evaluation.basis], dim=1) * problem.weights.unsqueeze(1)
    roots = torch.cat([problem.prior[1], problem.known[1]], dim=1)
    assert both.shape[1] == roots.shape[1] == count + evaluation.basis.shape[1]
    return torch.cat([both, torch.diag_embed(roots)], dim=2).mT


def residual_deviation(problem: Problem, evaluation: Evaluation) -> Tensor:
    """Standard deviation of the residual in units of the assumed noise (b,): 1 for a perfect model.

    sqrt(sum of squares / (samples - parameters))
    """
    samples = (problem.weights > 0).sum(dim=1)
    parameters = evaluation.slopes.shape[1] + evaluation.basis.shape[1]
    squares = (evaluation.residual[:, : len(problem.times)] ** 2).sum(dim=1)
    return (squares / (samples - parameters).clamp_min(1)).sqrt()


def uncertainty(problem: Problem, evaluation: Evaluation) -> Uncertainty:
    """Covariance and singular directions at the best fit of every chromatogram.

    covariance = (J^T J/s^2 + priors)^-1,     s the residual's own deviation (J whitened by the assumed noise)
    """
    jacobian = whole_jacobian(problem, evaluation)
    count, scale = len(problem.times), residual_deviation(problem, evaluation)
    jacobian = torch.cat([jacobian[:, :count] / scale.clamp_min(1e-300)[:, None, None], jacobian[:, count:]], dim=1)
    norms = torch.linalg.vector_norm(jacobian, dim=1)
    safe = torch.where(norms > 0, norms, torch.ones_like(norms))
    triangle = torch.linalg.qr(jacobian / safe.unsqueeze(1), mode="r").R
    _, values, right = torch.linalg.svd(triangle)
    inverse = right / values.clamp_min(1e-300).unsqueeze(2)
    covariance = (inverse.mT @ inverse) / (safe.unsqueeze(1) * safe.unsqueeze(2))
    assumed = _assumed_noise(problem)
    return Uncertainty(covariance, scale * assumed, values, right / safe.unsqueeze(1))


def _assumed_noise(problem: Problem) -> Tensor:
    """The noise (b,) behind the weights."""
    return 1 / problem.weights.amax(dim=1)
