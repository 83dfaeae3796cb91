import pytest
import torch

from physics.pde.restrict import cell_average, subsample, wavelet_restrict
from physics.wavelet.transform import Wavelet

F64 = torch.float64


@pytest.fixture
def u():
    return torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0), dtype=F64)


def test_averages_keep_the_sum_over_the_domain_and_are_those_of_neighbours(u):
    coarse = cell_average(u, 3)
    assert coarse.shape == (2, 3, 8, 4)
    torch.testing.assert_close(coarse[..., 1], u[..., 3:6].mean(-1), rtol=0, atol=1e-15)
    torch.testing.assert_close(cell_average(u, 2, axes=(-2, -1)).sum((-2, -1)) * 4, u.sum((-2, -1)), rtol=1e-13, atol=1e-13)


def test_subsampled_frames_end_their_intervals(u):
    assert torch.equal(subsample(u, 4, axes=(-2,)), u[:, :, [3, 7]])


def test_the_haar_band_is_the_average_of_cells_and_every_band_keeps_constants(u):
    torch.testing.assert_close(wavelet_restrict(u, Wavelet("haar", axes=(-1,))), cell_average(u, 2), rtol=0, atol=1e-14)
    torch.testing.assert_close(wavelet_restrict(u, Wavelet("haar")), cell_average(u, 2, axes=(-2, -1)), rtol=0, atol=1e-14)
    constant = wavelet_restrict(torch.full((1, 2, 8, 8), 0.7, dtype=F64), Wavelet("bior2.4"))
    torch.testing.assert_close(constant, torch.full((1, 2, 4, 4), 0.7, dtype=F64), rtol=0, atol=1e-12)


def test_grids_that_do_not_divide_and_wavelets_of_two_levels_are_refused(u):
    with pytest.raises(ValueError, match="axis -1 has 12 points; a restriction by 5 needs a multiple"):
        cell_average(u, 5)
    with pytest.raises(ValueError, match="axis -2 has 8 points"):
        subsample(u, 3, axes=(-2,))
    with pytest.raises(ValueError, match="the wavelet has 2 levels; expected 1"):
        wavelet_restrict(u, Wavelet("haar", levels=2))
