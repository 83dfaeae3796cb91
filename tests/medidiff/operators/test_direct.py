import torch

from medidiff.diffusion.noise import Noise
from medidiff.operators.direct import Direct, hidden
from tests.medidiff.operators.examples import operator, solved


def batch_of(model, example):
    encoding = model.encoding
    return {
        "x0": encoding.state(example.states),
        "forcing": encoding.force(example.problem.forcing),
        "condition": encoding.condition(example.problem),
        "parameters": encoding.parameters(example.problem),
    }


class Spy:
    def __init__(self):
        self.seen = None

    def __call__(self, u, sigma, condition, parameters):
        self.seen = (u, condition)
        return torch.zeros_like(u)


def test_a_hidden_force_leaves_no_trace_in_the_condition():
    model = operator()
    condition = model.encoding.condition(solved().problem)
    free = hidden(condition, model.encoding.given_channel, 0.0)
    assert free[:, :5].abs().max() == 0
    torch.testing.assert_close(free[:, 5:], condition[:, 5:])


def test_dropout_decides_item_by_item_whether_the_force_is_unknown():
    model, spy, example = operator(), Spy(), solved(64)
    Direct(model.encoding.given_channel, 0.5)(batch_of(model, example), spy, Noise(1))
    given = spy.seen[1][:, model.encoding.given_channel].flatten(1).amax(1)
    assert set(given.tolist()) == {0.0, 1.0} and 16 < given.sum() < 48


def test_a_given_force_is_neither_seen_nor_predicted_by_the_joint_denoiser():
    model, example = operator(), solved(2)
    denoiser, encoding = model.denoiser("direct"), model.encoding
    condition, parameters = encoding.condition(example.problem), encoding.parameters(example.problem)
    u = torch.randn(2, 8, 4, 8, generator=torch.Generator().manual_seed(0))
    changed = torch.cat([u[:, :4], u[:, 4:] + 5], 1)
    sigma = torch.tensor([0.5, 2.0], dtype=torch.float64)
    found, other = (denoiser(one, sigma, condition=condition, parameters=parameters) for one in (u, changed))
    torch.testing.assert_close(found, other)
    assert found[:, 4:].abs().max() == 0 and found[:, :4].abs().max() > 0
    free = hidden(condition, encoding.given_channel, 0.0)
    assert denoiser(u, sigma, condition=free, parameters=parameters)[:, 4:].abs().max() > 0


def test_the_loss_is_the_weighted_error_of_what_is_unknown():
    model, example = operator(), solved(4)
    batch = batch_of(model, example)
    always, never = (Direct(model.encoding.given_channel, dropout) for dropout in (0.0, 1.0))
    zero = lambda u, sigma, condition, parameters: torch.zeros_like(u)
    quiet = {**batch, "forcing": torch.zeros_like(batch["forcing"])}
    assert always(batch, zero, Noise(3)) == always(quiet, zero, Noise(3))
    assert never(batch, zero, Noise(3)) > never(quiet, zero, Noise(3))
