"""Simulated CT: right at the limit of many views, honest about noise, and never the solver's own discretisation."""

import math

import numpy as np
import pytest
import torch

from medidiff.acquisition.scan import simulate
from medidiff.acquisition.settings import ScanSettings
from medidiff.errors import ConfigError
from medidiff.io.nifti import write_nifti
from medidiff.io.volume import Volume
from physics.ct.backprojection import reconstruct_fan, reconstruct_parallel
from physics.ct.fan import FanBeam
from physics.ct.grid import Grid
from physics.ct.parallel import ParallelBeam

SMALL = {"matrix": 32, "pixel_mm": 4.0, "slices": 3, "slice_mm": 5.0}


def scan(**changes):
    return ScanSettings.model_validate(SMALL | {"ct": {}} | changes)


def beam_of(geometry):
    parts = dict(geometry)
    kind = {"parallel": ParallelBeam, "fan": FanBeam}[parts.pop("beam")]
    grid = Grid(parts.pop("rows"), parts.pop("columns"), parts.pop("pixel_mm"))
    return kind(grid, tuple(parts.pop("angles_rad")), **parts)


@pytest.fixture(scope="module")
def blob(tmp_path_factory):
    """A smooth, oblique, anisotropic body in HU: a Gaussian 14 mm wide off the middle of its box, a fainter one beside it."""
    i, j, k = np.meshgrid(*(np.arange(n) for n in (70, 60, 14)), indexing="ij")
    turn = math.radians(25)
    affine = np.eye(4)
    affine[:3, 0] = np.array([math.cos(turn), math.sin(turn), 0]) * 2.0
    affine[:3, 1] = np.array([-math.sin(turn), math.cos(turn), 0]) * 2.2
    affine[:3, 2] = (0, 0, 3.0)
    squared = ((i - 40) * 2.0) ** 2 + ((j - 25) * 2.2) ** 2 + ((k - 6) * 3.0) ** 2
    beside = ((i - 52) * 2.0) ** 2 + ((j - 40) * 2.2) ** 2
    values = -1000 + 1000 * np.exp(-squared / (2 * 14.0**2)) + 300 * np.exp(-beside / (2 * 7.0**2))
    path = tmp_path_factory.mktemp("blob") / "ct.nii.gz"
    write_nifti(Volume(values.astype(np.float32), affine), path)
    return path


@pytest.mark.parametrize(
    ("acquisition", "invert"),
    [({"views": 120}, reconstruct_parallel), ({"beam": "fan", "views": 120, "arc_deg": 360}, reconstruct_fan)],
)
def test_many_clean_views_give_the_object_back_where_it_lies(blob, acquisition, invert):
    measurement, reference = simulate(scan(source=str(blob), ct=acquisition), blob)
    assert measurement.weights is None and measurement.grid.agrees_with(reference.grid)
    beam = beam_of(measurement.geometry)
    per_mm = invert(torch.from_numpy(measurement.line_integrals)[:, None], beam)[:, 0].numpy()
    found = 1000 * (per_mm / measurement.water_per_mm - 1)
    truth = reference.array.transpose(2, 1, 0)
    assert np.abs(found - truth).max() < 30 and truth.max() > -200
    assert np.abs(found[:, ::-1] - truth).max() > 200  # the object is not symmetric: a flip would show


def test_the_middle_of_the_tissue_is_the_middle_of_the_grid_and_axes_keep_their_directions(blob):
    _, reference = simulate(scan(source=str(blob)), blob)
    turn = math.radians(25)
    peak = np.array(
        [40 * 2.0 * math.cos(turn) - 25 * 2.2 * math.sin(turn), 40 * 2.0 * math.sin(turn) + 25 * 2.2 * math.cos(turn), 18]
    )
    assert np.abs(reference.grid.corners().mean(axis=0) - peak).max() < 2.5
    directions = reference.affine[:3, :3] / reference.grid.spacing_mm
    np.testing.assert_allclose(directions[:, 0], (math.cos(turn), math.sin(turn), 0), atol=1e-6)
    assert reference.grid.spacing_mm == pytest.approx((4, 4, 5))


def test_the_measurement_is_not_what_the_operator_of_the_solver_makes_of_the_reference():
    measurement, reference = simulate(scan(ct={"views": 10}))
    per_mm = torch.from_numpy(measurement.water_per_mm * (1 + reference.array.transpose(2, 1, 0) / 1000))[:, None]
    own = beam_of(measurement.geometry).forward(per_mm.float())[:, 0].numpy()
    difference = np.linalg.norm(own - measurement.line_integrals) / np.linalg.norm(own)
    assert 1e-3 < difference < 0.05
    assert measurement.provenance["inverse_crime"] is False and measurement.provenance["fine_pixels_per_edge"] == 2


def test_noise_has_the_weights_that_it_is_stored_with():
    clean, _ = simulate(scan(ct={"views": 24}))
    noisy, _ = simulate(scan(ct={"views": 24, "photons": 2e4, "electronic_std": 5}))
    squared = noisy.weights * (noisy.line_integrals - clean.line_integrals) ** 2
    assert squared.mean() == pytest.approx(1, abs=4 * math.sqrt(2 / squared.size))


def test_a_seed_fixes_the_measurement_and_another_gives_another_patient():
    first, again, other = (simulate(scan(seed=seed, ct={"photons": 1e4}))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.line_integrals, again.line_integrals)
    assert np.abs(first.line_integrals - other.line_integrals).max() > 0.5


def test_the_detector_sees_the_whole_slice():
    for ct in ({}, {"beam": "fan", "arc_deg": 360}):
        measurement, _ = simulate(scan(ct=ct))
        beam = beam_of(measurement.geometry)
        seen = beam.adjoint(torch.ones((1, *beam.range)))
        assert float(seen.min()) > 0


def test_a_source_inside_the_slice_is_refused():
    with pytest.raises(ConfigError, match=r"studies.scans: found source_mm 50"):
        simulate(scan(ct={"beam": "fan", "source_mm": 50.0}))
