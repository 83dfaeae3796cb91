"""A CT measurement in, a volume on disk out: what `task.reconstruct` gives, for volumes that do not fit in memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.prior import Prior
from medidiff.errors import ConfigError
from medidiff.io.measurement import Projections
from medidiff.io.slab_file import Slabs
from medidiff.reconstruction.methods import classical, nadds_options, noise_of, tv_iterations, tv_weight
from medidiff.reconstruction.operators import Scan, Window, ct_scan
from medidiff.reconstruction.orientation import as_trained
from medidiff.reconstruction.patches import InChunks, Padded
from medidiff.reconstruction.prior_fit import check_prior
from medidiff.reconstruction.settings import ReconstructSettings
from medidiff.reconstruction.slab_nadds import na_dds_in_slabs
from medidiff.reconstruction.slab_solvers import cgls_in_slabs, tv_in_slabs
from medidiff.reconstruction.slabs import Passes, Plan, Span
from physics.solvers.conjugate_gradient import inner

METHODS = ("fbp", "sirt", "cgls", "tv", "nadds")


@dataclass(frozen=True, eq=False)
class SlabReconstruction:
    """A volume that lies on disk, with its numbers; the store that made it must stay open while it is read."""

    volume: Slabs  # (slice, row, column) HU
    numbers: dict[str, float | int | None]  # as `task.Reconstruction` has them, those that need no second solve


def reconstruct_in_slabs(
    measurement: Projections,
    *,
    method: str,
    prior: Prior | None,
    settings: ReconstructSettings,
    plan: Plan,
    on_step: Callable[[int], None] | None = None,
) -> SlabReconstruction:
    """The volume behind CT line integrals, by fbp, sirt, cgls, tv or nadds, equal to `task.reconstruct` to the rounding of sums.

    measurement   whose line integrals are in memory, views being far fewer than rows
    plan          slices per slab, store and workers
    on_step       called with the levels of nadds that are done, of all samples together

    Total variation without a weight takes the one that held-out data of the slab in the middle choose. ConfigError for another
    method or without the prior it needs; else what `task.reconstruct` raises.
    """
    started = time.perf_counter()
    if method not in METHODS:
        raise ConfigError(f"method {method} in slabs: expected one of {', '.join(METHODS)}. Use one, or reconstruct at once.")
    scan = ct_scan(measurement, settings.window_hu)
    passes = Passes.of([slices_of(scan, span) for span in plan.spans(len(scan.y))], len(scan.y), plan)
    if method == "nadds":
        if prior is None:
            raise ConfigError("method nadds needs a prior, found none; name its folder in reconstruct.prior, or use tv.")
        turned = replace(prior, denoiser=as_trained(Padded(prior.denoiser), prior.card.axes, measurement.affine))
        x = _sampled(scan, turned, settings, plan, on_step)
    else:
        x = _solved(scan, method, settings, plan, passes)
    volume = plan.store((len(scan.y), *scan.operator.domain[-2:]))
    numbers = _numbers(passes.total(_judge, x, volume, scan.window))
    numbers["network_calls"] = settings.nadds.steps * settings.samples if method == "nadds" else 0
    numbers["seconds"] = time.perf_counter() - started
    return SlabReconstruction(volume, numbers)


def slices_of(scan: Scan, span: Span) -> Scan:
    """The scan of some slices, its operator and noise those of the whole."""
    pick = lambda values: None if values is None else values[span.first : span.last]
    operator = replace(scan.operator, trusted=pick(scan.operator.trusted))
    return replace(scan, operator=operator, y=pick(scan.y), variance=pick(scan.variance))


def _sampled(scan: Scan, prior: Prior, settings: ReconstructSettings, plan: Plan, on_step: Callable | None) -> Slabs:
    """Mean of the samples, window units; the prior takes slices of any size."""
    check_prior(prior.card, scan, settings.window_hu)
    denoiser = InChunks(prior.denoiser, settings.slices_at_once)
    shape, measured, options = (len(scan.y), *scan.operator.domain), scan.measurement(), nadds_options(scan, prior.card, settings)
    mean = plan.store(shape)
    for index in range(settings.samples):
        noise = noise_of(index, scan, settings.seed)
        tell = on_step and (lambda step, done=index * options.steps: on_step(done + step))
        u = na_dds_in_slabs(denoiser, measured, shape, options=options, noise=noise, plan=plan, on_step=tell)
        for span in plan.spans(len(scan.y)):
            span.write(mean, span.read(mean) + scan.volume(span.read(u)) / settings.samples)
    return mean


def _solved(scan: Scan, method: str, settings: ReconstructSettings, plan: Plan, passes: Passes) -> Slabs:
    """The volume of a classical method, window units."""
    shape = (len(scan.y), *scan.operator.domain)
    if method in ("fbp", "sirt"):
        x = plan.store(shape)
        passes.each(_apart, x, method, settings)
        return x
    coupled = Passes.over(Measurement(scan.operator, scan.y, scan.noise_std), plan)
    if method == "cgls":
        return cgls_in_slabs(coupled, shape, iterations=settings.iterative.cgls_iterations)
    spans = plan.spans(len(scan.y))
    weight, _ = tv_weight(slices_of(scan, spans[len(spans) // 2]), settings)
    return tv_in_slabs(coupled, shape, weight=weight, iterations=tv_iterations(settings, is_mr=False))


def _apart(span: Span, part: Scan, x: Slabs, method: str, settings: ReconstructSettings) -> tuple:
    span.write(x, classical(method, settings)(part))
    return ()


def _numbers(sums: tuple[float, ...]) -> dict[str, float | int | None]:
    """Residual and chi-square from what `_judge` adds up."""
    wrong, size, chi2, terms = sums
    return {"residual": (wrong / size) ** 0.5 if size else None, "chi2": chi2 / terms if terms else None}


def _judge(span: Span, part: Scan, x: Slabs, volume: Slabs, window: Window) -> tuple[float, float, float, float]:
    """Writes HU; |A x - y|^2, |y|^2, and what chi-square is the mean of, with its number of terms."""
    values = span.read(x)
    span.write(volume, window.values(values)[:, 0])
    error = part.operator.forward(values) - part.y
    chi2, terms = part.chi_square(values), part.y.numel()
    if part.variance is not None:
        terms = int(part.variance.isfinite().sum())
    sizes = inner(error, error), inner(part.y, part.y)
    return (*sizes, 0.0, 0.0) if chi2 is None else (*sizes, chi2 * terms, float(terms))
