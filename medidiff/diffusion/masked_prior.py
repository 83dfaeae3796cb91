"""A Gaussian prior learned from incomplete measurements only: expectation-maximisation with exact posterior moments."""

import torch
from torch import Tensor

from medidiff.diffusion.exact import Gaussian


def gaussian_from_measurements(y: Tensor, masks: Tensor, *, noise_std: float, rounds: int) -> Gaussian:
    """The Gaussian whose masked, noisy draws the measurements look like, from mean 0 and unit covariance on.

    y           (n, d)   measured values, anything where the mask is 0
    masks       (n, d)   1 where an element was measured
    noise_std            of the measured elements, data unit
    rounds               of expectation-maximisation; 20 suffice when 60 % are seen

        posterior of item i:  V_i = C - C M^T (M C M^T + s^2)^-1 M C,   m_i = mean + C M^T (...)^-1 (y_i - M mean)
        then  mean = average m_i,   C = average (V_i + (m_i - mean)(m_i - mean)^T)

    Identifiable when every pair of elements is seen together with positive probability (Dempster et al. 1977).
    """
    d = y.shape[1]
    mean, covariance = torch.zeros(d, dtype=y.dtype), torch.eye(d, dtype=y.dtype)
    seen = masks.to(y.dtype)
    for _ in range(rounds):
        posterior_means, shared = _posterior_moments(y, seen, mean, covariance, noise_std)
        mean = posterior_means.mean(0)
        offset = posterior_means - mean
        covariance = shared + offset.T @ offset / len(y)
    return Gaussian.of(mean, covariance)


def _posterior_moments(y: Tensor, seen: Tensor, mean: Tensor, covariance: Tensor, noise_std: float) -> tuple[Tensor, Tensor]:
    # unseen elements become rows of the identity, so that one batched solve serves every mask
    masked = seen[:, :, None] * covariance
    gram = masked * seen[:, None] + torch.diag_embed(seen * noise_std**2 + (1 - seen))
    gain = torch.linalg.solve(gram, masked).mT
    means = mean + torch.einsum("nde,ne->nd", gain, seen * (y - mean))
    return means, covariance - (gain @ masked).mean(0)
