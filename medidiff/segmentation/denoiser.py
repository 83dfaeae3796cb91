"""The diffusion model of tumour masks: which levels it knows, and the denoiser around its network.

The clean state is x0 = 2 y - 1 for a mask y in {0, 1}. Levels are half logarithms of the signal-to-noise ratio,
lambda = -ln sigma; the network sees the variance-preserving state and c_noise = -lambda / 4.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.grid import uniform_lambda, with_zero
from medidiff.diffusion.networks.unet import UNet
from medidiff.diffusion.process import per_item

# A lesion of n voxels is decided near lambda = -ln(n) / 2: at -8 the largest (1e4 voxels) is still hidden in noise, and at 2 a
# single voxel is read without doubt.
LAMBDA_MIN, LAMBDA_MAX = -8.0, 2.0
SIGMA_MAX, SIGMA_MIN = math.exp(-LAMBDA_MIN), math.exp(-LAMBDA_MAX)
START_LEVEL = -LAMBDA_MIN / 4  # c_noise where the state holds nothing but noise


def level_grid(steps: int) -> Tensor:
    """The falling levels of a sampler that calls the network `steps` times, (steps + 1,) float64, ending in 0.

    Uniform in lambda: the only grid of few steps that draws lesions of every size with their right probability.
    """
    return with_zero(uniform_lambda(steps, smin=SIGMA_MIN, smax=SIGMA_MAX))


@dataclass(frozen=True)
class MaskDenoiser:
    """E[x0 | u, condition] by a network that predicts the logit of every voxel; always inside [-1, 1].

    network   (x, c_noise, condition) -> logits, as x

        x = u / sqrt(1 + sigma^2),   D = 2 sigmoid(logits) - 1 = tanh(logits / 2)
    """

    network: nn.Module = field(repr=False)

    @property
    def limits(self) -> Limits:
        """The levels of training; data of amplitude 1."""
        multiple = self.network.shape.multiple if isinstance(self.network, UNet) else 1
        return Limits(sigma_min=SIGMA_MIN, sigma_max=SIGMA_MAX, data_std=1.0, multiple=multiple)

    def logits(self, u: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        """ln(p / (1 - p)) of every voxel, p = P(y = 1 | u, condition).

        u           (b, 1, *space)    mask plus noise of standard deviation sigma
        sigma       (b,) float64
        condition   (b, c, *space)    of `conditioning`
        """
        x = u / torch.sqrt(1 + per_item(sigma, u) ** 2)
        return self.network(x, (torch.log(sigma) / 4).to(u.dtype), condition)

    def __call__(self, u: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return torch.tanh(self.logits(u, sigma, condition) / 2)


def plain_logits(network: nn.Module, condition: Tensor) -> Tensor:
    """The same network used without diffusion: no state, and always the level at which there is nothing but noise.

    condition   (b, c, *space)
    returns     (b, 1, *space)
    """
    state = torch.zeros_like(condition[:, :1])
    return network(state, condition.new_full((len(condition),), START_LEVEL), condition)
