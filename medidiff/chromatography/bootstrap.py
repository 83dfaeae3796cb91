"""Uncertainty by resampling: refits with shuffled blocks of the residual, honest where noise is correlated."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medidiff.chromatography.batch import CHUNK
from medidiff.chromatography.fit import Fit
from medidiff.chromatography.levenberg import minimise
from medidiff.chromatography.problem import evaluate

ITERATIONS = 50
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class Bootstrap:
    """Refits of one chromatogram; parameters as in its fit."""

    samples: Tensor  # (refit, q)   those that converged
    block: int  # samples of one block
    refits: int  # tried

    @property
    def deviations(self) -> Tensor:
        """Standard deviations (q,), relative for logarithms."""
        return self.samples.std(dim=0)

    @property
    def intervals(self) -> Tensor:
        """95 % intervals by quantiles (2, q): lowest and highest."""
        return torch.quantile(self.samples, torch.tensor(INTERVAL, dtype=self.samples.dtype), dim=0)


def block_bootstrap(fit: Fit, *, generator: torch.Generator, refits: int = 200, block: int = 0) -> Bootstrap:
    """Refits of the fitted curve with blocks of its own residual, drawn with replacement (Politis and Romano 1992).

    block   samples of one block; 0 takes `best_block`

    Centres of priors are drawn anew too: they are measurements like the signal.
    """
    kept = torch.nonzero(fit.problem.weights[0] > 0).flatten()
    count = len(kept)
    spread = math.sqrt(count / max(1, count - len(fit.values)))
    residual = (fit.residual[kept] - fit.residual[kept].mean()) * spread
    block = block or best_block(residual)
    starts = torch.randint(count, (refits, math.ceil(count / block)), generator=generator)
    index = (starts.unsqueeze(-1) + torch.arange(block)).reshape(refits, -1)[:, :count] % count
    signals = fit.curve.repeat(refits, 1)
    signals[:, kept] += residual[index]
    centre, root = (each.expand(refits, -1) for each in fit.problem.prior)
    noise = torch.randn(centre.shape, dtype=centre.dtype, generator=generator)
    centre = centre + torch.where(root > 0, noise / root.clamp_min(1e-300), torch.zeros_like(noise))
    found = [_refit(fit, signals[i : i + CHUNK], (centre[i : i + CHUNK], root[i : i + CHUNK])) for i in range(0, refits, CHUNK)]
    return Bootstrap(torch.cat(found), block, refits)


def best_block(residual: Tensor) -> int:
    """Length of the blocks that estimates the variance of sums best (Politis and White 2004, eq. 9; 1 for white noise).

    residual   (time,)   of mean 0

        (2 G^2/D)^(1/3) n^(1/3),   G = sum over k of w(k) |k| R(k),   D = (4/3) (sum over k of w(k) R(k))^2

    R the autocovariance, w flat up to M and falling to 0 at 2 M, where M is the lag after which it stays insignificant.
    """
    count = len(residual)
    covariance = torch.fft.irfft(torch.fft.rfft(residual, n=2 * count).abs() ** 2)[:count] / count
    quiet = max(5, math.ceil(math.sqrt(math.log10(count))))
    small = covariance.abs() / covariance[0].clamp_min(1e-300) < 2 * math.sqrt(math.log10(count) / count)
    runs = torch.nonzero(small[1:].unfold(0, quiet, 1).all(dim=1)).flatten()
    flat = max(1, int(runs[0])) if len(runs) else count // 4
    lag = torch.arange(1, min(2 * flat, count - 1) + 1, dtype=residual.dtype)
    window = (2 * (1 - lag / (2 * flat))).clamp(0, 1) * covariance[1 : len(lag) + 1]
    spread, level = 2 * (lag * window).sum(), covariance[0] + 2 * window.sum()
    length = float((2 * spread**2 / (4 / 3 * level**2).clamp_min(1e-300)) ** (1 / 3)) * count ** (1 / 3)
    return min(max(1, math.ceil(length)), math.ceil(min(3 * math.sqrt(count), count / 3)))


def _refit(fit: Fit, signals: Tensor, prior: tuple[Tensor, Tensor]) -> Tensor:
    """Parameters (refit, q) of the batch that converged, from the fit's own best."""
    same = torch.zeros(len(signals), dtype=torch.int64)
    problem = replace(fit.problem.rows(same), signal=signals, prior=prior)
    problem = replace(problem, parameters=replace(problem.parameters, base=fit.problem.parameters.base))
    theta, converged, _ = minimise(
        problem, fit.theta[same], bounds=tuple(bound[same] for bound in fit.bounds), iterations=ITERATIONS
    )
    values = torch.cat([theta, evaluate(problem, theta).coefficients], dim=1)
    return values[converged]
