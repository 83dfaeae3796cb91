from dataclasses import asdict, replace

import pytest
import torch

from medidiff.diffusion.card import Card, card_text, pack_prior
from medidiff.diffusion.checkpoint import weights_hash
from medidiff.diffusion.denoiser import edm, limits_of
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.prior import assemble_prior
from medidiff.errors import DataError

SHAPE = UNetShape(dims=2, channels=1, width=8, multipliers=(1, 2), stem=2)


def network(seed: int = 3) -> UNet:
    made = UNet(SHAPE, seed=seed)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        for value in made.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=generator))
    return made.eval()


def card(weights, **changes) -> Card:
    made = Card(
        name="small",
        process="edm",
        output="F",
        sd=0.4,
        trained_range=(0.01, 30.0),
        window=(-1000.0, 1000.0),
        units="HU",
        channels=1,
        multiple=SHAPE.multiple,
        network=asdict(SHAPE),
        weights_sha256=weights_hash(weights),
        data_sha256=("0" * 64,),
        seed=0,
        steps=1,
        threads=1,
        versions={"torch": "2"},
    )
    return replace(made, **changes)


def test_a_prior_from_files_denoises_as_the_network_that_was_packed():
    made = network()
    weights = made.state_dict()
    prior = assemble_prior(pack_prior(card(weights), weights))
    u, sigma = torch.randn(3, 1, 8, 12, generator=torch.Generator().manual_seed(1)), torch.tensor([0.02, 0.5, 9.0]).double()
    expected = edm(made, 0.4)(u, sigma)
    assert (expected - u).abs().max() > 0.1
    assert torch.allclose(prior.denoiser(u, sigma), expected, atol=1e-5)
    assert not any(value.requires_grad for value in prior.denoiser.network.parameters())


def test_a_prior_carries_the_limits_of_its_card():
    weights = network().state_dict()
    limits = limits_of(assemble_prior(pack_prior(card(weights), weights)).denoiser)
    assert (limits.sigma_min, limits.sigma_max, limits.data_std, limits.multiple) == (0.01, 30.0, 0.4, 4)


def test_weights_of_another_training_are_refused():
    mine, other = network().state_dict(), network(4).state_dict()
    files = pack_prior(card(mine), mine) | {"model.safetensors": pack_prior(card(other), other)["model.safetensors"]}
    with pytest.raises(DataError, match=r"weights of prior small have SHA-256 .*, its card says"):
        assemble_prior(files)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "eps"}, "found process 'edm' with output 'eps', expected 'edm' with 'F'"),
        ({"process": "flow"}, "found process 'flow'"),
        ({"channels": 2}, "says 2 channels and multiples of 4, its network has 1 and 4"),
        ({"multiple": 8}, "says 1 channels and multiples of 8, its network has 1 and 4"),
        ({"network": {"dims": 2, "depth": 7}}, "describes no network of this version"),
        ({"network": {"dims": 4}}, "describes no network of this version"),
    ],
)
def test_a_card_that_does_not_describe_its_network_is_refused(changes, message):
    weights = network().state_dict()
    files = pack_prior(card(weights), weights) | {"card.json": card_text(card(weights, **changes)).encode()}
    with pytest.raises(DataError, match=message):
        assemble_prior(files)


def test_weights_that_do_not_fit_the_network_are_refused():
    weights = UNet(replace(SHAPE, width=16)).state_dict()
    with pytest.raises(DataError, match="weights"):
        assemble_prior(pack_prior(card(weights), weights))
