"""A run that stops after any step and goes on from saved bytes ends in the same bytes."""

import json
from dataclasses import asdict

import pytest
import safetensors.torch
import torch

from medidiff.diffusion.grid import karras
from medidiff.diffusion.multistep import GHVB, LMS, HeavyBall, HeavyBall2M, UniPC, pndm, pp2m, pp3m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import Heun, dpm3, euler
from medidiff.diffusion.sample import Run, State, load_state, sample, sampler_name, save_state
from medidiff.diffusion.stochastic import PP2MSDE, EulerMaruyama, InterpolantSDE, Renoise
from medidiff.errors import DataError

GRID = karras(9, smin=0.05, smax=5.0)
STEPS = [
    euler,
    Heun(churn=2.0),
    dpm3,
    pp2m,
    pp3m,
    UniPC(2),
    UniPC(3, warm_start=dpm3),
    pndm,
    LMS(4),
    GHVB(3),
    HeavyBall(2),
    HeavyBall2M(),
    Renoise(),
    Renoise(rule="fresh", eta=0.5),
    PP2MSDE(),
    EulerMaruyama(),
    InterpolantSDE(),
]


def run_of(step, **changes):
    return Run(**{"sampler": sampler_name(step), "prior": "3fa2", "seed": 3, "grid": tuple(GRID.tolist()), **changes})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("step", STEPS, ids=sampler_name)
def test_resuming_after_every_step_gives_the_same_bytes(step, dtype, mixture, start):
    noise, begin = Noise(3, ("a", "b", "c", "d")), start[:4].to(dtype)
    states = [State(begin)]
    whole = sample(mixture, begin, GRID, step, noise=noise, on_step=states.append)
    assert whole.dtype == dtype and len(states) == len(GRID)
    for state in states:
        again = load_state(save_state(state, run_of(step)), run_of(step))
        assert torch.equal(sample(mixture, again, GRID, step, noise=noise), whole)


@pytest.mark.parametrize("step", [euler, UniPC(2), Renoise(), PP2MSDE()], ids=sampler_name)
def test_an_item_alone_gets_the_sample_it_gets_in_a_batch(step, gaussian, start):
    noise = Noise(3, tuple(range(8)))
    whole = sample(gaussian, start[:8], GRID, step, noise=noise)
    alone = sample(gaussian, start[5:6], GRID, step, noise=noise.of(5))
    assert (alone[0] - whole[5]).abs().max() < 1e-13  # matrix products differ by rounding between batch sizes


def test_equal_states_are_equal_bytes(start):
    state = State(start, 3, (start + 1, start + 2))
    assert save_state(state, run_of(pp2m)) == save_state(State(start.clone(), 3, (start + 1, start + 2)), run_of(pp2m))


def test_a_saved_state_comes_back_whole(start):
    state = State(start.float(), 3, (start + 1, start + 2))
    again = load_state(save_state(state, run_of(pp2m)), run_of(pp2m))
    assert again.step == 3 and again.u.dtype == torch.float32 and torch.equal(again.u, state.u)
    assert len(again.history) == 2 and all(torch.equal(a, b) for a, b in zip(again.history, state.history))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": "91bc"}, "state was saved with prior 3fa2, this is 91bc; go on with the same prior or start again"),
        ({"seed": 4}, "state was saved with seed 3, this is 4"),
        ({"grid": (5.0, 0.05)}, r"state was saved with grid \(5\.0, .*, this is \(5\.0, 0\.05\)"),
        ({"sampler": "euler"}, "state was saved with sampler pp2m, this is euler"),
    ],
)
def test_a_state_of_another_run_is_refused(change, message, start):
    content = save_state(State(start), run_of(pp2m))
    with pytest.raises(DataError, match=message):
        load_state(content, run_of(pp2m, **change))


@pytest.mark.parametrize(
    "tensors",
    [{"v": torch.zeros(1)}, {"u": torch.zeros(1), "history-1": torch.zeros(1)}, {"u": torch.zeros(1)}],
    ids=["no u", "a gap in history", "no card"],
)
def test_other_tensors_are_no_state(tensors):
    card = json.dumps({"step": 0, "run": asdict(run_of(pp2m))})
    content = safetensors.torch.save(tensors, {"card": card} if len(tensors) > 1 or "v" in tensors else {"format": "pt"})
    with pytest.raises(DataError, match="not a saved sampler state"):
        load_state(content, run_of(pp2m))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_bytes_that_are_no_state_are_refused(content):
    with pytest.raises(DataError, match="not a saved sampler state"):
        load_state(content, run_of(pp2m))


def test_a_cut_file_is_refused(start):
    with pytest.raises(DataError, match="not a saved sampler state"):
        load_state(save_state(State(start), run_of(pp2m))[:-8], run_of(pp2m))


def test_the_name_of_a_method_holds_its_options():
    assert sampler_name(pp2m) == "pp2m"
    assert sampler_name(UniPC(3, warm_start=dpm3)) == "UniPC(order=3, corrector=True, variant='bh2', warm_start=dpm3)"
    assert sampler_name(Renoise(eta=0.5)) != sampler_name(Renoise(eta=0.6))
