"""NA-DDS for volumes that do not fit in memory: `nadds.na_dds` with its state on disk, slab by slab."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import start
from medidiff.errors import NumericsError
from medidiff.io.slab_file import Slabs
from medidiff.reconstruction.nadds import NADDS
from medidiff.reconstruction.slab_solvers import Fields, SlabSweep
from medidiff.reconstruction.slabs import Passes, Plan, Span


@dataclass(frozen=True, eq=False)
class Path:
    """What sampling keeps on disk beside the fields of its sweep."""

    u: Slabs  # the noisy state
    denoised: Slabs  # D(u), as the network gave it


def na_dds_in_slabs(
    denoiser: Denoiser,
    measurement: Measurement,
    shape: tuple[int, ...],
    *,
    options: NADDS,
    noise: Noise,
    plan: Plan,
    on_step: Callable[[int], None] | None = None,
) -> Slabs:
    """The volume (slice, c, row, column) of `na_dds` as slabs of the plan's store, equal to it up to the rounding of sums.

    denoiser, measurement, options, noise   as there; a denoiser that looks at one slice at a time
    plan                                    slices per slab, store and workers
    on_step                                 called with the number of steps that are done

    Nine volumes of float32 lie in the store. Memory holds a few times the slices of one slab, the network's own needs for them,
    and the measurement. Raises what `na_dds` raises.
    """
    grid = with_zero(karras(options.steps, smin=options.sigma_min, smax=options.sigma_max)).double()
    passes = Passes.over(measurement, plan)
    fields = Fields.new(passes, shape)
    path = Path(plan.store(shape), plan.store(shape))
    sweep = SlabSweep(options.data_steps, options.rho if shape[0] > 1 else 0.0, options.threshold)
    kappa, network = options.kappa(measurement.noise_std), passes.shared(denoiser)
    passes.each(_begin, path, float(grid[0]), noise)
    for step, (a, b) in enumerate(zip(grid.tolist(), grid.tolist()[1:])):
        passes.each(_denoise, path, fields, network, a, options.bounds)
        sweep(passes, fields, kappa(a))
        (total,) = passes.total(_renoise, path, fields, options, (a, b), noise, step)
        if not math.isfinite(total):
            raise NumericsError(f"not finite at level {step + 1} (sigma {b:.3g}). Use more levels.")
        if on_step:
            on_step(step + 1)
    return path.u


def _named(noise: Noise, span: Span) -> Noise:
    """The noise of these slices, whatever slab they are in."""
    names = noise.items or tuple(range(span.total))
    return noise.of(*names[span.first : span.last])


def _begin(span: Span, part: Measurement, path: Path, sigma: float, noise: Noise) -> tuple:
    shape = (span.last - span.first, *path.u.shape[1:])
    span.write(path.u, start(shape, sigma, noise=_named(noise, span)))
    return ()


def _denoise(span: Span, part: Measurement, path: Path, fields: Fields, denoiser: Denoiser, a: float, bounds: tuple) -> tuple:
    denoised = predict(denoiser, span.read(path.u), a)
    span.write(path.denoised, denoised)
    span.write(fields.h, denoised.clamp(*bounds))
    return ()


def _renoise(
    span: Span, part: Measurement, path: Path, fields: Fields, options: NADDS, levels: tuple, noise: Noise, step: int
) -> tuple[float]:
    """The part of `Renoise` that follows the correction."""
    (a, b), renoise = levels, options.renoise()
    u, h = span.read(path.u), span.read(fields.h)
    e = (u - (h if renoise.noise_from == "posterior" else span.read(path.denoised))) / a
    v = renoise.fresh_variance(a, b)
    u = h + math.sqrt(max(b**2 - v, 0.0)) * e
    if v > 0:
        u = u + math.sqrt(v) * _named(noise, span)(step, u, 1)
    span.write(path.u, u)
    return (float(u.sum()),)
