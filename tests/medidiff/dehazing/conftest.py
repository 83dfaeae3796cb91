"""A small sector, and small networks with random weights."""

import math
from dataclasses import asdict

import pytest
import torch

from medidiff.dehazing.model import CONDITIONS, EchoCard, EchoModel, Priors, denoiser_of
from medidiff.diffusion.checkpoint import weights_hash
from medidiff.diffusion.networks.unet import UNet, UNetShape
from physics.ultrasound.polar import PolarGrid

GOOD_GATE = {"tissue": {"0.1": 0.5}, "haze": {"0.1": 0.6}}


def small_model(kind, **changes):
    """A network that changes its input a little, whatever it is told, and its card."""
    shape = UNetShape(channels=2, condition=CONDITIONS[kind], classes=2 if kind == "joint" else 0, width=8, multipliers=(1, 2))
    network = UNet(shape, seed=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        torch.nn.init.normal_(network.last.weight, std=0.02)
    network.eval().requires_grad_(False)
    card = EchoCard(
        **{
            "name": f"small-{kind}",
            "kind": kind,
            "network": asdict(shape),
            "sd": (0.3, 0.25) if kind == "joint" else (0.3,),
            "mu": 255.0,
            "range_step_m": 0.308e-3,
            "angle_step_rad": 10.3e-3,
            "demodulation_hz": 2.5e6,
            "htr_db": (-22.0, -6.0),
            "trained_range": (0.0, 0.0) if kind == "regress" else (0.002, 10.0),
            "weights_sha256": weights_hash(network.state_dict()),
            "gate": GOOD_GATE if kind == "joint" else {},
        }
        | changes
    )
    return EchoModel(card, denoiser_of(network, card), shape.multiple), network


@pytest.fixture
def grid():
    return PolarGrid(0.015, 0.308e-3, 19, -0.12, 10.3e-3, 14)


@pytest.fixture
def y(grid):
    """Three frames of speckle, brighter in the middle, in units of a scanner."""
    generator = torch.Generator().manual_seed(5)
    speckle = torch.randn(3, *grid.shape, dtype=torch.complex64, generator=generator)
    bright = 1 + 9 * torch.exp(-((torch.arange(grid.ranges) - 9.0) ** 2) / 8)
    return 40.0 * speckle * bright[:, None]


@pytest.fixture
def small():
    """A function that makes a small model, (kind, **changes of its card) -> (model, network)."""
    return small_model


@pytest.fixture
def priors():
    return Priors(**{kind: small_model(kind)[0] for kind in CONDITIONS})


@pytest.fixture
def turned():
    """A phase factor that is no multiple of a right angle."""
    return complex(math.cos(0.7), math.sin(0.7))
