"""One trace to mechanistic parameters of every peak, with intervals, and what the trace cannot determine."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from medidiff.chromatography.bootstrap import Bootstrap, block_bootstrap
from medidiff.chromatography.comparison import Compared, compare_solvers
from medidiff.chromatography.detection import Detection
from medidiff.chromatography.fit import Fit, fit_chromatogram
from medidiff.chromatography.intervals import intervals
from medidiff.chromatography.measures import Measures, agreement, measure, peak_to_valley, resolution
from medidiff.chromatography.preparation import film_loading, prepare, search_of
from medidiff.chromatography.profile import Profile, profile_likelihood
from medidiff.chromatography.settings import ChromatographSettings, ColumnSettings
from medidiff.chromatography.start import Expected, column_times, first_guess
from medidiff.chromatography.wording import name_of
from medidiff.errors import NumericsError
from medidiff.io.chromatogram.trace import Chromatogram
from physics.chromatography.broadening import corrected_desorption, golay_desorption
from physics.chromatography.chromatogram import peak_shapes
from physics.chromatography.column import hold_up_factor
from physics.chromatography.moments import kinetic_cumulants
from physics.chromatography.reference import PaperColumn

QUANTITIES = {"retention": "retention", "desorption": "desorption_per_s", "area": "area"}  # of every analyte, and their keys
INTERVAL = 1.959963984540054  # standard deviations on either side of a 95 % interval


@dataclass(frozen=True, eq=False)
class Chromatographed:
    """Everything that one trace gave."""

    times: np.ndarray  # (sample,)   s, the window of the fit
    curves: Mapping[str, np.ndarray]  # signal, curve, baseline, residual (sample,); components (component, sample)
    names: tuple[str, ...]  # of the components, in order of elution
    numbers: Mapping[str, Any]  # for the record
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]  # of the compared solvers: differs from run to run


def chromatograph(trace: Chromatogram, *, settings: ChromatographSettings, seed: int = 0) -> Chromatographed:
    """Peaks found, fitted together and measured.

    seed   of the block bootstrap, where the settings ask for one

    Raises DataError for traces that cannot be used (no peak, fewer peaks than analytes, a peak before the hold-up time),
    ConfigError for settings that contradict each other, NumericsError for a fit that means nothing.
    """
    prepared = prepare(trace, settings=settings)
    trace, detection, expected = prepared.trace, prepared.detection, prepared.expected
    names = tuple(each.analyte.name for each in expected)
    fit = fit_chromatogram(
        torch.from_numpy(trace.times),
        torch.from_numpy(trace.signal),
        first_guess(expected, settings.column, injection=settings.injection),
        free=("retention", "desorption", *settings.fit.free),
        search=search_of(settings.fit, noise=detection.noise),
        analytes=names,
    )
    curves = _curves(trace, fit)
    theta0, sentences = film_loading(expected, fit.peaks.retention[0], settings=settings)
    compared = _comparison(expected, fit, settings=settings)
    profile, unprofiled = _profile(fit, is_wanted=settings.fit.profile)
    bootstrap = _bootstrap(fit, refits=settings.fit.bootstrap, seed=seed)
    analytes = _analytes(trace.times, curves["components"], fit=fit, expected=expected, settings=settings)
    shared = _shared(fit, settings.fit.free)
    _add_ends(analytes, shared, fit=fit, profile=profile, bootstrap=bootstrap)
    numbers = {
        **_whole(trace, fit, detection=detection, hold_up=column_times(settings.column)[0]),
        "theta0": theta0,
        "analytes": analytes,
        "shared": shared,
        "bootstrap": _against_covariance(bootstrap, fit),
        "comparison": {name: {s: each.error for s, each in found.items()} for name, found in compared.items()},
        "statements": [*fit.statements, *unprofiled, *sentences],
    }
    seconds = {f"{name}, {s}": each.seconds for name, found in compared.items() for s, each in found.items()}
    return Chromatographed(trace.times, curves, names, numbers, prepared.warnings, seconds)


def _curves(trace: Chromatogram, fit: Fit) -> dict[str, np.ndarray]:
    components = peak_shapes(torch.from_numpy(trace.times), fit.peaks)[0] * fit.areas[:, None]
    curve, baseline = fit.curve.numpy(), fit.baseline.numpy()
    return {
        "signal": trace.signal,
        "curve": curve,
        "baseline": baseline,
        "residual": trace.signal - curve,
        "components": components.numpy(),
    }


def _whole(trace: Chromatogram, fit: Fit, *, detection: Detection, hold_up: float) -> dict[str, Any]:
    """Numbers of the trace and of the fit as a whole."""
    agreed = agreement(trace.signal, fit.curve.numpy(), noise=detection.noise, parameters=len(fit.labels))
    return {
        "samples": len(trace.times),
        "from_s": float(trace.times[0]),
        "until_s": float(trace.times[-1]),
        "noise": detection.noise,
        "residual_deviation": fit.sigma,
        "peaks": len(detection.peaks),
        "hold_up_s": hold_up,
        "condition": float(fit.uncertainty.condition[0]),
        "converged": fit.converged,
        "iterations": fit.iterations,
        **asdict(agreed),
    }


def _analytes(
    times: np.ndarray, components: np.ndarray, *, fit: Fit, expected: Sequence[Expected], settings: ChromatographSettings
) -> dict[str, dict]:
    """Rates, area and shape of every peak by name."""
    shapes = [measure(times, component) for component in components]
    moments = kinetic_cumulants(fit.peaks)[0]
    found = {}
    for i, (each, shape) in enumerate(zip(expected, shapes)):
        k, kd = float(fit.peaks.retention[0, i]), float(fit.peaks.desorption[0, i])
        numbers = {
            **_interval("retention", k, deviation=fit.deviation("retention", i), is_positive=True),
            **_interval("desorption_per_s", kd, deviation=fit.deviation("desorption", i), is_positive=True),
            **_interval("area", float(fit.areas[i]), deviation=fit.deviation("area", i)),
            "mean_s": float(moments[i, 0]),
            "transfer_units": k * kd * float(fit.peaks.hold_up.reshape(-1)[0]),
            "signal_to_noise": each.found.signal_to_noise,
            **_renamed(shape),
        }
        found[each.analyte.name] = numbers | _physical(each, settings, k=k, kd=kd, area=float(fit.areas[i]))
    for (i, first), (j, second) in pairwise(enumerate(shapes)):
        tangents, halves = resolution(first, second)
        both, tops = components[i] + components[j], [int(np.argmax(components[n])) for n in (i, j)]
        found[expected[i].analyte.name] |= {
            "resolution_to_next": tangents,
            "resolution_half_to_next": halves,
            "peak_to_valley_to_next": peak_to_valley(both, tops[0], second=tops[1]),
        }
    return found


def _physical(each: Expected, settings: ChromatographSettings, *, k: float, kd: float, area: float) -> dict[str, float]:
    """What follows from the column and the injected amount: K, response, and kd without radial dispersion."""
    column = settings.column
    found = {"equilibrium": k * column.radius_m / (2 * column.film_m)}
    injected = each.analyte.injected_mol_m3 * settings.injection.duration_s
    if injected:
        seen = injected * (column.outlet_pressure_pa / column.inlet_pressure_pa if column.detector == "concentration" else 1.0)
        found["response"] = area / seen
    if each.analyte.diffusion_m2_s and column.gas_phase == "none":
        gas = {"diffusion": mean_diffusion(each.analyte.diffusion_m2_s, column), "radius": column.radius_m}
        if golay_desorption(k, **gas) > kd:  # else the gas phase alone would broaden more than the fit found
            found["desorption_without_golay_per_s"] = float(corrected_desorption(kd, k, **gas))
    return found


def mean_diffusion(inlet: float, column: ColumnSettings) -> float:
    """The D (m^2/s) at which radial dispersion of an incompressible gas broadens as it does along the real column.

    inlet     D0 at the inlet pressure, m^2/s

        D0 · 2 m(P)/(1 + P^2):   radial variance ∝ ∫ phat^2 dx/D0, that of exchange with the film ∝ ∫ phat dx
    """
    ratio = column.outlet_pressure_pa / column.inlet_pressure_pa
    return inlet * 2 * hold_up_factor(ratio) / (1 + ratio**2)


def _renamed(shape: Measures) -> dict[str, float]:
    """Measures with the unit at the end of the names that have one."""
    seconds = ("retention_time", "mean", "width_half", "width_base")
    kept = {name: value for name, value in asdict(shape).items() if name not in ("area", "mean", "variance")}
    return {f"{name}_s" if name in seconds else name: value for name, value in kept.items()}


def _interval(name: str, value: float, *, deviation: float, is_positive: bool = False) -> dict[str, float]:
    """A value with the ends of its 95 % interval, symmetric in the logarithm for rates."""
    if is_positive:
        factor = float(np.exp(INTERVAL * deviation / value))
        return {name: value, f"{name}_low": value / factor, f"{name}_high": value * factor}
    return {name: value, f"{name}_low": value - INTERVAL * deviation, f"{name}_high": value + INTERVAL * deviation}


def _shared(fit: Fit, free: Sequence[str]) -> dict[str, dict]:
    """Free quantities of the instrument with their intervals, s."""
    values = {name: float(getattr(fit.peaks, name).reshape(-1)[0]) for name in free}
    return {name: _interval("value_s", value, deviation=fit.deviation(name)) for name, value in values.items()}


def _profile(fit: Fit, *, is_wanted: bool) -> tuple[Profile | None, list[str]]:
    """The profile likelihood where it is wanted and has ends, or a sentence on why it has none."""
    if not is_wanted:
        return None, []
    try:
        return profile_likelihood(fit), []
    except (NumericsError, ValueError) as error:
        return None, [f"There are no intervals by profile likelihood: {error}"]


def _bootstrap(fit: Fit, *, refits: int, seed: int) -> Bootstrap | None:
    return block_bootstrap(fit, generator=torch.Generator().manual_seed(seed), refits=refits) if refits else None


def _add_ends(
    analytes: dict[str, dict], shared: dict[str, dict], *, fit: Fit, profile: Profile | None, bootstrap: Bootstrap | None
) -> None:
    """Adds the ends of the intervals by profile likelihood and bootstrap, where there are any, to the numbers."""
    if bootstrap is not None and len(bootstrap.samples) < 2:  # nothing converged
        bootstrap = None
    known = intervals(fit, profile=profile, bootstrap=bootstrap)
    ends = [f"{method}_{end}" for method in ("profile", "bootstrap") for end in ("low", "high")]
    for quantity, component in fit.labels:
        if quantity == "baseline":
            continue
        numbers = shared[quantity] if component is None else analytes[fit.analytes[component]]
        key = "value_s" if component is None else QUANTITIES[quantity]
        found = known[name_of((quantity, component), fit.analytes)]
        numbers |= {f"{key}_{end}": found[end] for end in ends if end in found}


def _against_covariance(bootstrap: Bootstrap | None, fit: Fit) -> dict[str, Any]:
    """Standard deviations by the block bootstrap over those of the covariance, by parameter; empty without refits."""
    if bootstrap is None:
        return {}
    ratio = bootstrap.deviations / fit.uncertainty.deviations[0]
    kept = {name: float(value) for name, value in zip(fit.names, ratio) if not name.startswith("baseline")}
    facts = {"refits": bootstrap.refits, "converged": len(bootstrap.samples), "block": bootstrap.block}
    return {**facts, "deviation_over_covariance": kept}


def _comparison(expected: Sequence[Expected], fit: Fit, *, settings: ChromatographSettings) -> dict[str, Mapping[str, Compared]]:
    wanted = settings.comparison
    hold_up = float(fit.peaks.hold_up.reshape(-1)[0])
    _, velocity = column_times(settings.column)
    column = settings.column
    found = {}
    for i, each in enumerate(expected):
        if wanted.solvers and (not wanted.analytes or each.analyte.name in wanted.analytes):
            rates = float(fit.peaks.retention[0, i]), float(fit.peaks.desorption[0, i])
            ratio = column.outlet_pressure_pa / column.inlet_pressure_pa
            paper = PaperColumn(*rates, velocity, column.length_m, ratio, settings.injection.duration_s)
            found[each.analyte.name] = compare_solvers(paper, hold_up, solvers=wanted.solvers, cells=wanted.cells)
    return found
