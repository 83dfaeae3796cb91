"""A measurement in, a volume and what says how far to trust it out."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from medidiff.diffusion.prior import Prior
from medidiff.errors import ConfigError
from medidiff.io.measurement import KSpace, Projections
from medidiff.io.volume import Volume
from medidiff.reconstruction.doubts import doubts
from medidiff.reconstruction.heldout import MARGIN, Choice, judge
from medidiff.reconstruction.kspace import mr_scan
from medidiff.reconstruction.methods import Diffusion, OnStep, classical, total_variation, tv_weight
from medidiff.reconstruction.nullspace import null_energy
from medidiff.reconstruction.operators import Scan, ct_scan
from medidiff.reconstruction.orientation import as_trained
from medidiff.reconstruction.patches import InChunks, Padded, Patched
from medidiff.reconstruction.prior_fit import check_patch, check_prior
from medidiff.reconstruction.settings import NEED_PRIOR, ONLY_CT, ONLY_MRI, ReconstructSettings
from physics.laws import adjoint_error

DEFAULTS = ReconstructSettings()


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A volume with its samples, its numbers, and what a reader should know."""

    volume: Volume  # HU, or the magnitude of an MR image, float32
    samples: np.ndarray | None  # (sample, i, j, k), where there is more than one
    numbers: dict[str, float | int | str | None]
    warnings: tuple[str, ...]


@dataclass
class _Result:
    """What a method leaves, in window units."""

    x: Tensor
    samples: list[Tensor] = field(default_factory=list)
    numbers: dict[str, float | int | str | None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def reconstruct(
    measurement: Projections | KSpace,
    *,
    method: str,
    prior: Prior | None = None,
    settings: ReconstructSettings = DEFAULTS,
    on_step: OnStep = lambda what, done, count: None,
) -> Reconstruction:
    """The volume behind a measurement, by one method.

    measurement   CT line integrals or MR k-space
    method        a name of `settings.Method`
    prior         of diffusion methods and of auto, which without one is total variation
    settings      of every method, number of samples, seed
    on_step       called with (what runs, levels done, levels) of diffusion methods
    returns       the volume on the grid of the measurement; numbers: network_calls per slice, seconds, residual |A x - y| / |y|,
                  chi2 (1 for the truth; None where the noise is unknown), nullspace (share of the image that no measurement
                  determines), noise_std of the normalised data, adjoint_error of the operator; heldout, tv_weight, chosen and
                  prior_gain where the data chose

    Nothing here knows a reference. Raises ConfigError for a method that needs a prior and gets none, or that is not for this kind
    of measurement; DataError for a prior that was trained on other images, or data that cannot be inverted or split.
    """
    started = time.perf_counter()
    scan = _scan(measurement, settings)
    _check_method(method, scan, prior)
    network = None if prior is None else _network(prior, scan, measurement.affine, settings)
    if method == "auto":
        result = _auto(scan, settings, prior, network, on_step)
    elif method in NEED_PRIOR:
        result = _sampled(scan, Diffusion(method, prior.card, network, settings, on_step))
    elif method == "tv":
        result = _total_variation(scan, settings)
    else:
        result = _Result(classical(method, settings)(scan))
    numbers = _trust(scan, result.x) | {"network_calls": network.slices // len(scan.y) if network else 0} | result.numbers
    samples = None
    if len(result.samples) > 1:
        samples = np.stack([_voxels(scan, sample) for sample in result.samples])
    numbers["seconds"] = time.perf_counter() - started
    volume = Volume(_voxels(scan, result.x), measurement.affine)
    return Reconstruction(volume, samples, numbers, (*doubts(scan), *result.warnings))


def _scan(measurement: Projections | KSpace, settings: ReconstructSettings) -> Scan:
    return ct_scan(measurement, settings.window_hu) if isinstance(measurement, Projections) else mr_scan(measurement)


def _check_method(method: str, scan: Scan, prior: Prior | None) -> None:
    """ConfigError unless the method fits the kind of measurement and has what it needs."""
    kind, others = ("MR", ONLY_CT) if scan.operator.is_complex else ("CT", ONLY_MRI)
    if method in others:
        raise ConfigError(f"method {method} is not for {kind} data; expected one that is, such as tv, nadds or auto.")
    if method in NEED_PRIOR and prior is None:
        raise ConfigError(f"method {method} needs a prior, found none; name its folder in reconstruct.prior, or use tv.")


def _network(prior: Prior, scan: Scan, affine: np.ndarray, settings: ReconstructSettings) -> InChunks:
    """The prior's denoiser for slices of any size, number and way round."""
    check_prior(prior.card, scan, settings.window_hu)
    check_patch(prior.card, settings.patch)
    denoiser = Patched(prior.denoiser, settings.patch, settings.seed) if settings.patch else Padded(prior.denoiser)
    return InChunks(as_trained(denoiser, prior.card.axes, affine), settings.slices_at_once)


def _sampled(scan: Scan, diffusion: Diffusion) -> _Result:
    samples = diffusion.samples(scan)
    return _Result(torch.stack(samples).mean(dim=0), samples, {"samples": len(samples)})


def _total_variation(scan: Scan, settings: ReconstructSettings) -> _Result:
    weight, choice = tv_weight(scan, settings)
    result = _Result(total_variation(weight, settings)(scan), numbers={"tv_weight": weight} | _heldout(choice))
    if choice is not None and weight in (min(settings.tv.weights), max(settings.tv.weights)):
        result.warnings.append(f"The best weight of total variation, {weight:g}, is at the end of tv.weights: widen them.")
    return result


def _auto(scan: Scan, settings: ReconstructSettings, prior: Prior | None, network: InChunks | None, on_step: OnStep) -> _Result:
    """NA-DDS where it predicts hidden measurements clearly better than total variation, which is the result everywhere else."""
    if prior is None:
        result = _total_variation(scan, settings)
        result.numbers["chosen"] = "tv"
        result.warnings.append("There is no prior: auto is total variation.")
        return result
    weight, _ = tv_weight(scan, settings)
    tv, diffusion = total_variation(weight, settings), Diffusion("nadds", prior.card, network, settings, on_step)
    verdict = judge(scan, plain=tv, prior=diffusion.mean, share=settings.heldout.share, seed=settings.seed)
    result = _sampled(scan, diffusion) if verdict.is_supported else _Result(tv(scan))
    scores = {"heldout_tv": verdict.plain_score, "heldout_nadds": verdict.prior_score}
    chosen = "nadds" if verdict.is_supported else "tv"
    result.numbers |= {"tv_weight": weight, "chosen": chosen, "heldout": scores[f"heldout_{chosen}"]} | scores
    result.numbers |= {"prior_gain": verdict.gain, "splits": verdict.splits}
    if chosen == "tv":
        result.warnings.append(
            f"prior not supported by data: held-out error {verdict.prior_score:.4g} with it, {verdict.plain_score:.4g} by total "
            f"variation, which is the result. Beyond the noise it predicts {verdict.gain:.3g} times as well, expected {MARGIN:g}."
        )
    return result


def _heldout(choice: Choice | None) -> dict[str, float]:
    return {} if choice is None else {"heldout": choice.scores[choice.name]}


def _trust(scan: Scan, x: Tensor) -> dict[str, float | None]:
    """What the data say of a volume, without a reference."""
    return {
        "residual": scan.misfit(x),
        "chi2": scan.chi_square(x),
        "nullspace": null_energy(scan.operator, x, torch.zeros_like(x)),
        "noise_std": scan.noise_std,
        "adjoint_error": adjoint_error(scan.slice_operator, x.dtype),
    }


def _voxels(scan: Scan, x: Tensor) -> np.ndarray:
    """Values (i, j, k), HU or magnitude, of a volume (slice, *domain) in window units."""
    values = scan.window.values(x.abs() if x.is_complex() else x).reshape(len(x), *x.shape[-2:])
    return np.ascontiguousarray(values.cpu().numpy().astype(np.float32).transpose(2, 1, 0))
