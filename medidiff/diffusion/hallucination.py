"""Samples that lie between the modes of the data betray themselves: their denoised image wavers along the path.

The level window decides: it must cover the levels where modes have separated. Choose it on validation data, store it in the card.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, Limits, limits_of
from medidiff.errors import ConfigError


class PathVariance:
    """A denoiser that passes everything through and keeps the variance of its own answers inside a window of noise levels.

    denoiser    that is watched
    low, high   the window, data unit

    Use it in place of the denoiser with any sampler, then read `map()` or `score()`. Two tensors are kept, however long the
    path; several windows at once are wrappers around each other. For volumes it belongs around `denoiser.sliced`, not inside.
    Aithal et al. 2024 (arXiv 2406.09358).
    """

    def __init__(self, denoiser: Denoiser, *, low: float, high: float):
        if not 0 <= low < high:
            raise ConfigError(f"hallucination window [{low:g}, {high:g}]: expected 0 <= low < high")
        self.denoiser, self.low, self.high = denoiser, low, high
        self.count, self.mean, self.spread = 0, None, None

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        denoised = self.denoiser(u, sigma, **condition)
        if self.low <= float(sigma[0]) <= self.high:
            self._add(denoised.detach())
        return denoised

    def map(self) -> Tensor:
        """The variance of every element along the path, (b, *event), data unit squared.

        Raises ConfigError when fewer than two levels of the path were inside the window.
        """
        if self.count < 2:
            raise ConfigError(
                f"{self.count} levels of the path fell into the hallucination window [{self.low:g}, {self.high:g}], "
                "two or more are needed; use more levels or a wider window"
            )
        return self.spread / (self.count - 1)

    def score(self) -> Tensor:
        """The variance summed over each item, (b,): high for samples that are suspect."""
        return self.map().flatten(1).sum(1)

    def _add(self, denoised: Tensor) -> None:
        # Welford 1962: no list of images, no cancellation
        if self.count == 0:
            self.mean, self.spread = torch.zeros_like(denoised), torch.zeros_like(denoised)
        self.count += 1
        offset = denoised - self.mean
        self.mean = self.mean + offset / self.count
        self.spread = self.spread + offset * (denoised - self.mean)


def auroc(score: Tensor, is_wrong: Tensor) -> float:
    """The probability that a wrong sample scores above a right one; ties count half.

    score      (n,)        is_wrong   (n,) bool
    """
    wrong, right = score[is_wrong].sort().values, score[~is_wrong].sort().values
    below = torch.searchsorted(right, wrong, right=False)
    level = torch.searchsorted(right, wrong, right=True)
    return float((below + level).double().mean() / 2 / len(right))


def removed_share(score: Tensor, is_wrong: Tensor, *, kept: float = 0.96) -> float:
    """The share of the wrong samples that the threshold removes which keeps a share `kept` of the right ones."""
    threshold = torch.quantile(score[~is_wrong].double(), kept)
    return float((score[is_wrong] > threshold).double().mean())


def best_window(scores: Mapping[tuple[float, float], Tensor], is_wrong: Tensor) -> tuple[tuple[float, float], float]:
    """The window with the highest AUROC on validation data, and that AUROC.

    scores     by window (low, high): the score of every validation sample, (n,)
    is_wrong   (n,) bool
    """
    found = {window: auroc(score, is_wrong) for window, score in scores.items()}
    best = max(found, key=found.get)
    return best, found[best]
