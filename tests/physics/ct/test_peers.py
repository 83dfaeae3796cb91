"""Other toolkits' line integrals equal ours; each is skipped where it is not installed."""

import numpy as np
import pytest
import torch

from physics.ct.backprojection import reconstruct_parallel
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


def test_filtered_back_projection_is_that_of_astra():
    astra = pytest.importorskip("astra")
    grid = Grid(40, 40, pixel_mm=1.0)
    beam = ParallelBeam(grid, arc(90), bins=59, bin_mm=1.0)
    y, x = np.meshgrid(grid.y_mm, grid.x_mm, indexing="ij")
    blob = np.exp(-((x - 3) ** 2 + (y + 2) ** 2) / 40).astype(np.float32)
    seen = beam.forward(torch.from_numpy(blob)[None])
    volume, rays = astra.create_vol_geom(40, 40), astra.create_proj_geom("parallel", 1.0, 59, np.array(beam.angles_rad))
    settings = astra.astra_dict("FBP") | {
        "ProjectorId": astra.create_projector("linear", rays, volume),
        "ProjectionDataId": astra.data2d.create("-sino", rays, seen[0].numpy()),
        "ReconstructionDataId": (found := astra.data2d.create("-vol", volume)),
    }
    astra.algorithm.run(astra.algorithm.create(settings))
    ours, theirs = reconstruct_parallel(seen, beam)[0].numpy(), astra.data2d.get(found)
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 0.02
