"""The best shift-invariant linear denoiser of a training set: what any network has to beat, and the right start of a sampler."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.process import per_item


@dataclass(frozen=True)
class Stationary:
    """A Gaussian with a mean image and a power spectrum, as a denoiser (the Wiener filter).

    mean     (c, *space)   data unit
    power    (c, *space)   variance of each Fourier mode (orthonormal transform), data unit squared

        D = mean + F^-1 [power / (power + sigma^2)] F (u - mean)
    """

    mean: Tensor
    power: Tensor

    @classmethod
    def of(cls, data: Tensor) -> "Stationary":
        """Mean and power spectrum of images (n, c, *space)."""
        mean = data.double().mean(0)
        power = _transform(data.double() - mean).abs().square().mean(0)
        return cls(mean, power)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        """E[x0 | u] under this Gaussian."""
        power = self.power.to(u)
        return self._filtered(u - self.mean.to(u), power / (power + per_item(sigma, u) ** 2)) + self.mean.to(u)

    def noisy(self, z: Tensor, sigma: float) -> Tensor:
        """A draw of data plus noise of level sigma, made from white noise z (b, c, *space)."""
        return self._filtered(z, (self.power.to(z) + sigma**2).sqrt()) + self.mean.to(z)

    def flow(self, u: Tensor, a: float, b: float) -> Tensor:
        """The ODE's solution at level b from u at level a."""
        power = self.power.to(u)
        return self._filtered(u - self.mean.to(u), ((power + b**2) / (power + a**2)).sqrt()) + self.mean.to(u)

    def error(self, sigma: Tensor) -> Tensor:
        """Expected squared error per element of the denoised data under this Gaussian, as sigma."""
        level = sigma.reshape(-1, *[1] * self.power.ndim) ** 2
        return (self.power * level / (self.power + level)).flatten(1).mean(1).reshape(sigma.shape)

    def _filtered(self, x: Tensor, gain: Tensor) -> Tensor:
        axes = tuple(range(2, x.ndim))
        return torch.fft.ifftn(gain * _transform(x), dim=axes, norm="ortho").real


def _transform(x: Tensor) -> Tensor:
    return torch.fft.fftn(x, dim=tuple(range(2, x.ndim)), norm="ortho")
