"""Trajectories and problems in the units of the network: one scale per field, conditions channel by channel."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from medidiff.operators.layout import OperatorLayout
from medidiff.operators.problem import Problem, Solved

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Encoding:
    """How a model sees its system.

    One scale per field, the root mean square of all its coefficients, keeps the loss of the network the loss in physical space;
    one per band would ask for equal relative accuracy of bands that hold a millionth of the energy. Means stay, so that linear
    laws stay linear.
    """

    layout: OperatorLayout
    forces: tuple[str, ...]  # order of the force axis; empty where the system has none
    state_scale: Numbers  # per field; of the published scales, per channel
    force_scale: Numbers  # per force; the same
    force_condition: Numbers  # root mean square of every channel of the force
    initial_condition: Numbers  # of every channel of the initial state
    parameter_centre: Numbers  # middle of the range that was trained on
    parameter_scale: Numbers  # its width

    @property
    def states(self) -> int:
        """Channels of the state."""
        return len(self.layout.fields) * self.layout.bands

    @property
    def force_channels(self) -> int:
        """Channels of the force."""
        return len(self.forces) * self.layout.bands

    @property
    def given_channel(self) -> int | None:
        """Which condition channel says that the force is given; None where there is no force."""
        return self.force_channels if self.forces else None

    @property
    def conditions(self) -> int:
        """Channels of the condition: force, whether it is given, initial state, coordinates."""
        layout = self.layout
        given = self.force_channels + 1 if self.forces else 0
        return given + len(layout.fields) * layout.initial_bands + len(layout.names)

    def state(self, u: Tensor) -> Tensor:
        """z (b, states, *grid) of trajectories (b, field, t, x)."""
        return self.layout.encode(u) / self.channel_scale("state", u)

    def force(self, f: Tensor) -> Tensor:
        """z (b, force_channels, *grid) of forces (b, force, t, x)."""
        return self.layout.encode(f) / self.channel_scale("force", f) if self.forces else f.new_zeros(len(f), 0, *self._grid(f))

    def physical(self, z: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """The trajectories of z, the inverse of `state`."""
        return self.layout.decode(z * self.channel_scale("state", z), sizes)

    def physical_force(self, z: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """The forces of z, the inverse of `force`."""
        return self.layout.decode(z * self.channel_scale("force", z), sizes)

    def condition(self, problem: Problem) -> Tensor:
        """What the network is told, (b, conditions, *grid)."""
        layout, initial = self.layout, problem.initial
        told = layout.encode_initial(initial, problem.sizes[0])
        told = told / along_channels(self.initial_condition, told)
        places = layout.coordinates(problem.sizes, initial).expand(len(initial), *[-1] * (1 + len(layout.names)))
        if not self.forces:
            return torch.cat([told, places], 1)
        force = layout.encode(problem.forcing)
        force = force / along_channels(self.force_condition, force)
        return torch.cat([force, torch.ones_like(force[:, :1]), told, places], 1)

    def parameters(self, problem: Problem) -> Tensor:
        """Parameters in [-1/2, 1/2] over the range that was trained on, (b, p)."""
        values = problem.parameters
        if not self.parameter_scale:
            return values[:, :0]
        return (values - values.new_tensor(self.parameter_centre)) / values.new_tensor(self.parameter_scale)

    def channel_scale(self, which: str, like: Tensor) -> Tensor:
        """One number per channel of `state` or `force`, shaped to broadcast."""
        return along_channels(self.channel_scales(which), like)

    def channel_scales(self, which: str) -> Numbers:
        """The number by which every channel of `state` or `force` is divided."""
        scales, channels = (self.state_scale, self.states) if which == "state" else (self.force_scale, self.force_channels)
        return tuple(scale for scale in scales for _ in range(channels // len(scales)))

    def _grid(self, f: Tensor) -> tuple[int, ...]:
        return self.layout.grid(tuple(f.shape[2:]))


def measure(layout: OperatorLayout, forces: tuple[str, ...], solved: Solved, *, size: Callable | None = None) -> Encoding:
    """The encoding whose scales are those of a training set.

    size   of every channel of coefficients, by which it is divided; None: the root mean square, of states and forces by field
    """
    of_fields = size or partial(_per_field, bands=layout.bands)
    size = size or root_mean_square
    problem = solved.problem
    parameters = problem.parameters
    low, high = parameters.amin(0), parameters.amax(0)
    width = torch.where(high > low, high - low, 1.0)
    force = layout.encode(problem.forcing) if forces else None
    return Encoding(
        layout=layout,
        forces=forces,
        state_scale=of_fields(layout.encode(solved.states)),
        force_scale=of_fields(force) if forces else (),
        force_condition=size(force) if forces else (),
        initial_condition=size(layout.encode_initial(problem.initial, problem.sizes[0])),
        parameter_centre=tuple(((low + high) / 2).tolist()),
        parameter_scale=tuple(width.tolist()),
    )


def root_mean_square(w: Tensor) -> Numbers:
    """Of every channel (axis 1) over all the rest; 1 for a channel that is zero."""
    found = w.double().square().transpose(0, 1).flatten(1).mean(1).sqrt()
    return tuple(torch.where(found > 0, found, 1.0).tolist())


def _per_field(w: Tensor, bands: int) -> Numbers:
    return root_mean_square(w.unflatten(1, (-1, bands)))


def along_channels(values: Numbers, like: Tensor) -> Tensor:
    """One number per channel, shaped to broadcast over (b, channel, *grid)."""
    return like.new_tensor(values).reshape(1, -1, *[1] * (like.ndim - 2))
