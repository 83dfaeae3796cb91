import math

import pytest
import torch

from medidiff.diffusion.noise import Noise
from medidiff.operators.encoding import measure
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.published import CosineLevels, NoisePrediction, cosine_table, rounded_maximum
from medidiff.operators.sampler import level_grid, method
from medidiff.operators.settings import SamplerSettings
from medidiff.operators.training_settings import OperatorTraining
from tests.medidiff.operators.examples import operator, solved


def test_the_cosine_table_leaves_the_share_of_the_signal_that_its_formula_says():
    table, t = cosine_table(), 500
    left = lambda t: math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2
    assert float(table.scales[t - 1]) ** 2 == pytest.approx(left(t) / left(0), rel=1e-9)
    assert len(table.levels) == 1000 and bool((table.levels.diff() > 0).all())
    drawn = CosineLevels().draw(2000, Noise(0))
    assert bool(torch.isin(drawn, table.levels).all()) and len(drawn.unique()) == 1000


def test_the_loss_is_that_of_the_noise_weighted_by_the_constants_of_the_channels():
    x0 = torch.zeros(64, 2, 4, 4)
    x0[:, 1] = 0.5
    blind = lambda u, sigma: u  # predicts no noise
    knowing = lambda u, sigma: x0
    assert float(NoisePrediction((1.0, 1.0))({"x0": x0}, blind, Noise(0))) == pytest.approx(1.0, abs=0.1)
    assert float(NoisePrediction((1.0, 5.0))({"x0": x0}, blind, Noise(0))) == pytest.approx(3.0, abs=0.3)
    assert float(NoisePrediction((1.0, 5.0))({"x0": x0}, knowing, Noise(0))) == 0


def test_scales_are_rounded_maxima_of_every_channel_so_that_the_training_set_lies_within_one():
    assert rounded_maximum(torch.tensor([[[-9.93, 2.0]], [[0.0, 0.0]], [[0.0123, 0.0]]]).transpose(0, 1)) == pytest.approx(
        (10.0, 1.0, 0.013)
    )
    example = solved(8, fields=2, dtype=torch.float64)
    encoding = measure(OperatorLayout(("a", "b")), ("f",), example, size=rounded_maximum)
    z = encoding.state(example.states)
    assert len(encoding.state_scale) == 8 and 0.9 < float(z.abs().amax()) <= 1
    assert float(z.abs().amax((0, 2, 3)).min()) > 0.9
    torch.testing.assert_close(encoding.physical(z, (8, 16)), example.states)
    condition = encoding.condition(example.problem)
    assert float(condition.abs().amax()) <= 1


def test_channels_are_filled_up_with_zeros_and_come_back():
    example = solved(3, dtype=torch.float64)
    plain, wide = OperatorLayout(("u",)), OperatorLayout(("u",), padded=(8, 12))
    w = wide.encode(example.states)
    assert w.shape == (3, 4, 8, 12) and wide.grid((8, 16)) == (8, 12)
    torch.testing.assert_close(w[:, :, :4, :8], plain.encode(example.states))
    assert float(w[:, :, 4:].abs().max()) == float(w[..., 8:].abs().max()) == 0
    torch.testing.assert_close(wide.decode(w, (8, 16)), example.states)
    noise = torch.randn(3, 4, 8, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gap = (wide.decode(noise, (8, 16)) * example.states).sum() - (noise * wide.decode_adjoint(example.states)).sum()
    assert abs(float(gap)) < 1e-10
    told = wide.encode_initial(example.problem.initial, 8)
    assert told.shape == (3, 2, 8, 12) and float(told[..., 8:].abs().max()) == 0
    assert bool((told == told[:, :, :1]).all())  # repeated along all rows, as published


def test_the_published_answer_is_clipped_at_the_maxima_of_the_training_and_ours_is_not():
    model = operator(form="direct", weights=3.0)
    handed = {"condition": model.encoding.condition(solved().problem), "parameters": torch.zeros(4, 1)}
    u = 5 * torch.randn(4, 8, 4, 8, generator=torch.Generator().manual_seed(1))
    sigma = torch.full((4,), float(cosine_table().levels[300]), dtype=torch.float64)
    denoiser = model.denoiser("direct")
    free, held = (
        type(denoiser)(denoiser.network, 4, 4, "cosine", is_clipped)(u, sigma, **handed) for is_clipped in (False, True)
    )
    assert float(free.abs().max()) > 1 and float(held.abs().max()) == 1
    torch.testing.assert_close(free.clamp(-1, 1), held)


def test_ddim_takes_evenly_spaced_steps_of_the_table_with_all_its_noise():
    settings = SamplerSettings(method="ddim", steps=50)
    grid = level_grid(settings)
    assert len(grid) == 51 and float(grid[-1]) == 0
    torch.testing.assert_close(grid[:-1], cosine_table().levels[torch.arange(999, -1, -20)])
    assert method(settings).eta == 1 and method(settings).rule == "ancestral"


@pytest.mark.parametrize(
    ("recipe", "form", "message"),
    [
        ({"noise": "cosine"}, "direct", "it needs scale maximum"),
        ({"noise": "cosine", "scale": "maximum"}, "residual", "recipe.noise cosine is of form direct alone"),
    ],
)
def test_recipes_that_cannot_be_are_refused(recipe, form, message):
    system = {"system": "burgers", "cells": 16, "frames": 8, "solver_cells": 16, "solver_frames": 8}
    parts = ["direct"] if form == "direct" else ["regression", "residual"]
    with pytest.raises(ValueError, match=message):
        OperatorTraining(system=system, form=form, recipe=recipe, stages=[{"part": part} for part in parts])
