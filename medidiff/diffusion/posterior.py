"""A denoiser of p(x | y) from a denoiser of p(x): one formula, whose rules differ in what they put for V and G.

    D_y = D + G A^T (sy^2 I + A V A^T)^-1 (y - A D)

    rule               V                     G            called                 exact for
    Isotropic          r^2 I                 r^2 I        DDS, NA-DDS            isotropic Gaussian priors
    Flat               sigma^2/lam I         sigma^2/lam  DiffPIR                a flat prior, lam = 1
    Projection         I, with sy = 0        I            DDNM                   noiseless and isotropic
    GradientStep       0, with sy = 1        step I       FlowChef               nothing
    PiGDM              r^2 I                 sigma^2 J^T  PiGDM                  isotropic Gaussian priors
    RowSums            diag(A sigma^2 J A^T 1)  "         TMPD                   A V A^T diagonal
    MomentMatching     sigma^2 J             "            MMPS, full TMPD        every Gaussian prior
    Literal            0                     "            DPS, Gaussian          sigma -> 0

The first four need no gradient of the network and are the default everywhere. The others need its Jacobian J = dD/du, which a
density makes symmetric and a trained network does not: they measure |J - J^T| / |J| as they run and keep it in `Report`.
docs/posterior_rules.md tells what each rule gets wrong. Say "posterior samples" only where that is nothing.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, Limits, limits_of
from medidiff.diffusion.jacobian import pullback
from medidiff.diffusion.measurement import Measurement, scaled
from medidiff.diffusion.rules import Point, Problem, Report, Rule
from medidiff.errors import ConfigError


@dataclass(frozen=True)
class DataConsistent:
    """The denoiser that `data_consistent` makes; `report` tells what its solver met."""

    denoiser: Denoiser
    problem: Problem
    rule: Rule

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    @property
    def report(self) -> Report:
        return self.problem.report

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        prior = partial(self.denoiser, **condition) if condition else self.denoiser
        if not self.rule.needs_jacobian:
            denoised = prior(u, sigma)
            return denoised + self.rule.shift(self.problem, Point(denoised, sigma, no_jacobian))
        self.report.look_at(prior, u, sigma)
        denoised, pull = pullback(prior, u, sigma)
        return denoised + self.rule.shift(self.problem, Point(denoised, sigma, lambda v: scaled(sigma**2, pull(v))))


@dataclass(frozen=True)
class Correction:
    """The `correct` of `Renoise` that `correction` makes: (denoised, sigma) -> denoised given y."""

    problem: Problem
    rule: Rule

    @property
    def __name__(self) -> str:
        """Rule and measurement, as saved states name them."""
        return f"{self.rule!r} of {self.problem.measurement!r}"

    @property
    def report(self) -> Report:
        return self.problem.report

    def __call__(self, denoised: Tensor, sigma: float) -> Tensor:
        level = torch.full((len(denoised),), sigma, dtype=torch.float64, device=denoised.device)
        return denoised + self.rule.shift(self.problem, Point(denoised, level, no_jacobian))


def data_consistent(
    denoiser: Denoiser,
    measurement: Measurement,
    rule: Rule,
    *,
    iterations: int = 5,
    tolerance: float = 1e-6,
) -> DataConsistent:
    """A denoiser of p(x | y) from a denoiser of p(x), for every sampler: D + G A^T (sy^2 I + A V A^T)^-1 (y - A D).

    denoiser      (u, sigma, **condition) -> E[x0 | u]
    measurement   y = A x + noise_std n
    rule          which V and G: `Isotropic(data_std)` needs no gradient and is the default of the pipelines
    iterations    conjugate gradients per call; an operator's own `solve_normal` replaces them in rules with V = r^2 I
    tolerance     relative residual at which an item stops

    ConfigError for a rule that divides by noise_std = 0, and for one that needs J = dD/du as V / sigma^2 where the prior's kernel
    is not Gaussian (PFGM++ with finite D).
    """
    check_rule(rule, measurement)
    if rule.needs_jacobian and not limits_of(denoiser).gaussian_kernel:
        raise ConfigError(
            f"{type(rule).__name__} takes sigma^2 J for the posterior covariance, which PFGM++ with finite D does not allow; "
            "use Isotropic"
        )
    return DataConsistent(denoiser, Problem(measurement, iterations, tolerance), rule)


def correction(measurement: Measurement, rule: Rule, *, iterations: int = 5, tolerance: float = 1e-6) -> Correction:
    """The same formula as `correct` of `Renoise`, which then knows the unconstrained D too. Arguments as in `data_consistent`.

    ConfigError for a rule that needs the Jacobian: only a denoiser has one.
    """
    check_rule(rule, measurement)
    if rule.needs_jacobian:
        raise ConfigError(f"{type(rule).__name__} needs the Jacobian of the denoiser; use data_consistent(denoiser, ...)")
    return Correction(Problem(measurement, iterations, tolerance), rule)


def check_rule(rule: Rule, measurement: Measurement) -> None:
    """ConfigError unless rule and noise fit together."""
    if rule.needs_noise and measurement.noise_std == 0:
        raise ConfigError(f"{type(rule).__name__} divides by noise_std, which is 0; give the noise of y or use Isotropic")


def no_jacobian(v: Tensor) -> Tensor:
    raise AssertionError("a rule that says it needs no Jacobian asked for it")
