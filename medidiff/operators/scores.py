"""How good an operator is on trajectories that it has not seen, and the spread that makes its ensembles calibrated."""

import math
import time
from dataclasses import replace

import numpy as np
from torch import Tensor

from medidiff.metrics.ensemble import coverage, crps, spread_skill
from medidiff.metrics.pde import relative_l2
from medidiff.operators.calibration import COVERAGE, fit_inflation, fit_interval, half_width, inflate
from medidiff.operators.model import Operator
from medidiff.operators.problem import Solved
from medidiff.operators.restrict import coarser, coarser_solved, interpolated
from medidiff.operators.sampler import Drawing
from medidiff.operators.settings import SamplerSettings
from medidiff.operators.task import ANSWER, ENSEMBLE, simulate, super_resolve

CALIBRATION_SEED = 2024  # of the noise; not that of the scores
DIRECT_ENSEMBLE = SamplerSettings(method="euler", steps=12, sigma_min=0.05)
PUBLISHED = SamplerSettings(method="ddim", steps=50)  # (Hu et al. 2025)


def comparable(values: Tensor, truth: Tensor) -> np.ndarray:
    """Values with every field over the root mean square of the truth's.

    values   (b, ..., field, t, x[, y])
    truth    (b, field, t, x[, y])
    """
    scale = truth.double().square().transpose(0, 1).flatten(1).mean(1).sqrt().clamp_min(1e-30)
    return (values.double() / scale.reshape(-1, *[1] * (truth.ndim - 2))).numpy()


def relative_errors(found: Tensor, truth: Tensor) -> np.ndarray:
    """|found - truth| / |truth| of every trajectory (b,), every field over its own root mean square."""
    return relative_l2(comparable(found, truth), comparable(truth, truth))


def ensemble_sampler(operator: Operator) -> SamplerSettings:
    """The sampler whose spread is right for the form; the published one for the published noise."""
    if operator.card.noise == "cosine":
        return PUBLISHED
    return DIRECT_ENSEMBLE if operator.card.form == "direct" else ENSEMBLE


def calibrated(operator: Operator, validation: Solved, *, members: int) -> Operator:
    """The operator with the inflation and the interval that fit its ensembles on validation trajectories."""
    if operator.card.form == "regression":
        return operator
    plain = Operator(replace(operator.card, inflation=(), interval_factor=1.645), operator.networks, operator.device)
    drawing = Drawing(CALIBRATION_SEED)
    drawn = simulate(plain, validation.problem, members=members, sampler=ensemble_sampler(plain), drawing=drawing).states
    factors = fit_inflation(drawn, validation.states, plain.encoding.layout)
    wide = inflate(drawn, factors, plain.encoding.layout)
    card = replace(plain.card, inflation=factors, interval_factor=fit_interval(wide, validation.states))
    return Operator(card, operator.networks, operator.device)


def scores_of(operator: Operator, test: Solved, *, members: int) -> dict[str, float | int]:
    """Scores on test trajectories, which may be on a grid that is twice or four times as fine as the operator's.

    Finer ones are averaged to its grid; where there is a refiner, they also score it.
    """
    factor = test.problem.sizes[1] // operator.card.cells[0]
    coarse = coarser_solved(test, factor)
    scores: dict[str, float | int] = {"trajectories": len(test), **_answer(operator, coarse)}
    if operator.card.form != "regression":
        scores |= _ensemble(operator, coarse, members)
    if "refiner" in operator.networks and factor > 1:
        for level in range(1, int(math.log2(factor)) + 1):
            scores |= _refined(operator, coarser_solved(test, factor // 2**level), 2**level)
    return scores


def _answer(operator: Operator, test: Solved) -> dict[str, float]:
    started, sampler = time.process_time(), ANSWER if operator.card.noise == "edm" else PUBLISHED
    found = simulate(operator, test.problem, members=1, sampler=sampler).states[:, 0]
    spent = (time.process_time() - started) / len(test)
    error = relative_errors(found, test.states)
    return {
        "relative_l2": float(error.mean()),
        "relative_l2_median": float(np.median(error)),
        "relative_l2_95": float(np.quantile(error, 0.95)),
        "cpu_ms_per_trajectory": 1e3 * spent,
    }


def _ensemble(operator: Operator, test: Solved, members: int) -> dict[str, float | int]:
    drawn = simulate(operator, test.problem, members=members, sampler=ensemble_sampler(operator)).states
    scaled, truth = comparable(drawn, test.states), comparable(test.states, test.states)
    width = half_width(drawn, operator.card.interval_factor)
    return {
        "members": members,
        "relative_l2_of_mean": float(relative_errors(drawn.mean(1), test.states).mean()),
        "spread_skill": spread_skill(scaled, truth),
        "crps": crps(scaled, truth),
        f"coverage_{COVERAGE:g}": coverage(drawn.mean(1).numpy(), width.numpy(), test.states.numpy()),
    }


def _refined(operator: Operator, test: Solved, times: int) -> dict[str, float]:
    """Of the refiner given the exact coarse trajectory's simulation, beside interpolation of the same coarse answer."""
    found = super_resolve(operator, test.problem, sampler=ANSWER).states[:, 0]
    coarse = simulate(operator, coarser(test.problem, times), members=1, sampler=ANSWER).states[:, 0]
    linear = interpolated(coarse, found.shape[3])
    return {
        f"relative_l2_{times}x": float(relative_errors(found, test.states).mean()),
        f"relative_l2_{times}x_interpolated": float(relative_errors(linear, test.states).mean()),
    }
