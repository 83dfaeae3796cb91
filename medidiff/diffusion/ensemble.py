"""Several denoisers as one, weighed by a gate that may look at the state, the level and the place."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Gate = Callable[[Tensor, Tensor], Tensor]


class Ensemble(nn.Module):
    """D = sum_k w_k(u, sigma, place) D_k(u, sigma).

    denoisers   the members; they are not registered, so that training moves the gate alone (freeze them to save memory)
    gate        (u, sigma) -> logits (b, K) or (b, K, *space); their softmax is w. With the logarithms of the responsibilities
                this is the exact denoiser of a mixture

    Any objective trains it. Adaptive Feature Aggregation (arXiv 2405.17082) weighs features inside the networks; here the
    predictions are weighed, which asks nothing of the members.
    """

    def __init__(self, denoisers: Sequence[Callable[..., Tensor]], gate: Gate):
        super().__init__()
        self.denoisers = tuple(denoisers)
        self.gate = gate

    def forward(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        logits = self.gate(u, sigma)
        shares = torch.softmax(logits.reshape(*logits.shape, *[1] * (u.ndim - logits.ndim)), dim=1)
        members = [denoiser(u, sigma, **condition) for denoiser in self.denoisers]
        return sum(_share(shares, index, u) * denoised for index, denoised in enumerate(members))


def _share(shares: Tensor, index: int, u: Tensor) -> Tensor:
    # a state (b, d) has no channel axis to be spread over
    return shares[:, index : index + 1] if u.ndim > 2 else shares[:, index].reshape(-1, 1)
