"""What every posterior rule gets wrong on a Gaussian prior, whose posterior is known, followed exactly and without a sample.

docs/posterior_rules.md is written from this table and from that of `mixture_bias`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.exact import Gaussian, gaussian_wasserstein
from medidiff.diffusion.grid import karras, uniform_lambda
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.onestep import euler
from medidiff.diffusion.posterior import correction, data_consistent
from medidiff.diffusion.propagation import Moments, propagated
from medidiff.diffusion.reddiff import RedDiff, fixed_point
from medidiff.diffusion.rules import Flat, GradientStep, Isotropic, Literal, MomentMatching, PiGDM, Projection, RowSums
from medidiff.diffusion.sample import Step
from medidiff.diffusion.steer import dds, diffpir
from medidiff.diffusion.stochastic import Renoise

TOP, END, NOISE_STD = 20.0, 0.005, 0.1  # first and last level, noise of the measurement
ODE, SDE = euler, Renoise()


@dataclass(frozen=True)
class Matrix:
    """A matrix (m, d) as an operator on vectors, with its exact solver."""

    matrix: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix.T

    def adjoint(self, y: Tensor) -> Tensor:
        return y @ self.matrix

    def normal(self, x: Tensor) -> Tensor:
        return self.adjoint(self.forward(x))

    def solve_normal(self, kappa: float, rhs: Tensor) -> Tensor:
        gram = self.matrix.T @ self.matrix
        return torch.linalg.solve(gram + kappa * torch.eye(len(gram), dtype=gram.dtype), rhs.T).T


@dataclass(frozen=True)
class Case:
    """A rule in a sampler."""

    method: str
    sampler: str
    steps: int
    step: Step
    denoiser: Denoiser


@dataclass(frozen=True)
class Row:
    """One line of the Gaussian table."""

    method: str
    sampler: str
    steps: int
    bias: float  # of the mean, rms in standard deviations of the posterior
    spread: float  # trace of the covariance over that of the posterior
    distance: float  # 2-Wasserstein distance over sqrt(tr P)


def normals(seed: int) -> Callable[..., Tensor]:
    """White float64 numbers, one after the other from one generator."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def gaussian_oracle() -> tuple[Gaussian, Measurement]:
    """The prior, d = 16 with variances .01 to 2 in a random basis, and 8 random measurements of one draw."""
    draw = normals(1)
    basis = torch.linalg.qr(draw(16, 16))[0]
    draw(16)  # the reference figures of the tests passed over these numbers
    matrix = draw(8, 16) / 4
    prior = Gaussian(torch.zeros(16, dtype=torch.float64), torch.logspace(-2, math.log10(2), 16, dtype=torch.float64), basis)
    x = torch.linalg.cholesky(prior.covariance()) @ draw(16)
    return prior, Measurement(Matrix(matrix), (matrix @ x + NOISE_STD * draw(8))[None], NOISE_STD)


def gaussian_cases(prior: Gaussian, seen: Measurement) -> Iterator[Case]:
    """Every rule that is affine on a Gaussian."""
    std = float(prior.variance.mean().sqrt())
    rules = {
        "MMPS": MomentMatching(std),
        "PiGDM, c = tr C / d": PiGDM(std),
        "PiGDM, c = 1": PiGDM(1.0),
        "TMPD, row sums": RowSums(),
        "DPS, literal": Literal(),
        "DDS, noise to h": Isotropic(std),
        "DiffPIR lam 1": Flat(),
        "DDNM": Projection(),
        "FlowChef": GradientStep(1 / seen.norm_squared(seen.operator.adjoint(seen.y), 500)),
    }
    inside = {name: data_consistent(prior, seen, rule, iterations=16, tolerance=1e-12) for name, rule in rules.items()}
    for name, denoiser in inside.items():
        yield Case(name, "ODE", 999, ODE, denoiser)
        if not isinstance(denoiser.rule, Flat):
            yield Case(name, "eta 1", 999, SDE, denoiser)
    for steps in (10, 20, 30):
        yield Case("MMPS", "ODE, pp2m", steps, pp2m, inside["MMPS"])
        yield Case("MMPS", "eta 1", steps, SDE, inside["MMPS"])
    yield Case("PiGDM, c = tr C / d", "eta 1", 50, SDE, inside["PiGDM, c = tr C / d"])
    for steps in (20, 50, 200):
        yield Case("NA-DDS", "eta .85", steps, dds(correction(seen, Isotropic(std))), prior)
    for lam, zeta, steps in ((1.0, 0.3, 50), (1.0, 0.3, 300), (1.0, 0.3, 999), (1.0, 1.0, 50), (1.0, 1.0, 999), (7.0, 1.0, 999)):
        step = diffpir(correction(seen, Flat(lam)), zeta=zeta)
        yield Case(f"DiffPIR lam {lam:g}", f"zeta {zeta:g}", steps, step, prior)


def gaussian_row(case: Case, prior: Gaussian, seen: Measurement) -> Row:
    """The bias of one case by exact propagation from white noise: levels of Karras, but uniform in lambda for 999 steps."""
    levels = uniform_lambda if case.steps == 999 else karras
    grid = levels(case.steps + 1, smin=END, smax=TOP)
    size = prior.mean.numel()
    start = Moments(torch.zeros(size, dtype=torch.float64), TOP**2 * torch.eye(size, dtype=torch.float64))
    found = propagated(case.step, case.denoiser, grid, start=start, shape=(size,))
    return Row(
        case.method, case.sampler, case.steps, *compared(found, prior.posterior(seen.operator.matrix, seen.y[0], NOISE_STD))
    )


def compared(found: Moments, posterior: Gaussian) -> tuple[float, float, float]:
    """Bias, spread and distance, as in `Row`."""
    covariance, offset = posterior.covariance(), found.mean - posterior.mean
    bias = torch.sqrt(offset @ torch.linalg.solve(covariance, offset) / len(offset))
    distance = gaussian_wasserstein(found.mean, found.covariance, posterior.mean, covariance)
    trace = covariance.trace()
    return float(bias), float(found.covariance.trace() / trace), distance / float(trace.sqrt())


def reddiff_rows(prior: Gaussian, seen: Measurement) -> Iterator[Row]:
    """RED-diff's point estimate in closed form, at the weights of the literature."""
    posterior = prior.posterior(seen.operator.matrix, seen.y[0], NOISE_STD)
    for lam in (0.25, 4.0):
        levels = uniform_lambda(1000, smin=END, smax=TOP)
        m = fixed_point(prior, seen.operator.matrix, y=seen.y[0], noise_std=NOISE_STD, levels=levels, options=RedDiff(lam))
        point = Moments(m, torch.zeros(len(m), len(m), dtype=torch.float64))
        yield Row(f"RED-diff lam {lam:g}", "fixed point", 1000, *compared(point, posterior))
