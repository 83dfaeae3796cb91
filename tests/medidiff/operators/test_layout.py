import pytest
import torch

from medidiff.errors import ConfigError, DataError
from medidiff.operators.layout import OperatorLayout

LAYOUTS = [
    OperatorLayout(("u",)),
    OperatorLayout(("a", "b"), family="haar", levels=2),
    OperatorLayout(("u",), family="db4", axes="x"),
    OperatorLayout(("u",), levels=0),
    OperatorLayout(("u", "v"), family="bior1.3", axes="txy", space="xy"),
]


def drawn(layout, *, seed=0, scale=1):
    sizes = (8, 16, 12)[: len(layout.names)] if len(layout.names) == 3 else (8 * scale, 16 * scale)
    u = torch.randn(2, len(layout.fields), *sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return u, sizes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_channels_give_the_trajectory_back(layout):
    u, sizes = drawn(layout)
    w = layout.encode(u)
    assert w.shape == (2, len(layout.fields) * layout.bands, *layout.grid(sizes))
    assert w.numel() == u.numel()
    torch.testing.assert_close(layout.decode(w, sizes), u, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_transpose_of_decoding_is_its_adjoint(layout):
    u, sizes = drawn(layout)
    w = torch.randn_like(layout.encode(u))
    left, right = (layout.decode(w, sizes) * u).sum(), (w * layout.decode_adjoint(u)).sum()
    assert abs(left - right) < 1e-12 * w.norm() * u.norm()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_initial_state_has_the_channels_of_a_trajectory_at_rest_that_do_not_vanish(layout):
    u, sizes = drawn(layout)
    still = u[:, :, :1].expand_as(u).contiguous()
    w = layout.encode(still).unflatten(1, (len(layout.fields), layout.bands))
    kept = layout.encode_initial(u[:, :, 0], sizes[0])
    energy = w.square().sum()
    torch.testing.assert_close(kept.square().sum(), energy)
    if layout.levels == 1:
        first = w[:, :, : layout.initial_bands].flatten(1, 2)
        torch.testing.assert_close(kept, first, rtol=0, atol=1e-12)


def test_a_constant_is_all_approximation():
    layout = OperatorLayout(("u",))
    w = layout.encode(torch.full((1, 1, 8, 16), 3.0, dtype=torch.float64))
    torch.testing.assert_close(w[:, 0], torch.full_like(w[:, 0], 6.0))
    assert w[:, 1:].abs().max() < 1e-12


def test_coordinates_run_from_minus_one_to_one_on_the_coarse_grid():
    places = OperatorLayout(("u",)).coordinates((8, 16), torch.zeros(1))
    assert places.shape == (2, 4, 8)
    assert places[0, 0, 0] == -1 and places[0, -1, 3] == 1 and places[1, 2, 0] == -1 and places[1, 2, -1] == 1


def test_an_odd_length_says_what_to_do():
    with pytest.raises(
        DataError, match=r"x has 121 points; periodization at level 1 needs a multiple of 2\. Crop, or use mode zero"
    ):
        OperatorLayout(("u",)).encode(torch.zeros(1, 1, 8, 121))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "reflect"}, "operator.mode: 'reflect' is not supported; choose zero, symmetric or periodization"),
        ({"family": "dmey"}, r"operator.family: dmey does not reconstruct \(9e-3\)"),
        ({"axes": "ty"}, "operator.axes: found 'ty', expected some of 'tx'"),
    ],
)
def test_what_cannot_be_undone_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        OperatorLayout(("u",), **wrong)
