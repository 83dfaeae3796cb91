"""A prior sees slices the way round of its training images, whatever the affine of the measurement."""

import numpy as np
import pytest
import torch

from medidiff.diffusion.prior import Prior
from medidiff.reconstruction.orientation import as_trained, slice_axes
from medidiff.reconstruction.settings import NaddsSettings, ReconstructSettings
from medidiff.reconstruction.task import reconstruct


def oblique(columns: tuple[float, ...], rows: tuple[float, ...]) -> np.ndarray:
    """A slightly turned affine whose column and row steps lead mostly along two given directions."""
    angle = 0.2
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([columns, rows, np.cross(columns, rows)]).T * [2.0, 2.0, 3.5]
    affine[:3, 3] = (-12.0, 7.0, 30.0)
    return affine


RIGHT, LEFT, FRONT, BACK, UP = (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)


def seen_by(axes: str, affine: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """What a denoiser that adds one to its first pixel sees of 0 .. 11, and what comes back."""
    seen = []

    def denoise(u, sigma):
        seen.append(u)
        out = u.clone()
        out[..., 0, 0] += 100
        return out

    u = torch.arange(12.0).reshape(1, 1, 3, 4)
    back = as_trained(denoise, axes, affine)(u, torch.ones(1))
    return seen[0], back - u


@pytest.mark.parametrize(
    ("columns", "rows", "name"), [(RIGHT, FRONT, "RA"), (LEFT, BACK, "LP"), (BACK, LEFT, "PL"), (FRONT, UP, "AS")]
)
def test_axes_of_a_slice_are_where_its_columns_and_rows_lead(columns, rows, name):
    assert slice_axes(oblique(columns, rows)) == name


@pytest.mark.parametrize(
    ("rows", "seen", "place"), [(BACK, lambda u: u, (0, 0)), (FRONT, lambda u: u.flip(-2), (2, 0))], ids=["as is", "turned"]
)
def test_rows_are_turned_to_the_back_for_a_prior_of_such_slices_and_the_result_is_turned_back(rows, seen, place):
    found, change = seen_by("LP", oblique(LEFT, rows))
    torch.testing.assert_close(found, seen(torch.arange(12.0).reshape(1, 1, 3, 4)))
    assert change[0, 0, place[0], place[1]] == 100 and change.count_nonzero() == 1


def test_rows_and_columns_are_exchanged_where_a_volume_stores_rows_first():
    found, change = seen_by("LP", oblique(FRONT, LEFT))
    torch.testing.assert_close(found, torch.arange(12.0).reshape(1, 1, 3, 4).transpose(-2, -1).flip(-2))
    assert change[0, 0, 0, 3] == 100 and change.count_nonzero() == 1


@pytest.mark.parametrize(("axes", "rows"), [("", FRONT), ("LP", UP)], ids=["unknown", "another plane"])
def test_slices_stay_as_they_are_where_no_turn_is_known(axes, rows):
    denoise = object()
    assert as_trained(denoise, axes, oblique(LEFT, rows)) is denoise


def test_a_scan_of_mirrored_slices_gives_the_mirrored_volume(measure, hu, card):
    """Mirrored rows, with an affine that says so, are the same patient: here with a prior that knows which way is up."""
    up = torch.linspace(-1.0, 1.0, 16)[:, None]
    prior = Prior(card(axes="RA"), lambda u, sigma: up.expand_as(u))
    settings = ReconstructSettings(samples=1, nadds=NaddsSettings(steps=6, eta=0.0))
    plain = measure(hu)
    mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    mirror[1, 3] = 15
    turned = measure(hu[:, ::-1].copy())
    turned = type(turned)(turned.line_integrals, turned.geometry, plain.affine @ mirror)
    run = lambda measurement, prior: reconstruct(measurement, method="nadds", prior=prior, settings=settings).volume.array
    unturned = Prior(card(), prior.denoiser)
    np.testing.assert_allclose(run(turned, prior)[:, ::-1], run(plain, prior), atol=0.5)
    assert np.abs(run(turned, unturned)[:, ::-1] - run(plain, prior)).mean() > 20
