"""Speed options on a small trained network: what must be equal is, errors fall with the bits, and losing options say so."""

from functools import partial

import pytest
import torch

from medidiff.diffusion.cache import Cached, FeatureForecast, Feedback
from medidiff.diffusion.denoiser import edm
from medidiff.diffusion.distil import Imitation
from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.grid import karras, uniform_flow, uniform_lambda
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.onestep import dpm3
from medidiff.diffusion.precision import Autocast, channels_last, prepared
from medidiff.diffusion.prune import parameter_count, pruned
from medidiff.diffusion.quantise import Float8, Integer, Quantised
from medidiff.diffusion.sample import sample
from medidiff.diffusion.search import Evolution, path_error, search_levels
from medidiff.diffusion.spectrum import Stationary
from medidiff.diffusion.speed import Trial, compare_options
from medidiff.diffusion.train import Training, train
from medidiff.diffusion.training_set import Tensors
from medidiff.diffusion.validation import Validation
from medidiff.errors import ConfigError

SD = 0.5
QUIET = {"warmup": 5, "first_look": 10**6, "look_every": 10**6, "save_every": 10**6}
GRID = karras(13, smin=0.02, smax=20.0)
START = 20.0 * Noise(3)(0, torch.empty(4, 1, 8, 8))


def images(count: int) -> torch.Tensor:
    """Smooth random images of two brightnesses, standard deviation about .5."""
    generator = torch.Generator().manual_seed(0)
    z = torch.nn.functional.avg_pool2d(torch.randn(count, 1, 12, 12, generator=generator), 5, stride=1)
    return z + 0.4 * torch.randint(0, 2, (count, 1, 1, 1), generator=generator).sub(0.5).sign()


@pytest.fixture(scope="module")
def trained() -> UNet:
    network = UNet(UNetShape(width=8, multipliers=(1, 2)), seed=1)
    settings = Training(steps=80, batch=12, learning_rate=5e-3, **QUIET)
    data = Tensors({"x0": images(128)})
    train(network, data, objective=Denoising(SD), adapter=partial(edm, sd=SD), settings=settings)
    return network.requires_grad_(False)


def path(network, grid=GRID) -> torch.Tensor:
    with torch.no_grad():
        return sample(edm(network, SD), START, grid, pp2m)


def relative(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


# precision


def test_channels_last_changes_rounding_only_and_bfloat16_stays_within_its_own(trained):
    plain = path(trained)
    assert relative(path(channels_last(UNet(trained.shape).requires_grad_(False))), path(UNet(trained.shape))) < 1e-5
    half = path(Autocast(trained))
    assert 1e-5 < relative(half, plain) < 0.03
    assert half.dtype == torch.float32


@pytest.mark.parametrize(("capabilities", "is_half"), [({"avx512_bf16": True}, True), ({"avx2": True}, False)])
def test_a_prepared_network_uses_bfloat16_where_the_processor_computes_it(trained, monkeypatch, capabilities, is_half):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    copy = UNet(trained.shape)
    copy.load_state_dict(trained.state_dict())
    runs = prepared(copy)
    assert isinstance(runs, Autocast) == is_half
    assert relative(path(runs), path(trained)) < (0.03 if is_half else 1e-5)


# reuse of features


def test_features_kept_for_one_call_only_are_the_plain_network(trained):
    assert torch.equal(path(Cached(trained, every=1)), path(trained))


def test_kept_features_cost_an_error_that_grows_with_their_age(trained):
    plain = path(trained)
    errors = [relative(path(Cached(trained, every=m)), plain) for m in (2, 4)]
    assert 1e-4 < errors[0] < errors[1]


def test_deep_features_are_worked_out_on_every_second_call_only(trained):
    calls = []
    handle = trained.levels[1].register_forward_hook(lambda *_: calls.append(1))
    original = trained.levels[1].encode
    trained.levels[1].encode = lambda h, e: calls.append(1) or original(h, e)
    path(Cached(trained, every=2))
    trained.levels[1].encode = original
    handle.remove()
    assert len(calls) == 6  # of 12


def test_a_second_path_begins_anew_and_batches_of_one_state_keep_their_own_features(trained):
    cached = Cached(trained, every=3)
    first = path(cached)
    assert torch.equal(path(cached), first)
    plain = edm(Cached(trained, every=3), SD)
    parts = [START[:1], START[1:2]]
    apart = torch.cat([sample(edm(Cached(trained, every=3), SD), part, GRID, pp2m) for part in parts])
    in_turn = Cached(trained, every=3)

    def halves(u, sigma):
        return torch.cat([edm(in_turn, SD)(u[:1], sigma[:1]), edm(in_turn, SD)(u[1:], sigma[1:])])

    assert torch.equal(sample(halves, START[:2], GRID, pp2m), apart)
    assert relative(sample(plain, START[:2], GRID, pp2m), apart) < 1e-5


def test_feedback_with_its_gate_shut_is_plain_reuse_and_training_brings_it_nearer(trained):
    feedback = Feedback(trained)
    assert torch.equal(path(Cached(trained, every=2, feedback=feedback)), path(Cached(trained, every=2)))
    objective = FeatureForecast(trained, edm(trained, SD), GRID, SD)
    batch = {"x0": images(48)}
    before = float(objective(batch, feedback, Noise(1)).detach())
    train(feedback, Tensors({"x0": images(64)}), objective=objective, adapter=lambda net: net,
          settings=Training(steps=40, batch=16, learning_rate=2e-2, **QUIET))  # fmt: skip
    assert float(objective(batch, feedback, Noise(1)).detach()) < 0.9 * before


def test_impossible_reuse_is_refused(trained):
    with pytest.raises(ConfigError, match="every 0, depth 5: expected every >= 1 and a depth from 0 to 1"):
        Cached(trained, every=0, depth=5)


# pruning


def test_a_pruned_network_is_smaller_and_distillation_brings_back_most_of_the_loss(trained):
    small = pruned(trained, depth=1).requires_grad_(True)
    assert parameter_count(small) < 0.6 * parameter_count(trained)
    data = images(128)
    check = Validation({"x0": data[:64]}, Stationary.of(data), sd=SD, edges=(0.1, 0.5, 2.0, 8.0))
    whole, before = check(edm(trained, SD)), check(edm(small, SD))
    objective = Imitation(edm(trained, SD), SD)
    settings = Training(steps=60, batch=16, learning_rate=5e-3, **QUIET)
    train(small, Tensors({"x0": data}), objective=objective, adapter=partial(edm, sd=SD), settings=settings)
    after = check(edm(small, SD))
    assert len(after.loss) == 3
    assert after.mean - whole.mean < 0.6 * (before.mean - whole.mean)
    with pytest.raises(ConfigError, match="depth 2: the network has resolutions 0 to 1"):
        pruned(trained, depth=2)


# rounding


def test_the_error_of_rounding_falls_with_the_bits(trained):
    plain = path(trained)
    errors = {bits: relative(path(Quantised(trained, path, rounding=Integer(bits))), plain) for bits in (4, 6, 8)}
    assert errors[8] < errors[6] < errors[4]
    assert errors[8] < 0.1
    assert relative(path(Quantised(trained, path, rounding=Integer(16))), plain) < 1e-3


def test_eight_bit_floats_are_coarser_than_eight_bit_integers(trained):
    plain = path(trained)
    floats = relative(path(Quantised(trained, path, rounding=Float8())), plain)
    assert relative(path(Quantised(trained, path, rounding=Integer(8))), plain) < floats < 0.3


def test_buckets_pay_at_low_precision(trained):
    plain = path(trained)
    one, four = (relative(path(Quantised(trained, path, rounding=Integer(5), buckets=n)), plain) for n in (1, 4))
    assert four < one


def test_rounding_leaves_the_network_itself_alone_and_needs_a_calibration(trained):
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    Quantised(trained, path, rounding=Integer(4))
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    with pytest.raises(ConfigError, match="calibrate did not call the network"):
        Quantised(trained, lambda network: None)


def test_number_formats_round_to_their_own_values():
    assert torch.equal(Integer(4)(torch.tensor([-9.0, 0.4, 0.6, 7.6])), torch.tensor([-7.0, 0.0, 1.0, 7.0]))
    assert torch.equal(Float8()(torch.tensor([500.0, 1.06, 1.07, 17.5])), torch.tensor([448.0, 1.0, 1.125, 18.0]))


# searched levels


ENDS = {"smin": 0.02, "smax": 40.0}


def usual_grids(levels: int) -> list[torch.Tensor]:
    return [make(levels, **ENDS) for make in (karras, uniform_lambda, uniform_flow)]


def test_searched_levels_beat_every_usual_grid_on_starts_they_have_not_seen():
    prior = Gaussian(torch.zeros(6, dtype=torch.float64), torch.logspace(-2, 0.6, 6, dtype=torch.float64))

    def error_on(seed: int):
        start = prior.noisy(Noise(seed)(0, torch.empty(100, 6, dtype=torch.float64)), 40.0)
        return path_error(prior, start, prior.flow(start, 40.0, 0.02), pp2m)

    seen, settings = [], Evolution(rounds=15)
    grid, found = search_levels(error_on(1), usual_grids(7), settings=settings, on_round=lambda index, best: seen.append(best))
    assert (float(grid[0]), float(grid[-1]), len(grid)) == (40.0, 0.02, 7)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == found
    assert error_on(2)(grid) < 0.5 * min(error_on(2)(other) for other in usual_grids(7))


@pytest.mark.slow
def test_searched_levels_gain_less_where_mode_flips_rule_the_error(mixture):
    def error_on(seed: int):
        z, pick = Noise(seed)(0, torch.empty(400, 8).double()), Noise(seed).uniform(1, torch.empty(400).double())
        start = mixture.draw(z, pick, 40.0)
        return path_error(mixture, start, sample(mixture, start, karras(100, **ENDS), dpm3), pp2m)

    grid, _ = search_levels(error_on(1), usual_grids(7), settings=Evolution())
    assert error_on(2)(grid) < 0.9 * min(error_on(2)(other) for other in usual_grids(7))


def test_a_search_is_repeatable_and_refuses_unequal_ends():
    error = lambda grid: float((grid - torch.linspace(4, 1, 4, dtype=torch.float64)).abs().max())
    candidates = [karras(4, smin=1.0, smax=4.0), uniform_lambda(4, smin=1.0, smax=4.0)]
    first, second = (search_levels(error, candidates, settings=Evolution(rounds=20)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert first[1] < 0.05
    with pytest.raises(ConfigError, match="the same positive ends"):
        search_levels(error, [candidates[0], karras(4, smin=1.0, smax=5.0)])


# comparison with fewer levels


def three_modes() -> Mixture:
    generator = torch.Generator().manual_seed(3)
    return Mixture(
        torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64),
        2 * torch.randn(3, 4, generator=generator, dtype=torch.float64),
        0.6 * torch.randn(3, 4, 2, generator=generator, dtype=torch.float64),
        torch.full((3,), 0.01, dtype=torch.float64),
    )


class CallClock:
    """Seconds as the number of network calls, each at its own price."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def priced(self, denoiser, price: float):
        def call(u, sigma, **condition):
            self.now += price
            return denoiser(u, sigma, **condition)

        return call


def compared(error: float, price: float):
    """An option with a given relative error and price against the exact mixture at 21 levels."""
    prior, clock = three_modes(), CallClock()
    generator = torch.Generator().manual_seed(0)
    start = prior.draw(torch.randn(64, 4, generator=generator, dtype=torch.float64), torch.rand(64, generator=generator), 40.0)
    trial = Trial(start, partial(karras, smin=0.02, smax=40.0), 21, pp2m, lambda x: float(x.std()), repeats=3, clock=clock)
    option = clock.priced(lambda u, s: (1 + error) * prior(u, s), price)
    return compare_options(clock.priced(prior, 1.0), {"option": option}, trial)[0]


def test_an_accurate_option_at_half_the_price_wins_against_half_the_levels():
    row = compared(error=1e-5, price=0.5)
    assert (row.fewer_levels, row.speedup, row.loses) == (11, 2.0, False)
    assert row.verdict.endswith("wins")


def test_a_coarse_option_loses_against_fewer_levels_and_says_so():
    row = compared(error=0.2, price=0.75)
    assert (row.fewer_levels, row.loses) == (16, True)
    assert row.fewer_path_error < row.path_error
    assert "16 levels in the same time" in row.verdict
    assert row.verdict.endswith("loses")


def test_an_option_that_saves_nothing_loses_against_the_network_as_it_is():
    row = compared(error=0.01, price=1.0)
    assert (row.fewer_levels, row.fewer_path_error, row.loses) == (21, 0.0, True)


@pytest.mark.gpu
def test_a_prepared_network_on_a_gpu_is_the_same_in_bfloat16(trained):
    network = UNet(trained.shape).cuda()
    network.load_state_dict(trained.state_dict())
    with torch.no_grad():
        found = sample(edm(prepared(network.requires_grad_(False)), SD), START.cuda(), GRID, pp2m)
    assert relative(found.cpu(), path(trained)) < 0.03
