"""Data distributions whose denoiser, posterior and density are known: the references that every sampler is tested against.

Each is a denoiser `(u, sigma) -> E[x0 | u]` for states of any shape (b, *event); `d` is the number of elements of one event.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import per_item


@dataclass(frozen=True)
class Gaussian:
    """Data N(mean, Q diag(variance) Q^T).

    mean        (*event,)    data unit
    variance    (*event,)    eigenvalues of the covariance, data unit squared
    basis       (d, d)       Q, its columns the eigenvectors; None for independent elements
    """

    mean: Tensor
    variance: Tensor
    basis: Tensor | None = None

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor) -> "Gaussian":
        """The Gaussian with this mean (d,) and covariance (d, d)."""
        variance, basis = torch.linalg.eigh(covariance)
        return cls(mean, variance.clamp(min=0), basis)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        """E[x0 | u] = mean + Q l / (l + sigma^2) Q^T (u - mean)."""
        return self.mapped(u, self.gain(sigma))

    def gain(self, sigma: Tensor) -> Tensor:
        """l / (l + sigma^2), (b, d): the eigenvalues of the denoiser's Jacobian."""
        l = self.variance.flatten()
        return l / (l + sigma[:, None] ** 2)

    def mapped(self, u: Tensor, factors: Tensor) -> Tensor:
        """mean + Q diag(factors) Q^T (u - mean) with factors (b, d) or (d,)."""
        mean = self.mean.to(u)
        offset = (u - mean).flatten(1)
        if self.basis is None:
            return mean + (factors.to(u) * offset).view_as(u)
        q = self.basis.to(u)
        return mean + (factors.to(u) * (offset @ q) @ q.T).view_as(u)

    def flow(self, u: Tensor, a: float, b: float) -> Tensor:
        """The ODE's solution at level b from u at level a: mean + Q sqrt((l + b^2) / (l + a^2)) Q^T (u - mean)."""
        l = self.variance.flatten()
        return self.mapped(u, torch.sqrt((l + b**2) / (l + a**2)))

    def covariance(self) -> Tensor:
        """The data covariance, (d, d)."""
        l = self.variance.flatten()
        return torch.diag(l) if self.basis is None else (self.basis * l) @ self.basis.T

    def jacobian(self, u: Tensor, sigma: Tensor) -> Tensor:
        """dD/du, (b, d, d); the posterior covariance is sigma^2 times this."""
        gain = self.gain(sigma)
        return torch.diag_embed(gain) if self.basis is None else (self.basis * gain[:, None, :]) @ self.basis.T

    def log_density(self, u: Tensor, sigma: Tensor) -> Tensor:
        """log p(u; sigma), (b,), nats: the density of data plus noise of that level."""
        offset = (u - self.mean).flatten(1)
        modes = offset if self.basis is None else offset @ self.basis
        total = self.variance.flatten() + sigma[:, None] ** 2
        return -((modes**2 / total) + torch.log(2 * math.pi * total)).sum(1) / 2

    def noisy(self, z: Tensor, sigma: float) -> Tensor:
        """A draw of data plus noise of level sigma from white noise z: the right start of a sampler."""
        l = self.variance.flatten()
        return self.mapped(self.mean.to(z) + z, torch.sqrt(l + sigma**2))

    def posterior(self, matrix: Tensor, y: Tensor, noise_std: float) -> "Gaussian":
        """p(x0 | y) for y = matrix x0 + noise_std n; as a denoiser it is the exact E[x0 | u, y] at every level.

        matrix    (m, d)        y    (m,)

            P = (C^-1 + A^T A / sy^2)^-1,   mean = m + C A^T (A C A^T + sy^2 I)^-1 (y - A m)
        """
        c = self.covariance()
        gram = matrix @ c @ matrix.T + noise_std**2 * torch.eye(len(matrix), dtype=c.dtype)
        gain = torch.linalg.solve(gram, matrix @ c).T
        rest = torch.eye(len(c), dtype=c.dtype) - gain @ matrix
        mean = self.mean.flatten() + gain @ (y - matrix @ self.mean.flatten())
        posterior = Gaussian.of(mean, rest @ c @ rest.T + noise_std**2 * gain @ gain.T)
        return Gaussian(mean.view_as(self.mean), posterior.variance.view_as(self.mean), posterior.basis)


@dataclass(frozen=True)
class Mixture:
    """Data from k Gaussians with covariances C_k = W_k W_k^T + floor_k I.

    weights      (k,)         shares, sum 1
    means        (k, d)       data unit
    factors      (k, d, r)    W_k, data unit
    floor        (k,)         variance in every direction, data unit squared
    smoothing                 the weights are taken at level sqrt(sigma^2 + smoothing^2) while the component means stay exact:
                              a model that interpolates between modes as networks do (Aithal 2024)
    """

    weights: Tensor
    means: Tensor
    factors: Tensor
    floor: Tensor
    smoothing: float = 0.0
    modes: tuple[Tensor, Tensor] = field(init=False, repr=False)  # left singular vectors (k, d, r) and squared values (k, r)

    def __post_init__(self):
        vectors, values, _ = torch.linalg.svd(self.factors, full_matrices=False)
        object.__setattr__(self, "modes", (vectors, values**2))

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        """E[x0 | u] = sum_k p_k D_k."""
        flat = u.flatten(1).to(self.means)
        p = self.responsibilities(flat, sigma)
        return torch.einsum("bk,bkd->bd", p, self.component_means(flat, sigma)).view_as(u).to(u)

    def projected(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """u - mu_k, (b, k, d), and its coordinates along the modes of component k, (b, k, r)."""
        offset = flat[:, None] - self.means
        return offset, torch.einsum("bkd,kdr->bkr", offset, self.modes[0])

    def spectrum(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Variances of u along the modes, (b, k, r), and in the directions outside them, (b, k, 1)."""
        rest = self.floor[:, None] + sigma.view(-1, 1, 1) ** 2
        return self.modes[1] + rest, rest

    def component_means(self, flat: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | u, component k], (b, k, d)."""
        offset, along = self.projected(flat)
        total, rest = self.spectrum(sigma)
        kept = self.floor[:, None] / rest
        gain = (self.modes[1] + self.floor[:, None]) / total
        return self.means + kept * offset + torch.einsum("bkr,kdr->bkd", (gain - kept) * along, self.modes[0])

    def log_components(self, flat: Tensor, sigma: Tensor) -> Tensor:
        """log(weight_k N(u; mu_k, C_k + sigma^2 I)), (b, k)."""
        offset, along = self.projected(flat)
        total, rest = self.spectrum(sigma)
        d, r = self.factors.shape[1:]
        mahalanobis = (along**2 / total).sum(-1)
        if r < d:  # the part outside the modes as a vector: a difference of squares would be ruled by rounding at small sigma
            outside = offset - torch.einsum("bkr,kdr->bkd", along, self.modes[0])
            mahalanobis = mahalanobis + (outside**2).sum(-1) / rest[..., 0]
        log_det = total.log().sum(-1) + (d - r) * rest[..., 0].log()
        return self.weights.log() - (mahalanobis + log_det + d * math.log(2 * math.pi)) / 2

    def responsibilities(self, flat: Tensor, sigma: Tensor) -> Tensor:
        """p(component k | u), (b, k)."""
        return torch.softmax(self.log_components(flat, torch.sqrt(sigma**2 + self.smoothing**2)), 1)

    def log_density(self, u: Tensor, sigma: Tensor) -> Tensor:
        """log p(u; sigma), (b,), nats."""
        return torch.logsumexp(self.log_components(u.flatten(1), sigma), 1)

    def covariances(self) -> Tensor:
        """C_k, (k, d, d)."""
        eye = torch.eye(self.means.shape[1], dtype=self.means.dtype)
        return self.factors @ self.factors.mT + self.floor[:, None, None] * eye

    def jacobian(self, u: Tensor, sigma: Tensor) -> Tensor:
        """dD/du = V / sigma^2, (b, d, d), with V = sum_k p_k (V_k + (D_k - D)(D_k - D)^T)."""
        flat = u.flatten(1)
        p, parts = self.responsibilities(flat, sigma), self.component_means(flat, sigma)
        total, rest = self.spectrum(sigma)
        s2 = sigma.view(-1, 1, 1) ** 2
        kept = s2 * self.floor[:, None] / rest
        along = s2 * (self.modes[1] + self.floor[:, None]) / total - kept
        inner = torch.einsum("kdr,bkr,ker->bkde", self.modes[0], along, self.modes[0])
        inner = inner + kept[..., None] * torch.eye(flat.shape[1], dtype=flat.dtype)
        spread = parts - torch.einsum("bk,bkd->bd", p, parts)[:, None]
        return torch.einsum("bk,bkde->bde", p, inner + spread[..., :, None] * spread[..., None, :]) / s2

    def draw(self, z: Tensor, pick: Tensor, sigma: float = 0.0) -> Tensor:
        """Data plus noise of level sigma, (b, d), from white noise z (b, d) and uniform numbers pick (b,)."""
        index = torch.searchsorted(self.weights.cumsum(0), pick).clamp(max=len(self.weights) - 1)
        vectors, values = self.modes[0][index], self.modes[1][index]
        rest = self.floor[index][:, None] + sigma**2
        along = torch.einsum("bd,bdr->br", z, vectors)
        stretched = torch.einsum("br,bdr->bd", (torch.sqrt(values + rest) - rest.sqrt()) * along, vectors)
        return self.means[index] + rest.sqrt() * z + stretched

    def posterior(self, matrix: Tensor, y: Tensor, noise_std: float) -> "Mixture":
        """p(x0 | y) for y = matrix x0 + noise_std n.

        Each component by the Gaussian formula, its weight times N(y; A mu_k, A C_k A^T + sy^2 I).
        """
        components, evidence = [], []
        eye = torch.eye(len(matrix), dtype=self.means.dtype)
        for mean, covariance in zip(self.means, self.covariances()):
            components.append(Gaussian.of(mean, covariance).posterior(matrix, y, noise_std))
            seen = Gaussian.of(matrix @ mean, matrix @ covariance @ matrix.T + noise_std**2 * eye)
            evidence.append(seen.log_density(y[None], torch.zeros(1, dtype=y.dtype)))
        weights = torch.softmax(self.weights.log() + torch.cat(evidence), 0)
        factors = torch.stack([part.basis * part.variance.sqrt() for part in components])
        return Mixture(weights, torch.stack([part.mean for part in components]), factors, torch.zeros_like(self.floor))


@dataclass(frozen=True)
class DataSet:
    """Data that are one of n points, with equal or given weights: what a network that remembers its training set computes.

    points              (n, *event)    data unit
    weights             (n,)           shares; None for equal ones
    extra_dimensions                   D of PFGM++, whose kernel is heavy-tailed; infinite for Gaussian noise

        E[x0 | u] = sum_i p_i x_i,   p = softmax(-|u - x_i|^2 / (2 sigma^2))                        Gaussian
                                     p = softmax(-(N + D)/2 log1p(|u - x_i|^2 / (sigma^2 D)))       PFGM++ (Xu 2023, eq. 5)
    """

    points: Tensor
    weights: Tensor | None = None
    extra_dimensions: float = math.inf

    @property
    def limits(self) -> Limits:
        return Limits(gaussian_kernel=math.isinf(self.extra_dimensions))

    def responsibilities(self, u: Tensor, sigma: Tensor) -> Tensor:
        """p(point i | u), (b, n)."""
        points = self.points.flatten(1)
        distance = ((u.flatten(1)[:, None] - points) ** 2).sum(-1) / sigma[:, None] ** 2
        if math.isinf(self.extra_dimensions):
            logits = -distance / 2
        else:
            logits = -(points.shape[1] + self.extra_dimensions) / 2 * torch.log1p(distance / self.extra_dimensions)
        return torch.softmax(logits if self.weights is None else logits + self.weights.log(), 1)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        return (self.responsibilities(u, sigma).to(u) @ self.points.flatten(1).to(u)).view_as(u)

    def jacobian(self, u: Tensor, sigma: Tensor) -> Tensor:
        """dD/du = Cov_p / sigma^2, (b, d, d); for Gaussian noise only."""
        if not self.limits.gaussian_kernel:
            raise ValueError("the kernel of PFGM++ with finite D is heavy-tailed: sigma^2 J is not the posterior covariance")
        p, points = self.responsibilities(u, sigma), self.points.flatten(1)
        spread = points - (p @ points)[:, None]
        return torch.einsum("bn,bnd,bne->bde", p, spread, spread) / sigma.view(-1, 1, 1) ** 2


@dataclass(frozen=True)
class Lesion:
    """A region that is +1 everywhere with probability p = `share`, else -1: E[x0 | u] = tanh(ln(p/(1-p))/2 + sum u / sigma^2)."""

    share: float

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        evidence = u.flatten(1).sum(1) / sigma.to(u) ** 2
        half = math.log(self.share / (1 - self.share)) / 2
        return per_item(torch.tanh(half + evidence), u).expand_as(u)


def gaussian_wasserstein(mean1: Tensor, covariance1: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """The 2-Wasserstein distance of two Gaussians, data unit: W2^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)."""
    values, vectors = torch.linalg.eigh(covariance1)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ covariance2 @ root).clamp(min=0).sqrt().sum()
    squared = ((mean1 - mean2) ** 2).sum() + covariance1.trace() + covariance2.trace() - 2 * cross
    return float(squared.clamp(min=0).sqrt())


def sliced_wasserstein(samples1: Tensor, samples2: Tensor, *, directions: int = 128, seed: int = 0) -> float:
    """The 2-Wasserstein distance of two sample sets (n, d) of equal size, averaged over random directions, data unit.

    Report the distance of two true sample sets beside it: the floor that sampling alone leaves.
    """
    shape = samples1.new_empty(directions, samples1.flatten(1).shape[1])
    axes = torch.nn.functional.normalize(Noise(seed)(0, shape), dim=1)
    lines1, lines2 = ((x.flatten(1) @ axes.T).sort(0).values for x in (samples1, samples2))
    return float(((lines1 - lines2) ** 2).mean().sqrt())
