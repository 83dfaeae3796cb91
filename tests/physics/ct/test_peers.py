"""Other toolkits' line integrals equal ours; each is skipped where it is not installed."""

import numpy as np
import pytest
import torch

from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.ct.rays import ray_matrix

GRID = Grid(30, 27, pixel_mm=1.0)


def test_the_matrix_of_parallel_views_is_that_of_astra():
    astra = pytest.importorskip("astra")
    beam = ParallelBeam(GRID, arc(11, start_rad=0.05), bins=43, bin_mm=1.0)
    volume = astra.create_vol_geom(30, 27)
    projector = astra.create_projector("linear", astra.create_proj_geom("parallel", 1.0, 43, np.array(beam.angles_rad)), volume)
    theirs = astra.matrix.get(astra.projector.matrix(projector))
    ours = ray_matrix(beam.rays(), GRID, dtype=np.float64)
    x = np.random.default_rng(0).random(30 * 27)
    assert np.linalg.norm(ours @ x - theirs @ x) / np.linalg.norm(ours @ x) < 1e-4


def test_a_fan_sees_a_smooth_object_as_that_of_astra():
    astra = pytest.importorskip("astra")
    beam = FanBeam(GRID, arc(11, start_rad=0.05, length_rad=2 * np.pi), 51, 1.4, 60.0, 90.0)
    panel = astra.create_proj_geom("fanflat", 1.4, 51, np.array(beam.angles_rad), 60.0, 30.0)
    projector = astra.create_projector("line_fanflat", panel, astra.create_vol_geom(30, 27))
    theirs = astra.matrix.get(astra.projector.matrix(projector))
    y, x = np.meshgrid(GRID.y_mm, GRID.x_mm, indexing="ij")
    blob = np.exp(-((x - 3) ** 2 + (y + 2) ** 2) / 32)
    seen = beam.forward(torch.from_numpy(blob)[None]).flatten().numpy()
    assert np.linalg.norm(theirs @ blob.ravel() - seen) / np.linalg.norm(seen) < 0.02
