"""The denoiser of data that lie on a few subspaces: exact, and trainable, which then is subspace clustering."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class LowRankMixture(nn.Module):
    """E[x0 | u] for data drawn from one of K subspaces with unit variance inside it, all equally likely.

    directions   (K, d, r)   columns that span the subspaces; any full-rank start will do, they are made orthonormal
    ranks        (K,)        how many columns of each count; all where left out

        D = sum_k w_k U_k U_k^T u / (1 + sigma^2)
        w = softmax_k( |U_k^T u|^2 / (2 sigma^2 (1 + sigma^2)) - (r_k / 2) ln((1 + sigma^2) / sigma^2) )

    Wang et al. 2024 (arXiv 2409.02426) for equal ranks; the last term matters only if ranks differ.
    """

    def __init__(self, directions: Tensor, ranks: Sequence[int] | None = None):
        super().__init__()
        self.directions = nn.Parameter(directions.clone())
        columns = torch.arange(directions.shape[2], device=directions.device)
        ranks = [directions.shape[2]] * len(directions) if ranks is None else list(ranks)
        self.register_buffer("kept", (columns < torch.tensor(ranks, device=directions.device)[:, None]).to(directions.dtype))

    def bases(self) -> Tensor:
        """Orthonormal columns U_k, (K, d, r); columns beyond the rank are zero."""
        return torch.linalg.qr(self.directions).Q * self.kept[:, None]

    def coordinates(self, u: Tensor) -> Tensor:
        """U_k^T u of every subspace, (b, K, r)."""
        return torch.einsum("kdr,bd->bkr", self.bases(), u)

    def responsibilities(self, u: Tensor, sigma: Tensor) -> Tensor:
        """How likely each subspace is, (b, K)."""
        return self._shares(self.coordinates(u), sigma)

    def forward(self, u: Tensor, sigma: Tensor) -> Tensor:
        bases = self.bases()
        along = torch.einsum("kdr,bd->bkr", bases, u)
        weighted = self._shares(along, sigma)[:, :, None] * along
        return torch.einsum("kdr,bkr->bd", bases, weighted) / (1 + sigma.to(u)[:, None] ** 2)

    def _shares(self, along: Tensor, sigma: Tensor) -> Tensor:
        level = sigma.to(along)[:, None] ** 2
        evidence = (along**2).sum(2) / (2 * level * (1 + level))
        return torch.softmax(evidence - self.kept.sum(1) / 2 * torch.log1p(1 / level), dim=1)
