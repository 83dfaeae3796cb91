"""Adapters: nothing changes until they are trained, and merging changes nothing after."""

import pytest
import torch

from medidiff.diffusion.denoiser import edm
from medidiff.diffusion.lora import adapter_weights, add_adapters, load_adapters, merge_adapters
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.train import Training, train
from medidiff.diffusion.training_set import Tensors
from medidiff.errors import ConfigError, DataError

SETTINGS = Training(steps=5, batch=2, learning_rate=1e-2, warmup=0, first_look=10**6, look_every=10**6, save_every=10**6)
X, LEVEL = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.1, -0.4])


def prior() -> UNet:
    """A network whose every weight is away from zero."""
    network = UNet(UNetShape(width=8, multipliers=(1, 2), attention=1))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network


def adapted(network: UNet, seed: int) -> UNet:
    """The network after a few steps in which only a new adapter moves."""
    add_adapters(network, rank=2, seed=seed)
    data = Tensors({"x0": torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed))})
    train(network, data, objective=Denoising(1.0), adapter=lambda net: edm(net, 1.0), settings=SETTINGS)
    return network


def test_the_output_is_equal_to_the_bit_before_training():
    network = prior()
    before = network(X, LEVEL)
    assert len(add_adapters(network, rank=4)) > 10
    assert torch.equal(network(X, LEVEL), before)


def test_training_moves_the_adapters_alone_and_merging_keeps_the_output():
    network = prior()
    original = {name: value.clone() for name, value in network.state_dict().items()}
    before = network(X, LEVEL)
    unmerged = adapted(network, 3)(X, LEVEL)
    assert (unmerged - before).abs().max() > 1e-3
    merge_adapters(network)
    merged = network(X, LEVEL)
    assert (merged - unmerged).abs().max() < 1e-6 * unmerged.abs().max()
    assert network.state_dict().keys() == original.keys()
    biases = [name for name in original if name.endswith("bias")]
    assert all(torch.equal(network.state_dict()[name], original[name]) for name in biases)


def test_adapters_add():
    deltas = []
    base = {name: value.clone() for name, value in prior().state_dict().items()}
    for seeds in ((3,), (4,), (3, 4)):
        network = prior()
        for seed in seeds:
            saved = adapter_weights(adapted(prior(), seed))
            add_adapters(network, rank=2, seed=seed)
            index = len(network.first.parametrizations.weight) - 1
            named = {
                name.replace("parametrizations.weight.0", f"parametrizations.weight.{index}"): v for name, v in saved.items()
            }
            kept = {name: value for name, value in adapter_weights(network).items() if name not in named}
            load_adapters(network, {**kept, **named})
        merge_adapters(network)
        deltas.append({name: value - base[name] for name, value in network.state_dict().items()})
    for name in base:
        assert (deltas[0][name] + deltas[1][name] - deltas[2][name]).abs().max() < 1e-6
    assert deltas[2]["first.weight"].abs().max() > 1e-4


def test_saved_adapters_restore_the_output_of_a_fresh_prior():
    network = adapted(prior(), 3)
    saved = {name: value.clone() for name, value in adapter_weights(network).items()}
    fresh = prior()
    add_adapters(fresh, rank=2, seed=99)
    load_adapters(fresh, saved)
    assert torch.equal(fresh(X, LEVEL), network(X, LEVEL))
    assert sum(v.numel() for v in saved.values()) < 0.35 * sum(p.numel() for p in prior().parameters())


def test_adapters_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"rank 4 on layers named \*nowhere\*: 0 layers match"):
        add_adapters(prior(), only="nowhere")
    small, large = prior(), prior()
    add_adapters(small, rank=1)
    add_adapters(large, rank=2)
    with pytest.raises(DataError, match="do not fit"):
        load_adapters(small, adapter_weights(large))
