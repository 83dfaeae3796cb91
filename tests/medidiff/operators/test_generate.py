import numpy as np
import pytest
import torch

from medidiff.errors import ConfigError
from medidiff.io.pde.trajectories import read_trajectories
from medidiff.operators import generate as module
from medidiff.operators.distributions import draw_humps, draw_jumps, draw_waves
from medidiff.operators.generate import cell_average, generate, generate_split
from medidiff.operators.systems import SystemSettings
from physics.pde.advection import advect
from physics.pde.euler import Gas, compressible

WAVES = SystemSettings(system="advection", cells=32, frames=4, solver_cells=128, solver_frames=4, duration_s=0.5)
TUBES = SystemSettings(system="shock", cells=32, frames=4, solver_cells=256, solver_frames=4, duration_s=0.2)


def test_a_chunk_depends_on_seed_split_and_number_alone():
    first, again = generate(WAVES, "train", 1), generate(WAVES, "train", 1)
    assert np.array_equal(first.u, again.u)
    others = [generate(WAVES, "test", 1), generate(WAVES, "train", 0), generate(WAVES.model_copy(update={"seed": 1}), "train", 1)]
    assert all(np.abs(first.u - other.u).max() > 0.1 for other in others)


def test_a_coarser_grid_holds_averages_of_the_same_trajectories():
    fine = generate(WAVES.model_copy(update={"cells": 128}), "test", 0)
    coarse = generate(WAVES, "test", 0)
    assert np.allclose(cell_average(fine.u, 4), coarse.u, atol=1e-6)
    assert np.allclose(cell_average(fine.u0, 4), coarse.u0, atol=1e-6)


def test_frames_of_advection_are_what_the_exact_solver_makes_of_smooth_waves():
    fine = generate(WAVES.model_copy(update={"cells": 128}), "test", 0)
    smooth = np.abs(np.fft.rfft(fine.u0[:, 0]))[:, 20:].max(1) < 1e-3
    found = advect(torch.tensor(fine.u0, dtype=torch.float64), torch.tensor(fine.theta[:, 0].astype(float)), times=fine.times)
    assert smooth.sum() > 30
    assert np.abs(found.numpy() - fine.u)[smooth].max() < 1e-5


def test_shock_tubes_are_those_of_the_finite_volume_solver_on_the_fine_grid():
    tube = generate(TUBES, "test", 0).rows(slice(0, 1))
    x = -1 + 2 * (np.arange(128) + 0.5) / 128
    seed = np.random.SeedSequence([0, module.zlib.crc32(b"shock"), 3, 0])
    drawn = draw_jumps(np.random.Generator(np.random.Philox(seed)), 64, is_one=True)
    solved = compressible(torch.tensor(drawn.initial(x)[:1]), [tube.times[0]], gas=Gas(5 / 3), boundary="outflow", length=2.0)
    error = np.abs(cell_average(solved.numpy(), 4)[:, :, 0] - tube.u[:, :, 0]).mean((0, 2)) / np.abs(tube.u).mean((0, 2, 3))
    assert error.max() < 0.02


def test_forces_of_burgers_are_averages_over_cells_and_intervals():
    humps = SystemSettings(system="burgers", cells=16, frames=2, solver_cells=32, solver_frames=4, duration_s=0.02)
    found = generate(humps, "validation", 0)
    seed = np.random.SeedSequence([0, module.zlib.crc32(b"burgers"), 2, 0])
    drawn = draw_humps(np.random.Generator(np.random.Philox(seed)), 64)
    fine = drawn.forcing((np.arange(4) + 0.5) / 4, (np.arange(32) + 0.5) / 32)
    assert np.allclose(found.f, fine.reshape(64, 1, 2, 2, 16, 2).mean((3, 5)), atol=1e-6)
    assert np.allclose(found.theta, 0.01)
    drift = (found.u[:, :, 0] - found.u0) / 0.01  # u_t is f plus what u itself does, which is bounded
    assert np.abs(drift).max() < 200


def test_draws_follow_their_laws():
    generator = np.random.default_rng(8)
    humps, waves, jumps = draw_humps(generator, 4000), draw_waves(generator, 4000), draw_jumps(generator, 4000, is_one=True)
    assert (humps.force != 0).sum(1).mean() == pytest.approx(1 + 3.5, abs=0.1)
    assert waves.is_folded.mean() == pytest.approx(0.1, abs=0.02)
    assert set(np.unique(waves.numbers)) == set(range(1, 9))
    assert np.median(jumps.left[:, 0]) == pytest.approx(10**0.5, rel=0.05)
    assert np.ptp(jumps.places, axis=1).max() == 0
    published = draw_jumps(generator, 100, is_one=False)
    assert min(published.left[:, 1].min(), published.right[:, 1].min()) > 0.6
    assert np.ptp(published.places, axis=1).min() > 0


def test_a_split_resumes_with_the_chunks_that_are_there(tmp_path, monkeypatch):
    whole = generate_split(WAVES, "test", tmp_path / "whole.h5", count=100)
    monkeypatch.setattr(module, "write_trajectories", _fail_on(tmp_path / "part.chunks" / "chunk-000001.h5"))
    with pytest.raises(RuntimeError, match="power cut"):
        generate_split(WAVES, "test", tmp_path / "part.h5", count=100)
    monkeypatch.undo()
    made = []
    monkeypatch.setattr(module, "generate", lambda settings, split, chunk: made.append(chunk) or generate(settings, split, chunk))
    generate_split(WAVES, "test", tmp_path / "part.h5", count=100)
    assert made == [1]
    assert (tmp_path / "part.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert len(whole) == len(read_trajectories(tmp_path / "part.h5")) == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.h5", "whole.h5"]


def test_chunks_of_other_settings_are_made_anew(tmp_path):
    folder = tmp_path / "test.chunks"
    module._write_chunk(WAVES.model_copy(update={"seed": 5}), "test", 0, folder / "chunk-000000.h5")
    found = generate_split(WAVES, "test", tmp_path / "test.h5", count=4)
    assert np.array_equal(found.u, generate(WAVES, "test", 0).u[:4])


@pytest.mark.slow
def test_workers_of_a_cluster_make_the_same_bytes(tmp_path):
    from medidiff.compute import dask_client

    generate_split(WAVES, "test", tmp_path / "here.h5", count=150)
    with dask_client(workers=2) as client:
        generate_split(WAVES, "test", tmp_path / "there.h5", count=150, client=client)
    assert (tmp_path / "there.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()


def test_unknown_splits_and_grids_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="split: found 'dev', expected one of train"):
        generate(WAVES, "dev", 0)
    with pytest.raises(ValueError, match="cells 48 does not divide solver_cells 128"):
        SystemSettings(system="burgers", cells=48, solver_cells=128)


def _fail_on(path):
    write = module.write_trajectories

    def guarded(trajectories, target):
        if target == path:
            raise RuntimeError("power cut")
        write(trajectories, target)

    return guarded
