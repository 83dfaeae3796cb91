"""Ensembles whose spread is the size of their error: a factor per channel, and one for intervals, of unseen trajectories."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from medidiff.operators.layout import OperatorLayout
    from medidiff.operators.model import Operator

COVERAGE = 0.9
LARGEST_INFLATION = 10.0


def fit_inflation(members: Tensor, truth: Tensor, layout: "OperatorLayout") -> tuple[float, ...]:
    """By what the deviations of every channel from the mean must be multiplied for a spread that equals the error.

    members   (n, member, field, t, x)    of trajectories that neither network was trained on
    truth     (n, field, t, x)
    returns   one factor per channel, at most 10

        factor^2 = mean |truth - mean|^2 / ((M + 1) / M mean variance)

    With M members a calibrated ensemble has the error of its mean (M + 1) / M times its variance (Fortin et al. 2014, eq. 15).
    """
    count = members.shape[1]
    w = layout.encode(members.flatten(0, 1)).double().unflatten(0, members.shape[:2])
    miss = (layout.encode(truth).double() - w.mean(1)).square().transpose(0, 1).flatten(1).mean(1)
    variance = w.var(1).transpose(0, 1).flatten(1).mean(1) * (count + 1) / count
    factor = (miss / variance.clamp_min(1e-30)).sqrt().clamp_max(LARGEST_INFLATION)
    return tuple(torch.where(variance > 0, factor, 1.0).tolist())


def fit_interval(members: Tensor, truth: Tensor) -> float:
    """How many standard deviations of the ensemble around its mean hold 90 % of all values of unseen trajectories."""
    distance = (truth - members.mean(1)).abs() / members.std(1).clamp_min(1e-12)
    flat = distance.flatten()
    rank = min(math.ceil(COVERAGE * (len(flat) + 1)), len(flat))
    return float(flat.kthvalue(rank).values)


def inflate(members: Tensor, factors: tuple[float, ...], layout: "OperatorLayout") -> Tensor:
    """Members whose deviations from their mean are multiplied channel by channel; the mean stays."""
    if members.shape[1] == 1 or not factors:
        return members
    mean = members.mean(1, keepdim=True)
    w = layout.encode((members - mean).flatten(0, 1))
    w = w * w.new_tensor(factors).reshape(1, -1, *[1] * (w.ndim - 2))
    return mean + layout.decode(w, tuple(members.shape[3:])).unflatten(0, members.shape[:2])


def inflated(members: Tensor, model: "Operator") -> Tensor:
    """Members with the spread that the model's card asks for."""
    return inflate(members, model.card.inflation, model.encoding.layout)


def half_width(members: Tensor, factor: float) -> Tensor:
    """Half the 90 % interval around the mean, (b, field, t, x); 0 with one member."""
    return torch.zeros_like(members[:, 0]) if members.shape[1] == 1 else factor * members.std(1)
