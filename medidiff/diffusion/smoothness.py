"""A penalty that makes the image change evenly when the noise does."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.convert import edm_weight
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import EDM_LEVELS, Batch, conditions
from medidiff.diffusion.process import per_item


@dataclass(frozen=True)
class Smooth:
    """The denoising loss plus the spread of |J^T d| over a batch at one level, d a random unit vector per item.

        loss = mean w (D - x0)^2 + share w sd^2 mean (|J^T d| - a)^2,     a = the batch mean of |J^T d|

    Zero spread means that equal steps in the noise make equal steps in the image, as an isotropic prior does. Smooth Diffusion
    (Guo et al. 2024, arXiv 2312.04410) keeps a running mean in place of the batch mean, which a resumed run would have to save.
    """

    sd: float
    share: float = 0.1
    levels: Levels = EDM_LEVELS

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        sigma = self.levels.draw(1, noise).to(x0.device).expand(len(x0))
        u = (x0 + per_item(sigma, x0) * noise(0, x0, draw="noise")).requires_grad_()
        denoised = denoiser(u, sigma, **conditions(batch))
        error = ((denoised - x0) ** 2).mean()
        direction = noise(0, x0, draw="direction")
        length = pulled_length(denoised, u, direction)
        spread = ((length - length.detach().mean()) ** 2).mean()
        return edm_weight(sigma[0], self.sd) * (error + self.share * self.sd**2 * spread)


def interpolation_spread(sampler: Callable[[Tensor], Tensor], z: Tensor, *, count: int = 16) -> float:
    """Standard deviation over mean of the distances between neighbouring images on a path from one noise to another.

    sampler   noise (n, *event) -> images, deterministic
    z         (2, *event)   the two noises
    count     images on the path, which is the arc between the noises: sin((1-t) w) z_0 / sin w + sin(t w) z_1 / sin w

    0 for an isotropic prior when the noises have equal length.
    """
    first, last = z.flatten(1)
    angle = torch.arccos((first @ last / (first.norm() * last.norm())).clamp(-1, 1))
    share = torch.linspace(0, 1, count, dtype=z.dtype, device=z.device)[:, None]
    path = (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / torch.sin(angle)
    distance = sampler(path.reshape(count, *z.shape[1:])).diff(dim=0).flatten(1).norm(dim=1)
    return float(distance.std() / distance.mean())


def pulled_length(denoised: Tensor, u: Tensor, direction: Tensor) -> Tensor:
    """|J^T d| of every item, (b,), for d the direction scaled to length 1; can be differentiated again."""
    unit = direction / per_item(direction.flatten(1).norm(dim=1), direction)
    pulled = torch.autograd.grad(denoised, u, unit, create_graph=True)[0]
    return pulled.flatten(1).norm(dim=1)
