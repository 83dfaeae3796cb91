"""DPS and DiffPIR as the package deepinv has them, our operator as its physics, our prior as its denoiser: to compare with.

deepinv works on x in [0, 1] and counts noise in that unit; its samplers hold what the network says in [-1, 1] of 2 x - 1:

    x = (u / reach + 1) / 2,     y' = (y / reach + A 1) / 2 = A x + noise_std / (2 reach) n,     sigma' = sigma / (2 reach)

Slices are apart in both. Noise comes from generators of torch, one for the whole volume.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn

from medidiff.diffusion.denoiser import predict
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State
from medidiff.errors import ConfigError
from medidiff.reconstruction.patches import InChunks

BETA = (0.1, 20.0)  # first and last rate of deepinv's variance-preserving process
LEAST_NOISE = 1e-4  # in place of a noise of 0, by which DiffPIR divides; unit of x
PROX_ITERATIONS = 50  # conjugate gradients of one data step of DiffPIR, at most


@dataclass(frozen=True, eq=False)
class Peer:
    """A measurement and a prior in deepinv's unit.

    denoiser      (u, sigma) -> E[x0 | u], slices as the batch
    measurement   y = A u + noise_std n, |A| = 1
    shape         of u, (slice, c, row, column)
    reach         network units at x = 1: 1 for a window, more for images without bounds
    on_step       called after every call of the network
    """

    denoiser: InChunks
    measurement: Measurement
    shape: tuple[int, ...]
    reach: float
    on_step: Callable[[State], None]

    def dps(self, *, steps: int, weight: float, noise: Noise) -> Tensor:
        """The volume u that DPS ends with; its gradient goes through the network (Chung 2023).

        steps    network calls per slice, at evenly spaced times from the prior's largest level down
        weight   of the gradient of  |y' - A D|^2 / (2 (noise^2 + sigma'^2))

        ConfigError where deepinv is not installed.
        """
        found = installed()
        times = torch.linspace(self._first_time(), 0.0, steps + 1, dtype=torch.float64)
        rng = noise.generator(0, "volume", "dps")
        solver = found.sampling.DDPMSolver(timesteps=times, rng=rng)
        sampler = found.sampling.DPS(_Network(self), solver=solver, weight=weight, guidance="annealed")
        return self._state(sampler(self._y, self._physics(found), x_init=self.shape))

    def diffpir(self, *, steps: int, weight: float, zeta: float, noise: Noise) -> Tensor:
        """The volume u that DiffPIR ends with (Zhu 2023).

        steps    network calls per slice, the last of which deepinv does not use
        weight   lambda, of the denoised image against the data
        zeta     share of fresh noise in variance

        ConfigError where deepinv is not installed.
        """
        found = installed()
        options = {"sigma": self._noise_std, "max_iter": steps, "lambda_": weight, "zeta": zeta}
        sampler = found.sampling.DiffPIR(_Network(self), found.optim.data_fidelity.L2(), **options)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(noise.generator(0, "volume", "diffpir").initial_seed())
            return self._state(sampler(self._y, self._physics(found)))

    @property
    def _noise_std(self) -> float:
        return max(self.measurement.noise_std / (2 * self.reach), LEAST_NOISE)

    @property
    def _y(self) -> Tensor:
        y = self.measurement.y
        ones = torch.ones(self.shape, dtype=torch.float32, device=y.device)
        return (y / self.reach + self.measurement.operator.forward(ones)) / 2

    def _physics(self, found: ModuleType) -> nn.Module:
        operator, noise = self.measurement.operator, found.physics.GaussianNoise(self._noise_std)
        forward, adjoint = lambda x, **_: operator.forward(x), lambda y, **_: operator.adjoint(y)
        return found.physics.LinearPhysics(forward, adjoint, noise_model=noise, solver="CG", max_iter=PROX_ITERATIONS)

    def _state(self, x: Tensor) -> Tensor:
        return self.reach * (2 * x.float() - 1)

    def _first_time(self) -> float:
        """Where the process has the prior's largest level, 1 at most:  sigma^2 = exp(b0 t + (b1 - b0) t^2 / 2) - 1."""
        first, last = BETA
        power = math.log1p((self.denoiser.limits.sigma_max / self.reach) ** 2)
        return min(1.0, (math.sqrt(first**2 + 2 * (last - first) * power) - first) / (last - first))


class _Network(nn.Module):
    """The prior as deepinv calls it. Above its largest level it is asked at that level, of a state that is shrunk to it."""

    def __init__(self, peer: Peer):
        super().__init__()
        self.peer, self.calls = peer, 0

    def forward(self, x: Tensor, sigma: Tensor | float, **_: Tensor) -> Tensor:
        peer = self.peer
        level = 2 * peer.reach * float(sigma)
        share = min(1.0, peer.denoiser.limits.sigma_max / level)
        denoiser = peer.denoiser.with_gradient if x.requires_grad else peer.denoiser
        denoised = predict(denoiser, share * peer.reach * (2 * x - 1), share * level)
        self.calls += 1
        peer.on_step(State(denoised.detach(), self.calls))
        return (denoised / peer.reach + 1) / 2


def installed() -> ModuleType:
    """The package deepinv. ConfigError, with what to do, where it is missing or older than 0.5."""
    try:
        import deepinv
        from deepinv.sampling import DDPMSolver  # noqa: F401  since 0.5
    except ImportError as error:
        raise ConfigError(
            "methods deepinv-dps and deepinv-diffpir: found no package deepinv of version 0.5 or later. "
            "Run `pip install 'deepinv>=0.5'`, or use nadds."
        ) from error
    return deepinv
