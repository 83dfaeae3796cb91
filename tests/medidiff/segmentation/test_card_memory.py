"""A card that holds fewer windows than asked for gives the mask that it would have given."""

import numpy as np
import pytest
import torch

from medidiff.errors import ConfigError
from medidiff.io.slab_file import SlabArray
from medidiff.segmentation.sliding import Scene, look_once
from medidiff.segmentation.windows import Windows

SHAPE = (20, 24, 28)


def scene(batch: int) -> Scene:
    condition = SlabArray((SHAPE[0], 2, *SHAPE[1:]))
    condition.write(0, np.random.default_rng(5).uniform(-0.9, 1, condition.shape).astype(np.float32))
    return Scene(condition, Windows(SHAPE, (8, 8, 8), 0.25, batch))


class SmallCard:
    """A look at so many windows at once, more of which are too much for it."""

    def __init__(self, room: int):
        self.room, self.sizes = room, []

    def __call__(self, u, sigma, condition):
        self.sizes.append(len(u))
        if len(u) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return torch.sigmoid(u[:, 0] + condition[:, 0] - condition[:, 1])


def looked_at(scene: Scene, card: SmallCard) -> torch.Tensor:
    state, found = SlabArray(SHAPE), torch.zeros(SHAPE)

    def observe(step, first, probability):
        found[first : first + len(probability)] = probability

    look_once(scene, card, 1.0, state=state, observe=observe)
    return found


def test_windows_are_halved_until_they_fit():
    small, large = SmallCard(room=2), SmallCard(room=100)
    assert torch.equal(looked_at(scene(batch=6), small), looked_at(scene(batch=6), large))
    assert max(large.sizes) == 6 and {6, 3, 2, 1} >= set(small.sizes)


def test_a_window_that_does_not_fit_alone_is_one_error_that_names_the_setting():
    with pytest.raises(ConfigError, match=r"does not hold one item: CUDA out of memory\. Lower segment\.windows\.size"):
        looked_at(scene(batch=2), SmallCard(room=0))
