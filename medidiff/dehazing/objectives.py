"""What is minimised when models of echoes are trained."""

from dataclasses import dataclass

from torch import Tensor

from medidiff.dehazing.denoiser import ClassDenoiser
from medidiff.dehazing.domain import Domain, signal
from medidiff.diffusion.convert import edm_weight
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch, conditions
from medidiff.diffusion.process import per_item


@dataclass(frozen=True)
class ClassDenoising:
    """`medidiff.diffusion.objectives.Denoising` with the standard deviation of the class of each item."""

    levels: Levels

    def __call__(self, batch: Batch, denoiser: ClassDenoiser, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        sigma = self.levels.draw(len(x0), noise)
        u = x0 + per_item(sigma, x0) * noise(0, x0, draw="noise")
        error = denoiser(u, sigma, **conditions(batch)) - x0
        return (per_item(edm_weight(sigma, denoiser.sd_of(batch["label"])), error) * error**2).mean()


@dataclass(frozen=True)
class Separating:
    """The error of the tissue twice: companded, where dark regions count, and linear, where bright ones do.

    loss = mean |x - x0|^2 / sd^2  +  sum |C^-1(x) - C^-1(x0)|^2 / sum |C^-1(x0)|^2
    """

    sd: float
    domain: Domain

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0, measured = batch["x0"], batch["measured"]
        sigma = measured.new_zeros(len(measured))
        found = denoiser(measured, sigma, condition=batch["condition"])
        true = self.domain.expand(signal(x0))
        linear = (self.domain.expand(signal(found)) - true).abs().square().sum() / true.abs().square().sum()
        return (found - x0).square().mean() / self.sd**2 + linear
