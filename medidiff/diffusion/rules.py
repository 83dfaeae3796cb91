"""The rules of data consistency: each is a choice of V and G in the one formula of `posterior`.

D_y = D + G A^T (sy^2 I + A V A^T)^-1 (y - A D)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from medidiff.diffusion.conjugate_gradient import Solution, conjugate_gradient
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.geometry import asymmetry
from medidiff.diffusion.jacobian import Pull
from medidiff.diffusion.measurement import Measurement, scaled


@dataclass
class Report:
    """What the solver and the Jacobian did during a run."""

    solves: int = 0  # systems, one per item and call
    products: int = 0  # products with their matrices
    worst_residual: float = 0.0  # largest |b - M x| / |b| that was accepted
    negative_curvature: int = 0  # systems that were not positive, so that the rule fell back to an isotropic V
    asymmetry: dict[float, float] = field(default_factory=dict)  # sigma -> |J - J^T| / |J|

    def add(self, solution: Solution) -> None:
        """Count one batch of systems."""
        self.solves += len(solution.residual)
        self.products += int(solution.iterations.sum())
        self.worst_residual = max(self.worst_residual, float(solution.residual.detach().max()))
        self.negative_curvature += int(solution.negative_curvature.sum())

    def look_at(self, denoiser: Denoiser, u: Tensor, sigma: Tensor) -> None:
        """Measure the Jacobian's asymmetry at this level, unless a level within a factor of 4 has been measured."""
        level = float(sigma.max())
        if all(not 0.25 < level / known < 4 for known in self.asymmetry):
            self.asymmetry[level] = asymmetry(denoiser, u, sigma, probes=2)

    def summary(self) -> str:
        """One line for logs and pages: how well the systems were solved, how often V fell back, how symmetric J was."""
        each = self.products / max(self.solves, 1)
        text = f"{self.solves} systems, {each:.1f} products each, residual up to {self.worst_residual:.1e}"
        if self.negative_curvature:
            text += f"; {self.negative_curvature / self.solves:.1%} were not positive and took an isotropic V"
        if self.asymmetry:
            text += "; |J - J^T| / |J| " + ", ".join(
                f"{value:.2g} at sigma {level:.3g}" for level, value in self.asymmetry.items()
            )
        return text


@dataclass(frozen=True)
class Problem:
    """A measurement, how exactly its systems are solved, and the account of it."""

    measurement: Measurement
    iterations: int
    tolerance: float
    report: Report = field(default_factory=Report, repr=False)

    def ridge(self, denoised: Tensor, variance: Tensor, noise_std: float) -> Tensor:
        """V A^T (sy^2 I + A V A^T)^-1 (y - A D) for V = variance I, variance (b,): (A^T A + kappa I)^-1 A^T (y - A D).

        kappa = sy^2 / variance. The same as conjugate gradients on D_y started at D; kappa = 0 gives the pseudo-inverse.
        """
        kappa, rhs = noise_std**2 / variance, self.measurement.gradient(denoised)
        solve = self.measurement.exact_solve()
        if solve is None or noise_std == 0:
            return self.solved(lambda p: self.measurement.operator.normal(p) + scaled(kappa, p), rhs).x
        out = torch.empty_like(rhs)
        for level in kappa.unique().tolist():  # one level per batch, but for mixed ones
            rows = kappa == level
            out[rows] = solve(level, rhs[rows])
        return out

    def solved(self, apply: Callable[[Tensor], Tensor], rhs: Tensor) -> Solution:
        """The solution by conjugate gradients, counted."""
        solution = conjugate_gradient(apply, rhs, iterations=self.iterations, tolerance=self.tolerance)
        self.report.add(solution)
        return solution


@dataclass(frozen=True)
class Point:
    """Where a rule is asked: the unconstrained prediction at a level, and the product v -> sigma^2 J^T v if the rule wants it."""

    denoised: Tensor
    sigma: Tensor
    gain: Pull


class Rule(Protocol):
    """The choice of V and G."""

    needs_jacobian: bool
    needs_noise: bool  # divides by sy^2

    def shift(self, problem: Problem, point: Point) -> Tensor: ...  # D_y - D


def isotropic_variance(data_std: float, sigma: Tensor) -> Tensor:
    """r^2 = c sigma^2 / (c + sigma^2), the posterior variance of data of variance c = data_std^2, (b,)."""
    return data_std**2 * sigma**2 / (data_std**2 + sigma**2)


@dataclass(frozen=True)
class Isotropic:
    """DDS (Chung 2024) with the weight that the noise level gives, NA-DDS: V = G = r^2 I. No gradient."""

    data_std: float  # of the training data, data unit

    needs_jacobian, needs_noise = False, False

    def shift(self, problem: Problem, point: Point) -> Tensor:
        return problem.ridge(point.denoised, isotropic_variance(self.data_std, point.sigma), problem.measurement.noise_std)


@dataclass(frozen=True)
class Flat:
    """DiffPIR (Zhu 2023, eq. 13): V = G = (sigma^2 / lam) I, the posterior variance without a prior. No gradient."""

    lam: float = 1.0  # the paper's 7 trusts the prior more

    needs_jacobian, needs_noise = False, False

    def shift(self, problem: Problem, point: Point) -> Tensor:
        return problem.ridge(point.denoised, point.sigma**2 / self.lam, problem.measurement.noise_std)


@dataclass(frozen=True)
class Projection:
    """DDNM (Wang 2023, eq. 13): D_y = D + A^+ (y - A D), noise ignored. No gradient."""

    needs_jacobian, needs_noise = False, False

    def shift(self, problem: Problem, point: Point) -> Tensor:
        return problem.ridge(point.denoised, torch.ones_like(point.sigma), 0.0)


@dataclass(frozen=True)
class GradientStep:
    """FlowChef (Patel 2024): D_y = D + step A^T (y - A D), no solve and no gradient of the network."""

    step: float  # 1 / |A|^2 = 1 / measurement.norm_squared(u) is the largest safe one

    needs_jacobian, needs_noise = False, False

    def shift(self, problem: Problem, point: Point) -> Tensor:
        return self.step * problem.measurement.gradient(point.denoised)


@dataclass(frozen=True)
class PiGDM:
    """Pseudo-inverse guidance (Song 2023, eq. 7 with noise): V = r^2 I, G = sigma^2 J^T. One backward pass."""

    data_std: float  # of the training data, data unit

    needs_jacobian, needs_noise = True, False

    def shift(self, problem: Problem, point: Point) -> Tensor:
        variance = isotropic_variance(self.data_std, point.sigma)
        return point.gain(scaled(1 / variance, problem.ridge(point.denoised, variance, problem.measurement.noise_std)))


@dataclass(frozen=True)
class RowSums:
    """TMPD (Boys 2024, eq. 15): A V A^T by its row sums, G = sigma^2 J^T. Two backward passes.

    Row sums may be negative where those of a covariance cannot be variances; 0 stands for them.
    """

    needs_jacobian, needs_noise = True, True

    def shift(self, problem: Problem, point: Point) -> Tensor:
        operator, misfit = problem.measurement.operator, parts(problem.measurement.misfit(point.denoised))
        ones = whole(torch.ones_like(misfit), problem.measurement.y)
        rows = parts(operator.forward(point.gain(operator.adjoint(ones))))
        weighted = misfit / (problem.measurement.noise_std**2 + rows.clamp(min=0))
        return point.gain(operator.adjoint(whole(weighted, problem.measurement.y)))


@dataclass(frozen=True)
class MomentMatching:
    """MMPS (Rozet 2024, eq. 15), the full TMPD: V = sigma^2 J by conjugate gradients. One backward pass per iteration.

    A trained J is neither symmetric nor positive. Where conjugate gradients meet negative curvature, the item takes V = r^2 I.
    """

    data_std: float  # of the training data, data unit

    needs_jacobian, needs_noise = True, False

    def shift(self, problem: Problem, point: Point) -> Tensor:
        operator, noise_std = problem.measurement.operator, problem.measurement.noise_std
        misfit = problem.measurement.misfit(point.denoised)
        solution = problem.solved(lambda v: noise_std**2 * v + operator.forward(point.gain(operator.adjoint(v))), misfit)
        shift = point.gain(operator.adjoint(solution.x))
        if bool(solution.negative_curvature.any()):
            safe = PiGDM(self.data_std).shift(problem, point)
            shift = torch.where(solution.negative_curvature.view(-1, *[1] * (shift.ndim - 1)), safe, shift)
        return shift


@dataclass(frozen=True)
class Literal:
    """DPS with its Gaussian likelihood taken at its word (Chung 2023, eq. 11 to 15): V = 0, G = sigma^2 J^T.

    It counts the data (1 + A V A^T / sy^2) times. The published method, with a tuned step, is `steer.DPS`.
    """

    needs_jacobian, needs_noise = True, True

    def shift(self, problem: Problem, point: Point) -> Tensor:
        return point.gain(problem.measurement.gradient(point.denoised)) / problem.measurement.noise_std**2


def parts(y: Tensor) -> Tensor:
    """Real components of a real or complex measurement."""
    return torch.view_as_real(y) if y.is_complex() else y


def whole(components: Tensor, y: Tensor) -> Tensor:
    """The measurement with these real components, real or complex as y is."""
    return torch.view_as_complex(components.contiguous()) if y.is_complex() else components
