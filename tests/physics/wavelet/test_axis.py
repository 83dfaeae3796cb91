import numpy as np
import pytest
import pywt
import torch

from physics.wavelet import axis as one_axis
from physics.wavelet.axis import analyse, analyse_adjoint, synthesise, synthesise_adjoint, wavelet_matrix
from physics.wavelet.filters import MODES, families

EXACT = ("haar", "db", "coif", "bior1", "bior2", "bior3")  # families whose tables reconstruct to rounding
SOME = ("haar", "db2", "db4", "db19", "coif3", "bior1.3", "bior2.4", "bior4.4", "rbio3.1", "sym9")
EVERY_LENGTH = pytest.param((8, 32, 81, 120), marks=pytest.mark.slow)


@pytest.fixture(params=["matrix", "windows"])
def form(request, monkeypatch):
    monkeypatch.setattr(one_axis, "LONGEST_DENSE", 256 if request.param == "matrix" else 0)
    return request.param


def _cases(lengths, form="matrix"):
    """Every family, but a few where the form is that of windows and the lengths are few, because that takes long."""
    names = families() if form == "matrix" or len(lengths) > 2 else SOME
    return [(name, mode, n) for name in names for mode in MODES for n in lengths if n % 2 == 0 or mode != "periodization"]


def _noise(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("lengths", [(8,), EVERY_LENGTH])
def test_every_family_mode_and_length_equals_pywavelets(form, lengths):
    for family, mode, n in _cases(lengths, form):
        u = _noise(2, n)
        expected = np.concatenate(pywt.dwt(u.numpy(), family, mode), axis=-1)
        assert np.abs(analyse(u, family, mode, axis=-1).numpy() - expected).max() < 2e-14, (family, mode, n)


@pytest.mark.parametrize("lengths", [(8,), EVERY_LENGTH])
def test_reconstruction_is_as_exact_as_the_tables_of_filters_allow(form, lengths):
    for family, mode, n in _cases(lengths, form):
        u = _noise(2, n)
        back = synthesise(analyse(u, family, mode, axis=-1), family, mode, axis=-1, size=n)
        assert (back - u).abs().max() < (1e-12 if family.startswith(EXACT) else 1e-10), (family, mode, n)


def test_synthesis_of_any_coefficients_equals_pywavelets(form):
    for family in ("haar", "db4", "bior2.4", "rbio1.5", "sym8"):
        for mode in MODES:
            count = analyse(_noise(1, 32), family, mode, axis=-1).shape[-1]
            w = _noise(3, count)
            expected = pywt.idwt(w[:, : count // 2].numpy(), w[:, count // 2 :].numpy(), family, mode)
            assert np.abs(synthesise(w, family, mode, axis=-1, size=32).numpy() - expected).max() < 2e-14, (family, mode)


@pytest.mark.parametrize("lengths", [(8,), EVERY_LENGTH])
def test_adjoints_of_both_directions_keep_inner_products(form, lengths):
    for family, mode, n in _cases(lengths, form):
        u = _noise(2, n)
        w = analyse(u, family, mode, axis=-1)
        y = _noise(*w.shape) + 0.1
        scale = w.norm() * y.norm()
        gap = (w * y).sum() - (u * analyse_adjoint(y, family, mode, axis=-1, size=n)).sum()
        other = (synthesise(y, family, mode, axis=-1, size=n) * u).sum() - (
            y * synthesise_adjoint(u, family, mode, axis=-1)
        ).sum()
        assert max(gap.abs(), other.abs()) < 1e-14 * scale, (family, mode, n)


def test_orthogonal_families_in_periodization_keep_the_energy_and_have_the_transpose_as_inverse():
    for family in [name for name in families() if pywt.Wavelet(name).orthogonal and name.startswith(("haar", "db", "coif"))]:
        forward, inverse = wavelet_matrix(32, family, "periodization")
        u = _noise(32)
        assert torch.allclose((forward @ u).square().sum(), u.square().sum(), rtol=1e-13, atol=0), family
        assert (inverse - forward.T).abs().max() < 1e-13, family


def test_the_inverse_of_a_biorthogonal_family_is_not_the_transpose():
    forward, inverse = wavelet_matrix(32, "bior2.4", "periodization")
    assert (inverse - forward.T).abs().max() > 0.2


def test_a_polynomial_below_the_vanishing_moments_has_no_detail_away_from_the_ends(form):
    x = torch.linspace(-1, 1, 64, dtype=torch.float64)
    for family, degree in (("db3", 2), ("bior2.4", 1), ("haar", 0), ("coif2", 3)):
        detail = analyse(x[None] ** degree, family, "zero", axis=-1)[0].chunk(2)[1]
        edge = pywt.Wavelet(family).dec_len // 2
        assert detail[edge:-edge].abs().max() < 1e-9, family
        steeper = analyse(x[None] ** (degree + 1), family, "zero", axis=-1)[0].chunk(2)[1]
        assert steeper[edge:-edge].abs().max() > 1e-6, family


def test_a_long_axis_is_cut_into_windows_and_gives_what_the_matrix_gives():
    u = _noise(2, one_axis.LONGEST_DENSE + 38, 3).float()  # no multiple of the windows
    forward, inverse = wavelet_matrix(u.shape[1], "bior2.4", "periodization")
    w = analyse(u, "bior2.4", "periodization", axis=-2)
    assert w.dtype == torch.float32
    assert (w - (forward.float() @ u)).abs().max() < 1e-5
    back = synthesise(w, "bior2.4", "periodization", axis=-2, size=u.shape[1])
    assert (back - (inverse.float() @ w)).abs().max() < 1e-5


def test_gradients_through_windows_are_their_adjoints(monkeypatch):
    monkeypatch.setattr(one_axis, "LONGEST_DENSE", 0)
    for mode in MODES:
        u = _noise(2, 26).requires_grad_()
        w = analyse(u, "db3", mode, axis=-1)
        y = _noise(*w.shape).requires_grad_()
        (w * y.detach()).sum().backward()
        assert (u.grad - analyse_adjoint(y.detach(), "db3", mode, axis=-1, size=26)).abs().max() < 1e-13
        (synthesise(y, "db3", mode, axis=-1, size=26) * u.detach()).sum().backward()
        assert (y.grad - synthesise_adjoint(u.detach(), "db3", mode, axis=-1)).abs().max() < 1e-13
