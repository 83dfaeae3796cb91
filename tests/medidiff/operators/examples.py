"""Small operators, problems and cards for the tests of this folder."""

from dataclasses import asdict

import torch

from medidiff.diffusion.networks.unet import UNet
from medidiff.operators.denoiser import network_shape
from medidiff.operators.encoding import measure
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.model import Operator, OperatorCard
from medidiff.operators.problem import Problem, Solved
from medidiff.operators.refine import measure_refinement

FRAMES, CELLS = 8, 16
SIZE = {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention": 0}


def solved(count=4, *, seed=0, fields=1, forces=1, cells=CELLS, dtype=torch.float32):
    """Smooth random trajectories that solve nothing."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64).cumsum(-1).to(dtype)
    parameters = torch.rand(count, 1, generator=generator).to(dtype) + 0.5
    problem = Problem(draw(count, fields, cells), draw(count, forces, FRAMES, cells), parameters)
    return Solved(problem, draw(count, fields, FRAMES, cells))


def operator(*, form="residual", forces=1, boundary="walls", levels=1, parts=None, weights=0.02):
    """An operator whose networks have small random weights instead of trained ones."""
    example = solved(16, seed=9, forces=forces)
    names = tuple(f"f{i}" for i in range(forces))
    encoding = measure(OperatorLayout(("u",), levels=levels), names, example)
    refinement = measure_refinement(("u",), names, example)
    own = {
        "regression": (encoding.states, encoding.conditions),
        "residual": (encoding.states, encoding.conditions + encoding.states),
        "direct": (encoding.states + encoding.force_channels, encoding.conditions),
        "refiner": (refinement.channels, refinement.conditions),
    }
    networks = {}
    for part in parts or own:
        channels, condition = own[part]
        network = UNet(network_shape(SIZE, dims=2, channels=channels, condition=condition, parameters=1), seed=3)
        generator = torch.Generator().manual_seed(5)
        for weight in (network.last.weight, network.last.bias):
            weight.data = weights * torch.randn(weight.shape, generator=generator)
        networks[part] = network.eval().requires_grad_(False)
    low, high = example.problem.parameters.min().item(), example.problem.parameters.max().item()
    card = OperatorCard(
        name="tiny",
        title="a test",
        system="burgers",
        form=form,
        encoding=asdict(encoding),
        networks={part: asdict(network.shape) for part, network in networks.items()},
        frames=FRAMES,
        cells=(CELLS,),
        dt_s=0.25,
        length=1.0,
        boundary=boundary,
        parameters={"viscosity": [low, high]},
        residual_scale=(0.3,) * encoding.states,
        refinement=asdict(refinement),
        training={"stages": []},
    )
    return Operator(card, networks)


def asked(count=3, *, forces=1, seed=1, cells=CELLS):
    """A problem inside the range of `operator`."""
    problem = solved(count, seed=seed, forces=forces, cells=cells).problem
    return Problem(problem.initial, problem.forcing, torch.ones_like(problem.parameters))
