"""Fine-tuning a few-step sampler on the distribution of its samples: maximum mean discrepancy with a Gaussian kernel."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch, conditions
from medidiff.diffusion.sample import State, Step


@dataclass(frozen=True)
class SampleDiscrepancy:
    """The unbiased MMD^2 between the samples of a short sampler and the batch, with gradients through every step.

    Needs batches of 64 and more. Aiello et al. 2024 (arXiv 2301.07969).
    """

    grid: Tensor = field(repr=False)  # (n,) the levels of the sampler
    step: Step = field(repr=False)
    lengths: tuple[float, ...]  # widths of the kernels, data unit; their MMD^2 are added

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0, named = batch["x0"], conditions(batch)
        state = State(float(self.grid[0]) * noise(0, x0, draw="start"))
        while state.step < len(self.grid) - 1:
            state = self.step(lambda u, sigma: denoiser(u, sigma, **named), state, self.grid, noise)
        return sum(discrepancy(state.u, x0, length) for length in self.lengths)


def discrepancy(x: Tensor, y: Tensor, length: float) -> Tensor:
    """The U-statistic of MMD^2 between two sample sets, (): unbiased, so it may be negative.

    x, y     (n, *event), (m, *event)
    length   width of the kernel k(x, y) = exp(-|x - y|^2 / (2 length^2)), data unit

    Gretton et al. 2012 (JMLR 13:723, eq. 3).
    """
    x, y = x.flatten(1), y.flatten(1)
    return (
        _mean_off_diagonal(_kernel(x, x, length)) + _mean_off_diagonal(_kernel(y, y, length)) - 2 * _kernel(x, y, length).mean()
    )


def gaussian_kernel_mean(offset: Tensor, covariance: Tensor, length: float) -> Tensor:
    """E k(x, y) for Gaussian x and y, (), in closed form.

    offset       (d,)     mean of x minus mean of y
    covariance   (d, d)   S1 + S2, the sum of their covariances

        E k = det(I + (S1 + S2)/l^2)^(-1/2) exp(-offset^T (l^2 I + S1 + S2)^-1 offset / 2)
    """
    eye = torch.eye(len(offset), dtype=offset.dtype, device=offset.device)
    inner = offset @ torch.linalg.solve(length**2 * eye + covariance, offset)
    return torch.exp(-inner / 2 - torch.logdet(eye + covariance / length**2) / 2)


def _kernel(x: Tensor, y: Tensor, length: float) -> Tensor:
    squared = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    return torch.exp(-squared.clamp(min=0) / (2 * length**2))


def _mean_off_diagonal(kernel: Tensor) -> Tensor:
    n = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))
