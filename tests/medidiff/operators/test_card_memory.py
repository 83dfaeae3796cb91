"""A card that holds fewer trajectories than asked for gives those that it would have given."""

import pytest
import torch

from medidiff.errors import ConfigError
from medidiff.operators import task
from medidiff.operators.task import simulate
from tests.medidiff.operators.examples import asked, operator


@pytest.fixture
def small_card(monkeypatch):
    """Draws of more than this many trajectories run out of memory; returns the numbers that were tried."""
    tried, draw = [], task.draw

    def make(room: int):
        def guarded(model, problem, **options):
            tried.append(len(problem))
            if len(problem) > room:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return draw(model, problem, **options)

        monkeypatch.setattr(task, "draw", guarded)
        return tried

    return make


def test_trajectories_are_drawn_in_halves_that_fit(small_card):
    model, problem = operator(), asked(5)
    whole = simulate(model, problem, members=2).states
    tried = small_card(2)
    torch.testing.assert_close(simulate(model, problem, members=2).states, whole, rtol=0, atol=1e-4)
    assert tried == [5, 2, 3, 1, 2]


def test_a_trajectory_that_does_not_fit_alone_is_one_error_that_names_the_setting(small_card):
    small_card(0)
    with pytest.raises(ConfigError, match=r"does not hold one item.*Lower operate\.members"):
        simulate(operator(), asked(2), members=2)
