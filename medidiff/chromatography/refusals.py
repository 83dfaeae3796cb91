"""Inputs and results that a fit does not accept: each check raises a typed error with advice, or answers with sentences."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medidiff.errors import ConfigError, DataError, NumericsError
from physics.chromatography.linearity import verdict

JITTER = 1e-3  # of the step: times this close to a uniform axis count as uniform
FEWEST = 8  # samples across the half height of the narrowest peak
FLAT_TOP = 3  # equal maxima in a row: the detector is saturated
IMBALANCE = 1e-8
EDGES = 36  # transfer units, above which the spectrum of a peak decays


def check_times(times: Tensor, signal: Tensor, *, source: str) -> list[str]:
    """Sentences on the sampling of one chromatogram (time,) and its signal (..., time).

    Raises DataError for times that do not increase, values that are not finite, or lengths that differ.
    """
    if times.ndim != 1 or signal.shape[-1] != len(times) or len(times) < FEWEST:
        raise DataError(
            f"{source}: {len(times)} times for {signal.shape[-1]} signals, expected equal counts of at least {FEWEST}."
        )
    for name, value in (("time", times), ("signal", signal)):
        if not bool(torch.isfinite(value).all()):
            first = int(torch.nonzero(~torch.isfinite(value).reshape(-1, len(times)).all(dim=0))[0])
            raise DataError(f"{source}: {name} is not finite at sample {first}. Remove or repair these samples.")
    steps = torch.diff(times)
    if bool((steps <= 0).any()):
        first = int(torch.nonzero(steps <= 0)[0])
        raise DataError(
            f"{source}: time does not increase after sample {first} ({float(times[first]):g} s, then "
            f"{float(times[first + 1]):g} s). Sort the samples and remove repeated ones."
        )
    if is_uniform(times):
        return []
    return [f"The time axis is not uniform (steps {float(steps.min()):.4g} to {float(steps.max()):.4g} s): summed without FFT."]


def is_uniform(times: Tensor) -> bool:
    """Whether all times are within `JITTER` of a step of a uniform axis."""
    line = torch.linspace(float(times[0]), float(times[-1]), len(times), dtype=times.dtype, device=times.device)
    return bool((times - line).abs().max() <= JITTER * (times[-1] - times[0]) / (len(times) - 1))


def saturated(signal: Tensor) -> Tensor:
    """Samples (..., time) in a flat top: at least three equal maxima in a row."""
    top = signal == signal.amax(dim=-1, keepdim=True)
    runs = top.unfold(-1, FLAT_TOP, 1).all(dim=-1)
    result = torch.zeros_like(top)
    for shift in range(FLAT_TOP):
        result[..., shift : shift + runs.shape[-1]] |= runs
    return result


def check_analytes(names: Sequence[str], peaks_found: int, *, source: str) -> None:
    """Raises ConfigError for a name listed twice, DataError where the signal shows fewer peaks than analytes."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ConfigError(f"analytes: {', '.join(twice)} is listed twice. Give every analyte a name of its own.")
    if peaks_found < len(names):
        raise DataError(
            f"{source}: found {peaks_found} peaks for {len(names)} analytes ({', '.join(names)}). "
            "Lower the detection threshold, widen the window, or shorten the list."
        )


def check_injection(injection: float, retention_times: Sequence[float]) -> None:
    """Raises ConfigError for an injection of negative length, or longer than half of the first retention time; all in s."""
    if not injection >= 0:
        raise ConfigError(f"injection.duration_s: {injection:g}, expected a positive time, or 0 for a sharp injection.")
    if len(retention_times) and injection > 0.5 * min(retention_times):
        raise ConfigError(
            f"injection.duration_s: {injection:g} s is more than half of the first retention time, {min(retention_times):g} s. "
            "Is it in seconds?"
        )


def check_retention(retention_times: Sequence[float], names: Sequence[str], *, hold_up: float, source: str) -> None:
    """Raises DataError for a peak before the hold-up time (k < 0); times in s."""
    for name, time in zip(names, retention_times):
        if time < hold_up:
            raise DataError(
                f"{source}: {name} elutes at {time:g} s, before the hold-up time {hold_up:g} s, so its retention factor would "
                "be negative. Check the hold-up time, the start of the injection, and minutes against seconds."
            )


def check_loading(theta0: float, *, is_forced: bool) -> list[str]:
    """A sentence on the loading of the film theta0; raises DataError above 0.1 unless forced."""
    answer = verdict(theta0)
    if answer == "refuse" and not is_forced:
        raise DataError(
            f"the sample would fill {theta0:.2g} of the film (theta0), above 0.1: the linear model misplaces its peaks. "
            "Inject less, use the Langmuir model, or force the linear one."
        )
    sentence = f"Loading theta0 = {theta0:.2g}"
    if answer == "linear":
        return [f"{sentence}: competition for the film is negligible."]
    return [f"{sentence}: competition for the film shifts peaks by about {5 * theta0:.2g} of their standard deviation."]


def check_freedom(free: Sequence[str], components: int, *, priors: Sequence[str]) -> None:
    """Raises ConfigError where one peak alone is asked for its rates and for both start and length of the injection."""
    loose = [name for name in ("injection", "delay") if name in free and name not in priors]
    if components == 1 and len(loose) == 2:
        raise ConfigError(
            "fit.free: injection and delay of a single analyte cannot be told from its own retention and desorption (the "
            "deviation of kd grows 80 to 230 times). Fix one, give a prior, or fit more analytes together."
        )


def check_balance(imbalance: float, *, source: str) -> None:
    """Raises NumericsError for a relative mass imbalance of a solver above 1e-8."""
    if not abs(imbalance) <= IMBALANCE:
        raise NumericsError(
            f"{source}: mass imbalance {imbalance:.2g}, expected at most {IMBALANCE:g}. Use smaller steps or a longer time."
        )


def check_finite(values: Tensor, what: str, *, source: str) -> None:
    """Raises NumericsError for a result that is not finite."""
    if not bool(torch.isfinite(values).all()):
        raise NumericsError(f"{source}: {what} is not finite. Give the fit a start closer to the peaks, or bounds.")


def sampling_sentences(times: Tensor, deviations: Tensor) -> list[str]:
    """A sentence where the narrowest of peaks with these standard deviations (peak,), s, is hardly sampled."""
    step = float((times[-1] - times[0]) / (len(times) - 1))
    across = 2 * math.sqrt(2 * math.log(2)) * float(deviations.min()) / step
    if across >= FEWEST:
        return []
    return [f"The narrowest peak has {across:.1f} samples across its half height, fewer than {FEWEST}: its width is uncertain."]


def unit_sentences(units: Tensor, names: Sequence[str]) -> list[str]:
    """A sentence for peaks (peak,) with too few transfer units N = k kd tM for the Fourier path."""
    few = [name for name, count in zip(names, units.tolist()) if count <= EDGES]
    return (
        [f"{', '.join(few)}: {EDGES} transfer units or fewer, computed with the Bessel kernel unless dispersed."] if few else []
    )


def late_sentences(is_beyond: np.ndarray, names: Sequence[str]) -> list[str]:
    """A sentence for solutes that elute after the end of the temperature programme (solute,)."""
    late = [name for name, beyond in zip(names, is_beyond) if beyond]
    return [f"{', '.join(late)} elute after the programme's end: its last temperature is held."] if late else []
