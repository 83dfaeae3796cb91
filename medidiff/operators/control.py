"""Forces that lead to a target: state and force are sampled together, steered by the cost of the force and the last state."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.noise import Noise
from medidiff.operators.direct import hidden
from medidiff.operators.encoding import Encoding
from medidiff.operators.model import Operator
from medidiff.operators.problem import Problem
from medidiff.operators.proximal import Proximal
from medidiff.operators.sampler import sample_joint
from medidiff.operators.settings import ControlSettings


@dataclass(frozen=True, eq=False)
class FinalTarget:
    """J = sum_x |u(T) - target|^2 dx + energy_weight sum_{t,x} f^2 dx dt."""

    target: Tensor  # (b, field, x)
    energy_weight: float
    dx: float
    dt: float

    def value(self, states: Tensor, forcing: Tensor) -> Tensor:
        """J of every draw, (b, draw), of states and forces (b, draw, field, t, x)."""
        miss = states[..., -1, :] - self.target.unsqueeze(1)
        energy = forcing.square().flatten(2).sum(2) * self.dx * self.dt
        return miss.square().flatten(2).sum(2) * self.dx + self.energy_weight * energy

    def rows(self, states: Tensor, forcing: Tensor) -> Tensor:
        """The linear map whose squared distance to `goal` is J, (b, m), of states and forces (b, field, t, x)."""
        end = math.sqrt(self.dx) * states[:, :, -1].flatten(1)
        return torch.cat([end, self._price * forcing.flatten(1)], 1)

    def spread(self, rows: Tensor, like: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The transpose of `rows`: states and forces, shaped as `like`."""
        cut = self.target[0].numel()
        states = torch.zeros_like(like[0])
        states[:, :, -1] = math.sqrt(self.dx) * rows[:, :cut].reshape(states[:, :, -1].shape)
        return states, self._price * rows[:, cut:].reshape(like[1].shape)

    def goal(self, forces: int) -> Tensor:
        """(b, m): the target at the end, and no force."""
        end = math.sqrt(self.dx) * self.target.flatten(1)
        return torch.cat([end, end.new_zeros(len(end), forces)], 1)

    @property
    def _price(self) -> float:
        return math.sqrt(self.energy_weight * self.dx * self.dt)


@dataclass(frozen=True, eq=False)
class Rows:
    """The objective's linear map on the channels of (state, force), and its transpose."""

    objective: FinalTarget
    encoding: Encoding
    sizes: tuple[int, ...]

    def physical(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """States and forces of channels."""
        cut = self.encoding.states
        return self.encoding.physical(y[:, :cut], self.sizes), self.encoding.physical_force(y[:, cut:], self.sizes)

    def forward(self, y: Tensor) -> Tensor:
        """(b, m) of channels (b, c, *grid)."""
        return self.objective.rows(*self.physical(y))

    def adjoint(self, rows: Tensor) -> Tensor:
        """Channels of (b, m)."""
        encoding, count = self.encoding, len(rows)
        like = (
            rows.new_zeros(count, len(encoding.layout.fields), *self.sizes),
            rows.new_zeros(count, len(encoding.forces), *self.sizes),
        )
        parts = zip(("state", "force"), self.objective.spread(rows, like), strict=True)
        back = [(encoding.layout.decode_adjoint(value), name) for name, value in parts]
        return torch.cat([value * encoding.channel_scale(name, value) for value, name in back], 1)


@torch.no_grad()
def steered_forces(
    model: Operator, problem: Problem, objective: FinalTarget, settings: ControlSettings, *, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Forces and the model's own states, both (b, draw, field, t, x), drawn from p(u, f | u0) exp(-J / temperature)."""
    encoding, draws = model.encoding, settings.draws
    many = problem.repeated(draws)
    target = objective.target.repeat_interleave(draws, 0)
    repeated = FinalTarget(target, objective.energy_weight, objective.dx, objective.dt)
    rows = Rows(repeated, encoding, problem.sizes)
    denoiser = Proximal(
        model.denoiser("direct"),
        rows.forward,
        rows.adjoint,
        repeated.goal(many.forcing[0].numel()),
        settings.temperature,
        settings.iterations,
    )
    unknown = Problem(many.initial, torch.zeros_like(many.forcing), many.parameters)
    condition = hidden(encoding.condition(unknown), encoding.given_channel, 0.0)
    names = tuple(f"{item}-{draw}" for item in noise.items for draw in range(draws))
    handed = {"condition": condition, "parameters": encoding.parameters(many)}
    y = sample_joint(model, denoiser, many, sampler=settings.sampler, noise=noise.of(*names), **handed)
    states, forcing = rows.physical(y)
    return forcing.unflatten(0, (len(problem), draws)), states.unflatten(0, (len(problem), draws))
