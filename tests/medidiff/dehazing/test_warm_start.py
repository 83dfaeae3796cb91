"""What a clip remembers between frames, and when it forgets."""

import torch

from medidiff.dehazing.warm_start import Follower


def test_a_still_scene_is_followed_and_a_new_one_is_not():
    y = torch.randn(6, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    follower = Follower(reset=3.0)
    assert not follower.follows(y, gamma=1.0)  # nothing is known yet
    follower.remember(0.7 * y[None], 0.3 * y[None])
    for _ in range(4):
        assert follower.follows(1.01 * y, gamma=1.0)
    assert not follower.follows(-y, gamma=1.0)


def test_a_frame_of_another_size_starts_anew():
    follower = Follower(reset=3.0)
    follower.remember(torch.ones(2, 6, 5) + 0j, torch.ones(2, 6, 5) + 0j)
    assert not follower.follows(torch.ones(6, 4) + 0j, gamma=1.0)
