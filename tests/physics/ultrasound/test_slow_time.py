"""The slow-time filter is the truncated singular value decomposition of the Casorati matrix."""

import pytest
import torch

from physics.ultrasound.slow_time import without_strongest


def _noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def test_what_stands_still_is_taken_away_whole():
    still, moving = _noise(6, 5), _noise(8, 6, 5, seed=1)
    moving = moving - moving.mean(dim=0)
    clean = without_strongest(100 * still + 0 * moving, 1)
    assert float(clean.abs().max()) < 1e-10


@pytest.mark.parametrize("removed", [0, 1, 3])
def test_the_result_is_that_of_a_full_decomposition(removed):
    clip = _noise(7, 5, 4)
    left, values, right = torch.linalg.svd(clip.flatten(1).T, full_matrices=False)
    values[:removed] = 0
    expected = (left @ torch.diag(values.to(left.dtype)) @ right).T.reshape(clip.shape)
    assert torch.allclose(without_strongest(clip, removed), expected, atol=1e-10)


def test_a_clip_shorter_than_what_is_removed_is_refused():
    with pytest.raises(ValueError, match="Take a longer clip"):
        without_strongest(_noise(3, 4, 4), 3)
