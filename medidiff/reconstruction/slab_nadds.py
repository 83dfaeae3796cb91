"""NA-DDS for volumes that do not fit in memory: `nadds.na_dds` with its state on disk, slab by slab."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import start
from medidiff.diffusion.stochastic import Renoise
from medidiff.errors import NumericsError
from medidiff.io.slab_file import Slabs
from medidiff.reconstruction.nadds import NADDS
from medidiff.reconstruction.slab_solvers import Fields, SlabSweep
from medidiff.reconstruction.slabs import Passes, Plan, Span


@dataclass(frozen=True, eq=False)
class Path:
    """What sampling keeps on disk."""

    u: Slabs  # the noisy state
    denoised: Slabs  # D(u), as the network gave it
    fields: Fields  # of the sweep


@dataclass(frozen=True)
class Redraw:
    """How noise is put back between two levels: the part of `Renoise` that follows the correction."""

    renoise: Renoise
    noise: Noise
    step: int
    a: float  # level of u, network unit
    b: float  # next level

    def __call__(self, u: Tensor, h: Tensor, denoised: Tensor, noise: Noise) -> Tensor:
        """The state at b from that at a, its corrected and its plain denoised image, with the noise of its slices."""
        e = (u - (h if self.renoise.noise_from == "posterior" else denoised)) / self.a
        v = self.renoise.fresh_variance(self.a, self.b)
        after = h + math.sqrt(max(self.b**2 - v, 0.0)) * e
        return after + math.sqrt(v) * noise(self.step, u, 1) if v > 0 else after


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
    path = Path(plan.store(shape), plan.store(shape), Fields.new(passes, shape))
    sweep = SlabSweep(options.data_steps, options.rho if shape[0] > 1 else 0.0, options.threshold)
    kappa, network = options.kappa(measurement.noise_std), passes.shared(denoiser)
    passes.each(_begin, path, float(grid[0]), noise)
    for step, (a, b) in enumerate(zip(grid.tolist(), grid.tolist()[1:])):
        passes.each(_denoise, path, network, a, options.bounds)
        sweep(passes, path.fields, kappa(a))
        (total,) = passes.total(_put_noise_back, path, Redraw(options.renoise(), noise, step, a, b))
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


def _denoise(span: Span, part: Measurement, path: Path, denoiser: Denoiser, a: float, bounds: tuple) -> tuple:
    denoised = predict(denoiser, span.read(path.u), a)
    span.write(path.denoised, denoised)
    span.write(path.fields.h, denoised.clamp(*bounds))
    return ()


def _put_noise_back(span: Span, part: Measurement, path: Path, redraw: Redraw) -> tuple[float]:
    after = redraw(span.read(path.u), span.read(path.fields.h), span.read(path.denoised), _named(redraw.noise, span))
    span.write(path.u, after)
    return (float(after.sum()),)
