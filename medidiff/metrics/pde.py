"""Errors of predicted trajectories as PDEBench defines them, over a whole test set at once."""

import numpy as np

from medidiff.errors import DataError

LOW, MID = 4, 12  # wave numbers: low below 4, mid below 12, high from there on


def pdebench_metrics(
    predicted: np.ndarray, target: np.ndarray, *, lengths: tuple[float, ...], is_quadrant: bool = False
) -> dict[str, float]:
    """Errors of trajectories, each the mean over fields and frames of what is said below.

    predicted     (b, field, t, x[, y])
    target        the same
    lengths       of the domain along x[, y], m
    is_quadrant   2D: sum shells over one quadrant of wave numbers alone, as the published code does; else over all
    returns       rmse, nrmse, crmse, max_error, brmse, frmse_low, frmse_mid, frmse_high

        rmse      mean over b of sqrt(mean over space of e²), e = predicted - target
        nrmse     the same over sqrt(mean over space of target²); inf for a frame of zeros
        crmse     sqrt(mean over b of (mean over space of e)²)
        max_error largest |e| of all trajectories
        brmse     mean over b of the root mean square of e on the first and last cells; corners of 2D count twice
        frmse     sqrt(mean over b of |FFT of e|²) / cells · length, averaged over wave numbers 0-3, 4-11, 12 and above

    Takamoto et al. 2022, appendix; their caller averages batches with equal weight, which is wrong for crmse and max_error, so
    give all trajectories at once. Raises DataError for arrays of different shapes or other numbers of axes.
    """
    error = _error(predicted, target)
    axes = tuple(range(3, error.ndim))
    if len(lengths) != len(axes):
        raise DataError(f"lengths: found {len(lengths)}, expected one for each of {len(axes)} axes of space.")
    size = np.sqrt(np.square(error).mean(axes))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = size / np.sqrt(np.square(target, dtype=np.float64).mean(axes))
    found = {
        "rmse": size.mean(),
        "nrmse": relative.mean(),
        "crmse": np.sqrt(np.square(error.mean(axes)).mean(0)).mean(),
        "max_error": np.abs(error).max(axis=(0, *axes)).mean(),
        "brmse": _boundary(error).mean(),
    }
    modes = _modes(error, lengths) if len(axes) == 1 else _shells(error, lengths, is_quadrant=is_quadrant)
    bands = {"low": modes[..., :LOW], "mid": modes[..., LOW:MID], "high": modes[..., MID:]}
    found |= {f"frmse_{name}": band.mean() for name, band in bands.items() if band.size}
    return {name: float(value) for name, value in found.items()}


def relative_l2(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """|predicted - target| / |target| of every trajectory (b,), over all fields, frames and cells.

    predicted, target   (b, field, t, x[, y]); fields in units that are comparable
    """
    error = _error(predicted, target)
    axes = tuple(range(1, error.ndim))
    return np.sqrt(np.square(error).sum(axes) / np.square(target, dtype=np.float64).sum(axes))


def error_over_time(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Relative error of every frame, (b, field, t): |e| / |target| over space, with the trajectory's own largest |target| frame.

    Dividing by the largest frame keeps frames in which a field has died out from dominating.
    """
    error = _error(predicted, target)
    axes = tuple(range(3, error.ndim))
    scale = np.sqrt(np.square(target, dtype=np.float64).mean(axes)).max(-1, keepdims=True)
    return np.sqrt(np.square(error).mean(axes)) / scale


def mean_square(predicted: np.ndarray, target: np.ndarray) -> float:
    """Mean of e² over all trajectories, frames, fields and cells ("Wavelet Diffusion Neural Operator" 2025, table 1)."""
    return float(np.square(_error(predicted, target)).mean())


def _error(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    if predicted.shape != target.shape or predicted.ndim not in (4, 5):
        raise DataError(
            f"metrics: found shapes {predicted.shape} and {target.shape}, expected the same (b, field, t, x[, y]). "
            f"Resample the one to the grid of the other."
        )
    return np.subtract(predicted, target, dtype=np.float64)


def _boundary(error: np.ndarray) -> np.ndarray:
    """(b, field, t)"""
    edges = [error[..., 0], error[..., -1]] if error.ndim == 4 else None
    if edges is not None:
        return np.sqrt(np.square(np.stack(edges, -1)).mean(-1))
    sides = [error[..., 0, :], error[..., -1, :], error[..., :, 0], error[..., :, -1]]
    return np.sqrt(np.square(np.concatenate(sides, -1)).mean(-1))


def _modes(error: np.ndarray, lengths: tuple[float, ...]) -> np.ndarray:
    """(field, t, wave number)"""
    spectrum = np.abs(np.fft.rfft(error, axis=-1)) ** 2
    return np.sqrt(spectrum.mean(0)) / error.shape[-1] * lengths[0]


def _shells(error: np.ndarray, lengths: tuple[float, ...], *, is_quadrant: bool) -> np.ndarray:
    """(field, t, shell): sums over shells floor(|wave number|) below half the smaller number of cells."""
    nx, ny = error.shape[-2:]
    spectrum = np.abs(np.fft.fftn(error, axes=(-2, -1))) ** 2
    numbers = [np.fft.fftfreq(n, 1 / n) for n in (nx, ny)]
    if is_quadrant:
        spectrum, numbers = spectrum[..., : nx // 2, : ny // 2], [np.arange(n // 2) for n in (nx, ny)]
    shell = np.floor(np.hypot(numbers[0][:, None], numbers[1])).astype(int)
    count = min(nx, ny) // 2
    sums = np.stack([spectrum[..., shell == k].sum(-1) for k in range(count)], -1)
    return np.sqrt(sums.mean(0)) / (nx * ny) * lengths[0] * lengths[1]
