"""NA-DDS: denoise, solve for the whole volume with the weight that the noise gives, put noise back.

Two modes, which are not the same thing: `point` looks for the best single image, `posterior` draws samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.rules import isotropic_variance
from medidiff.diffusion.sample import State, sample, start
from medidiff.diffusion.stochastic import Renoise
from medidiff.reconstruction.sweep import Sweep, VolumeStep


@dataclass(frozen=True)
class NADDS:
    """How NA-DDS works, in network units and for |A| = 1."""

    data_std: float  # s0, of the training data
    steps: int = 50  # network calls per slice
    sigma_max: float = 10.0
    sigma_min: float = 0.02  # of the last call
    eta: float = 0.5  # share of fresh noise in amplitude, point mode
    data_steps: int = 5  # conjugate gradients per step
    rho: float = 0.0257  # coupling of slices
    threshold: float = 0.008  # on differences of slices; .004 of a window that is 2 wide
    anchor: float = 1.0  # c
    least_noise: float = 2e-4  # in place of a noise of 0
    bounds: tuple[float, float] = (-1.1, 1.1)  # that hold the denoised image
    is_posterior: bool = False

    def kappa(self, noise_std: float) -> Callable[[float], float]:
        """Weight of the denoised image at each level:  c max(noise_std, least)^2 / r^2,   r^2 = s0^2 sigma^2 / (s0^2 + sigma^2).

        It follows from p(x0 | u) ~ N(D, r^2) and p(y | x0) ~ N(A x0, noise_std^2); nothing is left to tune.
        """
        power = self.anchor * max(noise_std, self.least_noise) ** 2
        return lambda sigma: power / float(isotropic_variance(self.data_std, torch.tensor(sigma, dtype=torch.float64)))

    def renoise(self) -> Renoise:
        """How noise is put back: the network's own partly replaced by fresh, or the ancestral step that keeps the posterior."""
        if self.is_posterior:
            return Renoise(eta=1.0, rule="ancestral", noise_from="posterior")
        return Renoise(eta=self.eta, rule="fresh", noise_from="prior")


def na_dds(
    denoiser: Denoiser,
    measurement: Measurement,
    shape: tuple[int, ...],
    *,
    options: NADDS,
    noise: Noise,
    on_step: Callable[[State], None] | None = None,
) -> Tensor:
    """A volume (slice, c, row, column) that fits the measurement and that the denoiser would not change.

    denoiser      (u, sigma) -> E[x0 | u], slices as the batch
    measurement   y = A x + noise_std n on such volumes, |A| = 1

        h = D(u, a);   e = (u - h) / a                                                       unconditional
        h <- sweep(h, kappa(a))                                                              see `Sweep`
        point        u' = h + b (eta z + sqrt(1 - eta^2) e)                                  Chung 2024, eq. 16
        posterior    u' = h + (b/a)^2 (u - h) + b sqrt(1 - (b/a)^2) z                        exact for white Gaussian priors

    Raises what `sample` raises, and NumericsError for an operator without an exact adjoint.
    """
    grid = with_zero(karras(options.steps, smin=options.sigma_min, smax=options.sigma_max))
    sweep = Sweep(measurement, options.data_steps, options.rho, options.threshold)
    step = VolumeStep(options.renoise(), sweep, options.kappa(measurement.noise_std), options.bounds)
    first = start(shape, float(grid[0]), noise=noise).to(measurement.y.device)
    return sample(denoiser, first, grid, step, noise=noise, on_step=on_step)
