"""A volume solved slab by slab on disk is the volume solved at once, for every cut, in this process or on workers."""

import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from dask.distributed import Client
from torch import Tensor
from torch.nn.functional import avg_pool2d

from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.errors import ConfigError, NumericsError
from medidiff.io.slab_file import slab_store
from medidiff.reconstruction.nadds import NADDS, na_dds
from medidiff.reconstruction.operators import Normalised
from medidiff.reconstruction.slab_nadds import na_dds_in_slabs
from medidiff.reconstruction.slab_solvers import Fields, SlabSweep, cgls_in_slabs, tv_in_slabs
from medidiff.reconstruction.slabs import Passes, Plan, Span
from medidiff.reconstruction.sweep import Sweep
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.solvers.cgls import reconstruct_cgls
from physics.solvers.total_variation import reconstruct_tv

SHAPE = (7, 1, 12, 12)
OPTIONS = NADDS(data_std=0.5, steps=6, rho=0.3, threshold=0.02, data_steps=4)


@dataclass(frozen=True)
class Smooth:
    """A denoiser that is none: it blurs and shrinks, without any state."""

    def __call__(self, u: Tensor, sigma: Tensor) -> Tensor:
        share = (0.25 / (0.25 + sigma**2)).to(u).reshape(-1, 1, 1, 1)
        return share * (0.5 * u + 0.5 * avg_pool2d(u, 3, 1, 1, count_include_pad=False))


@dataclass(frozen=True)
class Skewed(ParallelBeam):
    """An operator whose normal is not its own: conjugate gradients must notice."""

    def _normal(self, x: Tensor) -> Tensor:
        return -super()._normal(x)


def measurement(*, trusted: bool = False, noise_std: float = 0.02) -> Measurement:
    beam = ParallelBeam(grid=Grid(*SHAPE[2:], 2.0), angles_rad=arc(5), bins=17, bin_mm=2.0)
    generator = torch.Generator().manual_seed(0)
    seen = (torch.rand((SHAPE[0], *beam.range), generator=generator) > 0.2).float() if trusted else None
    operator = Normalised.of(beam, seen)
    y = operator.forward(torch.randn(SHAPE, generator=generator))
    return Measurement(operator, y, noise_std)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def in_slabs(slices: int, measured: Measurement, *, in_memory: bool = False, client=None, options: NADDS = OPTIONS) -> Tensor:
    with slab_store(in_memory=in_memory) as store:
        plan = Plan(slices, store, client)
        found = na_dds_in_slabs(Smooth(), measured, SHAPE, options=options, noise=Noise(3), plan=plan)
        return torch.from_numpy(found.read(0, SHAPE[0]))


@pytest.mark.parametrize("slices", [1, 2, 3, 7, 50])
def test_na_dds_in_slabs_is_na_dds_to_a_hundred_thousandth(slices):
    measured = measurement()
    whole = na_dds(Smooth(), measured, SHAPE, options=OPTIONS, noise=Noise(3))
    assert relative(in_slabs(slices, measured), whole) < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        NADDS(data_std=0.5, steps=6, is_posterior=True),
        NADDS(data_std=0.5, steps=6, rho=0.0),
        NADDS(data_std=0.5, steps=6, eta=0.0, data_steps=9),
    ],
    ids=["posterior", "slices apart", "deterministic"],
)
def test_every_mode_of_na_dds_is_the_same_in_slabs(options):
    measured = measurement(trusted=True)
    whole = na_dds(Smooth(), measured, SHAPE, options=options, noise=Noise(3))
    assert relative(in_slabs(3, measured, options=options), whole) < 1e-5


def test_slabs_in_memory_and_on_disk_are_equal_to_the_bit():
    measured = measurement()
    assert torch.equal(in_slabs(2, measured), in_slabs(2, measured, in_memory=True))


def test_workers_give_the_bits_that_one_process_gives():
    measured = measurement(trusted=True)
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        assert torch.equal(in_slabs(2, measured, client=client), in_slabs(2, measured))


def test_a_halo_alone_without_shared_inner_products_would_not_do():
    measured = measurement()
    sweep = Sweep(measured, iterations=2, rho=0.3, threshold=0.02)
    h0 = torch.randn(SHAPE, generator=torch.Generator().manual_seed(5))
    whole, _ = sweep(h0, 0.01, sweep.no_duals(h0))
    cut = [Span(0, 4, 7), Span(4, 7, 7)]
    pieces = []
    for span in cut:
        low, high = max(span.first - 1, 0), min(span.last + 1, 7)
        part = Sweep(Measurement(measured.operator, measured.y[low:high], 0.02), iterations=2, rho=0.3, threshold=0.02)
        pieces.append(span.inner(part(h0[low:high], 0.01, part.no_duals(h0[low:high]))[0]))
    assert relative(torch.cat(pieces), whole) > 1e-3


def test_rounds_of_the_sweep_agree_one_by_one():
    measured = measurement()
    h = torch.randn(SHAPE, generator=torch.Generator().manual_seed(6))
    sweep = Sweep(measured, iterations=3, rho=0.3, threshold=0.02)
    duals = sweep.no_duals(h)
    with slab_store(in_memory=True) as store:
        passes = Passes.over(measured, Plan(2, store))
        fields = Fields.new(passes, SHAPE)
        fields.h.write(0, h.numpy())
        for kappa in (0.5, 0.1, 0.0):
            h, duals = sweep(h, kappa, duals)
            SlabSweep(3, 0.3, 0.02)(passes, fields, kappa)
            for ours, theirs in ((fields.h, h), (fields.w, duals[0]), (fields.m, duals[1])):
                assert relative(torch.from_numpy(ours.read(0, 7)), theirs) < 1e-5


@pytest.mark.parametrize("slices", [1, 3, 7])
@pytest.mark.parametrize("weight", [1e-3, 0.05])
def test_total_variation_in_slabs_is_total_variation(slices, weight):
    measured = measurement()
    whole = reconstruct_tv(measured.operator, measured.y, weight=weight, iterations=20)
    with slab_store(in_memory=True) as store:
        found = tv_in_slabs(Passes.over(measured, Plan(slices, store)), SHAPE, weight=weight, iterations=20)
        assert relative(torch.from_numpy(found.read(0, 7)), whole) < 1e-5


def test_cgls_in_slabs_is_cgls():
    measured = measurement()
    with slab_store(in_memory=True) as store:
        found = cgls_in_slabs(Passes.over(measured, Plan(2, store)), SHAPE, iterations=12)
        assert relative(torch.from_numpy(found.read(0, 7)), reconstruct_cgls(measured.operator, measured.y, iterations=12)) < 1e-5


def test_an_operator_without_an_exact_adjoint_is_refused():
    beam = Skewed(grid=Grid(12, 12, 2.0), angles_rad=arc(5), bins=17, bin_mm=2.0)
    good = measurement()
    with slab_store(in_memory=True) as store:
        passes = Passes.over(good, Plan(3, store))
        fields = Fields.new(passes, SHAPE)
        for each in passes.parts:
            object.__setattr__(each, "operator", beam)
        with pytest.raises(NumericsError, match="do not match"):
            SlabSweep(3, 0.0, 0.02)(passes, fields, 0.0)


def test_workers_cannot_see_slabs_in_memory():
    with slab_store(in_memory=True) as store, pytest.raises(ConfigError, match="they cannot see them"):
        Passes.over(measurement(), Plan(2, store, client=object()))


MEMORY = """
import resource, torch
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.io.slab_file import slab_store
from medidiff.reconstruction.nadds import NADDS
from medidiff.reconstruction.operators import Normalised
from medidiff.reconstruction.slab_nadds import na_dds_in_slabs
from medidiff.reconstruction.slabs import Plan
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
beam = ParallelBeam(grid=Grid(128, 128, 2.0), angles_rad=arc(4), bins=181, bin_mm=2.0)
y = torch.zeros({slices}, *beam.range)
measured = Measurement(Normalised.of(beam), y, 0.02)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with slab_store(in_memory=False) as store:
    options = NADDS(data_std=0.5, steps=2, data_steps=1)
    na_dds_in_slabs(lambda u, s: 0.5 * u, measured, ({slices}, 1, 128, 128), options=options, noise=Noise(0), plan=Plan(8, store))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_slices():
    used = []
    for slices in (64, 512):
        script = MEMORY.format(slices=slices)
        used.append(int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout))
    one = 512 * 128 * 128 * 4  # bytes of one whole volume; nine of them lie on disk
    assert used[1] - used[0] < 0.5 * one
