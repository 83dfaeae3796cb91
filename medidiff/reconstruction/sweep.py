"""The step towards the data that all solvers share: one linear system for the whole volume, with its slices coupled."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State
from medidiff.diffusion.stochastic import Renoise
from medidiff.errors import NumericsError
from physics.solvers.conjugate_gradient import conjugate_gradient
from physics.solvers.differences import difference_z, difference_z_adjoint

Duals = tuple[Tensor, ...]  # split differences w and scaled multipliers m, as the volume; empty where slices are apart


@dataclass(frozen=True)
class Sweep:
    """One round of ADMM on  1/2 |y - A h|^2 + kappa/2 |h - h0|^2 + rho threshold |D_z h|_1,  from h0 on.

    measurement   y = A x + noise on states (slice, c, row, column), |A| = 1
    iterations    conjugate gradients, with one step length for the whole volume
    rho           of the coupling; 0: every slice by itself
    threshold     on differences of neighbouring slices, network unit
    is_periodic   whether the last slice is tied to the first, as released code does

        h <- CG(A^T A + rho D^T D + kappa,  A^T y + rho D^T (w - m) + kappa h0,  from h0)
        w <- shrink(D h + m, threshold),    m <- m + D h - w
    """

    measurement: Measurement
    iterations: int
    rho: float
    threshold: float
    is_periodic: bool = False

    def __call__(self, h0: Tensor, kappa: float, duals: Duals) -> tuple[Tensor, Duals]:
        """h and the duals of the next round. NumericsError where A^T A is not positive, which an exact adjoint rules out."""
        operator, rhs = self.measurement.operator, self._back + kappa * h0
        if duals:
            w, m = duals
            rhs = rhs + self.rho * self._adjoint_z(w - m)

        def system(p: Tensor) -> Tensor:
            out = operator.normal(p) + kappa * p
            return out + self.rho * self._adjoint_z(self._along_z(p)) if duals else out

        try:
            h = conjugate_gradient(system, rhs, h0, iterations=self.iterations)
        except ValueError as error:
            raise NumericsError(f"the step towards the data broke down: {error}") from error
        if not duals:
            return h, ()
        steps = self._along_z(h)
        w = shrink(steps + m, self.threshold)
        return h, (w, m + steps - w)

    def no_duals(self, like: Tensor) -> Duals:
        """Before the first round: 0, or nothing where there is nothing to couple."""
        return (torch.zeros_like(like),) * 2 if self.rho > 0 and len(like) > 1 else ()

    def _along_z(self, x: Tensor) -> Tensor:
        return difference_z(x, periodic=self.is_periodic)

    def _adjoint_z(self, w: Tensor) -> Tensor:
        return difference_z_adjoint(w, periodic=self.is_periodic)

    @cached_property
    def _back(self) -> Tensor:
        """A^T y."""
        return self.measurement.operator.adjoint(self.measurement.y)


@dataclass(frozen=True)
class VolumeStep:
    """A step of `Renoise` whose correction is a sweep over the whole volume; the duals travel in the state's history.

    renoise   how noise is put back
    sweep     towards the data
    kappa     sigma -> weight of the denoised image
    bounds    that hold the denoised image before the sweep, network unit
    """

    renoise: Renoise
    sweep: Sweep
    kappa: Callable[[float], float] = field(repr=False)
    bounds: tuple[float, float] = (-float("inf"), float("inf"))

    @property
    def is_stochastic(self) -> bool:
        return self.renoise.is_stochastic

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        duals = state.history or self.sweep.no_duals(state.u)

        def correct(denoised: Tensor, sigma: float) -> Tensor:
            nonlocal duals
            h, duals = self.sweep(denoised.clamp(*self.bounds), self.kappa(sigma), duals)
            return h

        after = replace(self.renoise, correct=correct)(denoiser, state, grid, noise)
        return State(after.u, after.step, duals)


def shrink(v: Tensor, threshold: float) -> Tensor:
    """v (1 - threshold / |v|) where |v| > threshold, else 0; |v| over the channels, so that phases do not matter.

    v   (slice, c, row, column)
    """
    size = torch.linalg.vector_norm(v, dim=1, keepdim=True)
    return v * (1 - threshold / size.clamp(min=torch.finfo(v.dtype).tiny)).clamp(min=0)
