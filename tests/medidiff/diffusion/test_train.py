"""Training: the loss starts where it must, falls to the Bayes error, and a run that stops goes on to the same bytes."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from medidiff.diffusion.checkpoint import pack, unpack, weights_hash
from medidiff.diffusion.denoiser import edm
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.levels import LogNormal, UniformLambda
from medidiff.diffusion.networks.mlp import MLP
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.precision import Autocast
from medidiff.diffusion.spectrum import Stationary
from medidiff.diffusion.train import Session, Training, best_weights, learning_rate, train
from medidiff.diffusion.training_set import Tensors, batch_indices
from medidiff.diffusion.validation import Look, Validation
from medidiff.errors import ConfigError, DataError, NumericsError

SHORT = Training(steps=20, batch=4, learning_rate=1e-3, warmup=5, save_every=10, first_look=5, look_every=1000)
SD = 0.5


def images(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth random images (count, 1, 8, 8) of standard deviation .5."""
    z = torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    return SD * 5 * torch.nn.functional.avg_pool2d(z, 5, stride=1)


def small_unet() -> UNet:
    return UNet(UNetShape(width=8, multipliers=(1, 2)), seed=1)


def run(network, settings=SHORT, *, data=None, session=Session(), adapter=partial(edm, sd=SD)):  # noqa: B008
    data = Tensors({"x0": images(10)}) if data is None else data
    return train(network, data, objective=Denoising(SD), adapter=adapter, settings=settings, session=session)


def test_a_run_stopped_half_way_ends_in_the_same_bytes_as_one_that_never_stopped():
    torch.set_num_threads(1)
    whole = pack(run(small_unet()))
    saved = []
    run(small_unet(), session=Session(save=lambda checkpoint: saved.append(pack(checkpoint))))
    torch.manual_seed(99)
    resumed = pack(run(UNet(UNetShape(width=8, multipliers=(1, 2)), seed=7), session=Session(resume=unpack(saved[0]))))
    assert unpack(saved[0]).step == 10
    assert {name: content for name, content in resumed.items()} == whole


def test_dropout_inside_a_network_resumes_too():
    def network():
        return torch.nn.ModuleDict({"mlp": MLP(3, width=16), "drop": torch.nn.Dropout(0.5)})

    def adapter(parts):
        return edm(lambda x, level: parts["mlp"](parts["drop"](x), level), SD)

    data, saved = Tensors({"x0": torch.randn(8, 3)}), []
    whole = run(network(), data=data, adapter=adapter, session=Session(save=saved.append))
    resumed = run(network(), data=data, adapter=adapter, session=Session(resume=saved[0]))
    assert weights_hash(whole.model) == weights_hash(resumed.model)


def test_a_finished_run_resumes_to_itself():
    done = run(small_unet())
    assert run(small_unet(), session=Session(resume=done)) is done


def test_a_checkpoint_of_another_network_is_refused():
    with pytest.raises(DataError, match="another network"):
        run(UNet(UNetShape(width=16, multipliers=(1, 2))), session=Session(resume=run(small_unet())))


def test_the_loss_of_an_untrained_network_is_one_at_every_level_if_sd_is_right():
    data = images(64)
    data = data / data.std() * SD
    look = Validation({"x0": data}, Stationary.of(data), sd=SD)(edm(small_unet(), SD))
    assert look.loss == pytest.approx([1.0] * 6, abs=0.03)


def test_a_trained_network_reaches_the_bayes_loss_of_a_gaussian():
    prior = Gaussian(torch.zeros(2), torch.tensor([0.4, 0.1]))
    data = prior.noisy(torch.randn(4096, 2, generator=torch.Generator().manual_seed(0)), 0.0)
    check = Validation({"x0": data[:512]}, prior, sd=SD, edges=(0.05, 0.2, 1.0, 5.0))
    network, looks = MLP(2, width=32, depth=2), []
    settings = Training(steps=200, batch=64, learning_rate=2e-2, warmup=20, first_look=50, look_every=10**6, save_every=10**6)
    session = Session(validate=check, on_step=lambda p: looks.append(p.validation) if p.validation else None)
    final = run(network, settings, data=Tensors({"x0": data}), session=session)
    assert [isinstance(look, Look) for look in looks] == [True] * 3  # before, at the first look, at the end
    assert looks[0].mean > looks[1].mean > looks[2].mean
    assert max(looks[2].gate) < 1.1
    name, score = best_weights(network, final, adapter=partial(edm, sd=SD), score=lambda d: check(d).mean)
    assert name in {"raw", "ema-0.05", "ema-0.1"}
    assert score <= looks[2].mean


def test_training_in_bfloat16_keeps_float32_weights_and_reaches_what_float32_reaches():
    data = images(16)
    check = Validation({"x0": data}, Stationary.of(data), sd=SD, edges=(0.1, 1.0, 5.0))
    settings, reached = replace(SHORT, steps=30, batch=8, learning_rate=3e-3), {}
    for name, adapter in {"float32": partial(edm, sd=SD), "bfloat16": lambda net: edm(Autocast(net), SD)}.items():
        network = small_unet()
        run(network, settings, data=Tensors({"x0": data}), adapter=adapter)
        reached[name] = check(edm(network, SD)).mean
        assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert reached["float32"] < 0.9
    assert reached["bfloat16"] == pytest.approx(reached["float32"], rel=0.02)


def test_gradients_are_clipped_to_the_norm():
    seen = []

    class Spy(torch.optim.AdamW):
        def step(self, *arguments):
            norms = [p.grad.norm() for group in self.param_groups for p in group["params"]]
            seen.append(float(torch.stack(norms).norm()))
            return super().step(*arguments)

    original, torch.optim.AdamW = torch.optim.AdamW, Spy
    try:
        run(small_unet(), replace(SHORT, clip=0.01))
    finally:
        torch.optim.AdamW = original
    assert max(seen) <= 0.01 * (1 + 1e-5)


def test_a_batch_order_visits_every_item_once_per_epoch_and_differs_between_epochs():
    drawn = torch.cat([batch_indices(10, 4, step=step, seed=3) for step in range(1, 6)])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()
    assert not torch.equal(batch_indices(10, 10, step=1, seed=3), batch_indices(10, 10, step=1, seed=4))


def test_the_learning_rate_rises_then_falls_to_its_end():
    rates = [learning_rate(SHORT, step) for step in range(1, 21)]
    assert rates[4] == max(rates) == SHORT.learning_rate
    assert rates[0] == pytest.approx(SHORT.learning_rate / 5)
    assert rates[-1] == pytest.approx(SHORT.final_rate)


def test_stratified_levels_follow_the_distribution_and_steady_the_loss():
    levels = LogNormal(-1.2, 1.2)
    many = levels.draw(20_000, Noise(0)).log()
    assert float(many.mean()) == pytest.approx(-1.2, abs=1e-3)
    assert float(many.std()) == pytest.approx(1.2, abs=1e-3)
    # a loss that depends on the level only: its batch mean varies far less than with independent draws
    means = torch.stack([levels.draw(32, Noise(seed)).log().mean() for seed in range(200)])
    assert float(means.std()) < 0.35 * 1.2 / 32**0.5


def test_the_trained_range_is_that_of_the_quantiles():
    low, high = UniformLambda(0.01, 100.0).trained_range
    assert low == pytest.approx(0.01 * 1e4**0.001)
    assert high == pytest.approx(0.01 * 1e4**0.999)


def test_loss_that_is_not_finite_stops_with_the_step():
    broken = images(10)
    broken[:] = float("nan")
    with pytest.raises(NumericsError, match="not finite at training step 1: loss nan"):
        run(small_unet(), data=Tensors({"x0": broken}))


def test_impossible_settings_are_listed_together():
    with pytest.raises(
        ConfigError, match="batch 0: expected 1 or more; clip -1: expected above 0; warmup 30: expected 0 to steps"
    ):
        run(small_unet(), Training(steps=20, batch=0, clip=-1, warmup=30))
