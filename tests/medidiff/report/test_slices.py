"""Pictures of reconstructions: three planes of a thick volume, one of a thin one, and names where a reader looks for them."""

import numpy as np
import pytest

from medidiff.io.volume import Volume
from medidiff.report.slices import Shades, planes_of, slices_figure

TURNED = np.array([[1.9, -0.5, 0.0, -9.0], [0.5, 1.9, 0.0, 3.0], [0.0, 0.0, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])
GREY = Shades(0.0, 1.0, "magnitude")


def volumes(names: str, slices: int) -> dict[str, Volume]:
    values = np.random.default_rng(0).random((20, 22, slices), dtype=np.float32)
    return {name: Volume(values, TURNED) for name in names}


def panels(figure):
    return [ax for ax in figure.axes if ax.images]


def test_a_thick_volume_is_seen_in_three_planes_named_once_above_and_methods_named_beside():
    shown = panels(slices_figure(volumes("ab", 14), GREY))
    assert [ax.get_title(loc="left") for ax in shown] == ["axial", "coronal", "sagittal", "", "", ""]
    assert [ax.get_ylabel() for ax in shown] == ["a", "", "", "b", "", ""]


def test_a_single_slice_is_seen_in_its_own_plane_with_the_methods_side_by_side():
    figure = slices_figure(volumes("abcde", 1), GREY)
    assert [ax.get_title(loc="left") for ax in panels(figure)] == list("abcde")
    assert len({round(ax.get_position().y0, 6) for ax in panels(figure)}) == 2
    assert len(figure.axes) == 5 + 1  # the empty places are gone, the colour bar is there


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((200, 180, 100), ["axial", "coronal", "sagittal"]),
        ((200, 180, 3), ["axial"]),
        ((4, 180, 200), ["sagittal"]),
        ((300, 20, 21), ["coronal"]),
        ((160, 160, 20), ["axial", "coronal", "sagittal"]),
    ],
)
def test_planes_that_would_be_strips_are_left_out(size, expected):
    assert planes_of(np.array(size, dtype=float)) == expected
