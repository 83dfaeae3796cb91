"""Twice the cells: a network adds the detail, and the averages stay as they were given."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch
from medidiff.operators.denoiser import Regressor
from medidiff.operators.encoding import Numbers, along_channels, root_mean_square
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.problem import Problem, Solved
from medidiff.operators.restrict import cell_average, coarser, coarser_solved

if TYPE_CHECKING:
    from medidiff.operators.model import Operator


@dataclass(frozen=True)
class Refinement:
    """How one network sees a doubling of the cells, at any resolution.

    Haar's approximation of a pair of cells is sqrt(2) times their average, of a square of four 2 times, so that with the coarse
    trajectory given the network has to add the detail alone, and the averages stay as they are, to rounding. Frames are
    instants: time is not refined.
    """

    layout: OperatorLayout  # of one level of Haar along every axis of space alone
    forces: tuple[str, ...]
    detail_scale: Numbers  # per channel
    condition_scale: Numbers  # of every condition channel but the coordinates

    @property
    def channels(self) -> int:
        """Of the detail."""
        return len(self.layout.fields) * (self.layout.bands - 1)

    @property
    def conditions(self) -> int:
        """Coarse state, both bands of the initial state and of the force, coordinates."""
        return len(self.condition_scale) + len(self.layout.names)

    def detail(self, u: Tensor) -> Tensor:
        """The detail of trajectories (b, field, t, x[, y]), in units of the network, (b, channels, t, x / 2[, y / 2])."""
        return _detail(self.layout, u) / along_channels(self.detail_scale, u)

    def condition(self, coarse: Tensor, problem: Problem) -> Tensor:
        """What the network is told.

        coarse    (b, field, t, x / 2[, y / 2])
        problem   with x[, y] cells
        """
        told = _told(self.layout, self.forces, coarse, problem) / along_channels(self.condition_scale, coarse)
        places = self.layout.coordinates(problem.sizes, coarse)
        places = places.expand(len(coarse), *[-1] * places.ndim)
        return torch.cat([told, places], 1)

    def joined(self, coarse: Tensor, detail: Tensor) -> Tensor:
        """The trajectories (b, field, t, x[, y]) with these averages and this detail in units of the network."""
        detail = (detail * along_channels(self.detail_scale, detail)).unflatten(1, (coarse.shape[1], -1))
        w = torch.cat([math.sqrt(self.layout.bands) * coarse.unsqueeze(2), detail], 2).flatten(1, 2)
        return self.layout.decode(w, (coarse.shape[2], *(2 * size for size in coarse.shape[3:])))


def measure_refinement(fields: tuple[str, ...], forces: tuple[str, ...], solved: Solved) -> Refinement:
    """The refinement whose scales are those of a training set at its finest pair of grids."""
    dims = solved.problem.dims
    layout = OperatorLayout(fields, family="haar", axes="xy"[:dims], space="xy"[:dims])
    coarse = cell_average(solved.states, 2, dims=dims)
    return Refinement(
        layout,
        forces,
        detail_scale=root_mean_square(_detail(layout, solved.states)),
        condition_scale=root_mean_square(_told(layout, forces, coarse, solved.problem)),
    )


@dataclass(frozen=True)
class Refining:
    """mean |F(condition) - detail|^2 / mean |detail|^2 over pairs of neighbouring resolutions; one batch is one pair.

    A batch holds `states`, `forcing`, `initial`, `parameters` in physical units and `told` in those of the network. Divided by
    its own size, the detail of a coarse pair counts as much as that of a fine one.
    """

    refinement: Refinement
    pairs: int = 2  # down from the grid of the data

    def __call__(self, batch: Batch, regressor: Regressor, noise: Noise) -> Tensor:
        draw = torch.rand(1, generator=noise.generator(0, "batch", "scale"))
        problem = Problem(batch["initial"], batch["forcing"], batch["parameters"])
        solved = coarser_solved(Solved(problem, batch["states"]), 2 ** int(draw * self.pairs))
        coarse = cell_average(solved.states, 2, dims=solved.problem.dims)
        condition = self.refinement.condition(coarse, solved.problem)
        wanted = self.refinement.detail(solved.states)
        return (regressor(condition, batch["told"]) - wanted).square().mean() / wanted.square().mean()


@torch.no_grad()
def refined_once(model: "Operator", coarse: Tensor, problem: Problem) -> Tensor:
    """Trajectories (b, field, t, 2 x[, 2 y]) on the grid of the problem from those with x[, y] cells."""
    if problem.sizes[-1] != 2 * coarse.shape[-1]:
        problem = coarser(problem, problem.sizes[-1] // (2 * coarse.shape[-1]))
    refinement = model.refinement
    condition = refinement.condition(coarse, problem)
    detail = model.regressor("refiner")(condition, model.encoding.parameters(problem))
    return refinement.joined(coarse, detail)


def _detail(layout: OperatorLayout, u: Tensor) -> Tensor:
    """All bands but the average, field by field."""
    return layout.encode(u).unflatten(1, (-1, layout.bands))[:, :, 1:].flatten(1, 2)


def _told(layout: OperatorLayout, forces: tuple[str, ...], coarse: Tensor, problem: Problem) -> Tensor:
    parts = [coarse, layout.encode_initial(problem.initial, problem.sizes[0])]
    if forces:
        parts.append(layout.encode(problem.forcing))
    return torch.cat(parts, 1)
