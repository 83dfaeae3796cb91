import numpy as np
import pytest
import pywt
import torch

from physics.wavelet import transform
from physics.wavelet.filters import MODES
from physics.wavelet.transform import Wavelet


def _noise(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("mode", MODES)
def test_bands_of_time_and_space_are_those_of_pywavelets_by_name(mode):
    u = _noise(2, 3, 8, 12)
    wavelet = Wavelet("bior2.4", mode)
    expected = pywt.dwtn(u.numpy(), "bior2.4", mode, axes=(-2, -1))
    w = wavelet.forward(u)
    assert wavelet.bands == ("aa", "ad", "da", "dd")
    for field in range(3):
        for band, name in enumerate(wavelet.bands):
            assert np.abs(w[:, 4 * field + band].numpy() - expected[name][:, field]).max() < 1e-14


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", ["haar", "db2", "bior1.1"])
def test_planes_of_short_filters_are_transformed_at_once_to_the_same(family, mode, monkeypatch):
    u = _noise(2, 3, 10, 6 if mode == "periodization" else 7)
    expected = pywt.dwtn(u.numpy(), family, mode, axes=(-2, -1))
    wavelet = Wavelet(family, mode)
    w = wavelet.forward(u)
    for band, name in enumerate(wavelet.bands):
        assert np.abs(w[:, band::4].numpy() - expected[name]).max() < 1e-14
    y = _noise(*w.shape) + 0.1
    gap = (w * y).sum() - (u * wavelet.adjoint(y, sizes=u.shape[2:])).sum()
    assert abs(gap) < 1e-14 * w.norm() * y.norm()
    by_axes = wavelet.inverse(y, sizes=u.shape[2:])
    monkeypatch.setattr(transform, "LONGEST_DENSE", 0)
    assert (wavelet.inverse(y, sizes=u.shape[2:]) - by_axes).abs().max() < 1e-13
    assert (wavelet.inverse(w, sizes=u.shape[2:]) - u).abs().max() < 1e-13


def test_three_axes_give_eight_bands_with_time_as_the_highest_bit():
    u = _noise(1, 2, 6, 8, 10)
    wavelet = Wavelet("bior1.3", "zero", axes=(-3, -2, -1))
    expected = pywt.dwtn(u.numpy(), "bior1.3", "zero", axes=(-3, -2, -1))
    assert wavelet.bands[4] == "daa"
    for band, name in enumerate(wavelet.bands):
        assert np.abs(wavelet.forward(u)[:, band::8].numpy() - expected[name]).max() < 1e-14


def test_two_levels_hold_the_coefficients_of_pywavelets_once_each():
    u = _noise(1, 1, 16, 24)
    wavelet = Wavelet("db2", "periodization", 2)
    w = wavelet.forward(u)[0]
    coarse, *details = pywt.wavedecn(u[0, 0].numpy(), "db2", "periodization", level=2)
    assert np.allclose(w[0], coarse, atol=1e-14)
    for name in ("ad", "da", "dd"):
        assert np.allclose(w[wavelet.bands.index(f"{name}2")], details[0][name], atol=1e-14)
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            channel = wavelet.bands.index(f"{name}1[{row}.{column}]")
            assert np.allclose(w[channel], details[1][name][row::2, column::2], atol=1e-14)
    assert w.numel() == u.numel()


@pytest.mark.parametrize("axes", [(-2, -1), (-1,), (-2,), (-3, -1), (-3, -2, -1)])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_every_choice_of_axes_and_levels_is_undone_and_has_exact_adjoints(axes, levels):
    u = _noise(2, 3, 8, 16, 24)
    wavelet = Wavelet("bior2.4", "periodization", levels, axes)
    w = wavelet.forward(u)
    y = _noise(*w.shape) + 0.1
    assert w.shape[1] == 3 * len(wavelet.bands) == 3 * 2 ** (len(axes) * levels)
    assert (wavelet.inverse(w) - u).abs().max() < 1e-13
    assert abs((w * y).sum() - (u * wavelet.adjoint(y)).sum()) < 1e-14 * w.norm() * y.norm()
    assert abs((wavelet.inverse(y) * u).sum() - (y * wavelet.inverse_adjoint(u)).sum()) < 1e-14 * w.norm() * y.norm()


def test_odd_lengths_come_back_where_they_are_named():
    u = _noise(2, 1, 7, 81)
    for mode in ("zero", "symmetric"):
        wavelet = Wavelet("db4", mode)
        assert (wavelet.inverse(wavelet.forward(u), sizes=(7, 81)) - u).abs().max() < 1e-13


def test_a_constant_lives_in_the_approximation_alone_with_twice_its_value():
    w = Wavelet().forward(torch.full((1, 1, 8, 12), 1.5, dtype=torch.float64))
    assert torch.allclose(w[:, 0], torch.full_like(w[:, 0], 3.0))
    assert w[:, 1:].abs().max() < 1e-12


def test_the_gradient_through_the_inverse_is_its_adjoint():
    wavelet, target = Wavelet(levels=2), _noise(1, 1, 8, 16)
    w = _noise(1, 16, 2, 4).requires_grad_()
    (wavelet.inverse(w) * target).sum().backward()
    assert (w.grad - wavelet.inverse_adjoint(target)).abs().max() < 1e-13


def test_members_of_a_batch_do_not_meet():
    u = _noise(3, 2, 8, 12)
    assert torch.equal(Wavelet().forward(u)[1:2], Wavelet().forward(u[1:2]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "dmey"}, "dmey does not reconstruct"),
        ({"family": "morl"}, "'morl' is not known; expected haar"),
        ({"mode": "reflect"}, "'reflect' is not supported; choose zero, symmetric or periodization"),
        ({"levels": 4}, "levels: found 4"),
        ({"levels": 2, "mode": "zero"}, "levels: found 2 in mode zero, expected 1 to 3 in periodization"),
        ({"axes": (-1, -2)}, "axes: found .* ascending"),
    ],
)
def test_what_cannot_be_undone_is_refused_with_advice(arguments, message):
    with pytest.raises(ValueError, match=message):
        Wavelet(**arguments)


def test_odd_lengths_are_refused_in_periodization_with_the_multiple_that_is_needed():
    with pytest.raises(ValueError, match="axis -1 has 121 points; periodization at level 2 needs a multiple of 4"):
        Wavelet(levels=2).forward(_noise(1, 1, 8, 121))


def test_coefficients_that_fit_no_grid_are_refused():
    with pytest.raises(ValueError, match="found 3 channels, expected a multiple of the 4 bands"):
        Wavelet().inverse(_noise(1, 3, 4, 4))
    with pytest.raises(ValueError, match="coefficients along the axes"):
        Wavelet().inverse(_noise(1, 4, 4, 4), sizes=(8, 10))
