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


def dependences(problem: Problem, evaluation: Evaluation, *, names: tuple[str, ...]) -> list[Dependence]:
    """Influence of each fixed shared quantity, to first order: the fit that is best again after it has moved.

    influence = - J^+ j,      j the derivative of the curve by the quantity
    """
    scale, samples = residual_deviation(problem, evaluation).clamp_min(1e-300), len(problem.times)
    jacobian = whole_jacobian(problem, evaluation)[0]
    jacobian = torch.cat([jacobian[:samples] / scale, jacobian[samples:]])
    norms = torch.linalg.vector_norm(jacobian, dim=0).clamp_min(1e-300)
    orthonormal, triangle = torch.linalg.qr(jacobian / norms)
    inverse = torch.linalg.inv(triangle) / norms.unsqueeze(1)
    fixed = (inverse**2).sum(dim=1)
    peaks, found = evaluation.peaks, []
    slopes = shapes_and_slopes(problem.times, peaks, names=names)[1]
    for name in names:
        value = float(getattr(peaks, name).reshape(-1)[0])
        column = (evaluation.coefficients[:, : peaks.shape[1], None] * slopes[name]).sum(dim=1) * problem.weights / scale
        column = torch.nn.functional.pad(column[0] * (value if name in LOGARITHMIC else 1.0), (0, len(jacobian) - samples))
        inside = orthonormal.T @ column
        unexplained = torch.linalg.vector_norm(column - orthonormal @ inside)
        influence = -inverse @ inside
        found.append(Dependence(name, value, influence, (fixed + (influence / unexplained) ** 2).sqrt()))
    return found


def dependence_sentence(effect: Dependence, analytes: Sequence[str], *, factors: slice) -> str:
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
