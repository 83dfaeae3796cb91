"""What a result owes to a quantity that was fixed: how it would move with it, and how little is known if it is freed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.chromatography.parameters import LOGARITHMIC
from medidiff.chromatography.problem import Evaluation, Problem
from medidiff.chromatography.slopes import shapes_and_slopes
from medidiff.chromatography.uncertainty import residual_deviation, whole_jacobian
from medidiff.chromatography.wording import QUANTITY


@dataclass(frozen=True)
class Dependence:
    """Effect of one fixed shared quantity of a single chromatogram on all q parameters."""

    name: str
    value: float  # where it was fixed, s
    influence: Tensor  # (q,)   change of each parameter per unit (relative unit for the hold-up time) of the quantity
    freed: Tensor  # (q,)   standard deviations if the quantity were free


def dependence(problem: Problem, evaluation: Evaluation, name: str) -> Dependence:
    """Influence of the fixed quantity `name`, to first order: the fit that is best again after it has moved.

    influence = - J^+ j,      j the derivative of the curve by the quantity
    """
    peaks = evaluation.peaks
    slope = shapes_and_slopes(problem.times, peaks, (name,))[1][name]
    value = float(getattr(peaks, name).reshape(-1)[0])
    areas = evaluation.coefficients[:, : peaks.shape[1], None]
    column = (areas * slope).sum(dim=1) * problem.weights * (value if name in LOGARITHMIC else 1.0)
    scale = residual_deviation(problem, evaluation)
    jacobian, samples = whole_jacobian(problem, evaluation)[0], len(problem.times)
    jacobian = torch.cat([jacobian[:samples] / scale.clamp_min(1e-300), jacobian[samples:]])
    column = torch.nn.functional.pad(column[0] / scale.clamp_min(1e-300), (0, len(jacobian) - samples))
    norms = torch.linalg.vector_norm(jacobian, dim=0).clamp_min(1e-300)
    orthonormal, triangle = torch.linalg.qr(jacobian / norms)
    inside = orthonormal.T @ column
    inverse = torch.linalg.inv(triangle) / norms.unsqueeze(1)
    influence, unexplained = -inverse @ inside, torch.linalg.vector_norm(column - orthonormal @ inside)
    fixed = (inverse**2).sum(dim=1)
    return Dependence(name, value, influence, (fixed + (influence / unexplained) ** 2).sqrt())


def dependence_sentence(effect: Dependence, analytes: Sequence[str], factors: slice) -> str:
    """The effect on the retention factors, whose place among the parameters is `factors`, as a sentence."""
    quantity = QUANTITY[effect.name]
    unit, unit_word = (1.0, "1 % more") if effect.name in LOGARITHMIC else (100.0, "1 s more")
    moves = [f"{unit * value:+.3g} % ({name})" for value, name in zip(effect.influence[factors].tolist(), analytes)]
    freed = [f"{100 * value:.2g} % ({name})" for value, name in zip(effect.freed[factors].tolist(), analytes)]
    return (
        f"Retention factors are only known if the {quantity} is: it was fixed at {effect.value:.6g} s, and {unit_word} would "
        f"change them by {', '.join(_ends(moves))} under almost the same curve. Left free, this chromatogram alone would give "
        f"them to a standard deviation of {', '.join(_ends(freed))}."
    )


def _ends(parts: list[str]) -> list[str]:
    """All of up to three entries, else the first and the last."""
    return parts if len(parts) <= 3 else [parts[0], parts[-1]]
