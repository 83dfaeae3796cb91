"""Many chromatograms of one method, fitted together: a table with one row per trace and analyte."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from medidiff.chromatography.alignment import on_one_axis
from medidiff.chromatography.batch import Fits, fit_many
from medidiff.chromatography.parameters import LOGARITHMIC
from medidiff.chromatography.preparation import Prepared, film_loading, prepare, search_of
from medidiff.chromatography.profile import LOOSE
from medidiff.chromatography.settings import ChromatographSettings
from medidiff.chromatography.start import first_guess
from medidiff.errors import MedidiffError
from medidiff.io.chromatogram.trace import Chromatogram
from physics.chromatography.peaks import Peaks

HEADING = "file\tanalyte\tretention\t"  # how every table of fits begins
RATES = ("retention", "desorption")


@dataclass(frozen=True)
class Row:
    """One analyte of one trace; not a number where the trace could not be fitted."""

    file: str
    analyte: str  # empty where no peak could be named
    retention: float  # k
    retention_deviation: float
    desorption_per_s: float  # kd
    desorption_per_s_deviation: float
    area: float  # signal unit · s
    area_deviation: float
    converged: str  # yes or no
    misfit: float  # standard deviation of the residual over that of the noise
    shared: Mapping[str, float]  # free quantities of the instrument, s, and their deviations
    note: str = ""  # what is wrong with the row; empty: nothing known


@dataclass(frozen=True)
class Series:
    """The rows of all traces, in the order of their names and of elution."""

    rows: tuple[Row, ...]
    statements: tuple[str, ...]


def fit_series(traces: Mapping[str, Chromatogram], *, settings: ChromatographSettings, client: Any = None) -> Series:
    """All traces of one method fitted in batches, each from its own peaks, with the same instrument.

    traces   by the name of their file; sorted by it
    client   a dask.distributed.Client that spreads the batches; None computes here

    Every row is what `chromatograph` finds for its trace alone, to the tolerance of the fit. A trace that cannot be fitted
    has rows that say why. Those with equally many peaks share a batch. Raises DataError for traces of another method.
    """
    names = sorted(traces)
    common, statements = on_one_axis({name: traces[name] for name in names}, settings.reading)
    groups: dict[int, dict[str, tuple[Prepared, Peaks]]] = {}
    rows = {}
    for name, trace in common.items():
        try:
            ready = prepare(trace, settings=settings)
            start = first_guess(ready.expected, settings.column, injection=settings.injection)
            groups.setdefault(len(ready.expected), {})[name] = ready, start
        except MedidiffError as error:
            rows[name] = _failed(name, str(error), settings=settings)
    for _, members in sorted(groups.items()):
        rows |= _fitted(members, settings=settings, client=client)
    return Series(tuple(row for name in names for row in rows[name]), tuple(statements))


def _failed(name: str, reason: str, *, settings: ChromatographSettings) -> list[Row]:
    """A row per listed analyte of a trace without a fit."""
    nan = float("nan")
    shared = {key: nan for quantity in settings.fit.free for key in (f"{quantity}_s", f"{quantity}_s_deviation")}
    analytes = [analyte.name for analyte in settings.analytes] or [""]
    return [Row(name, analyte, *[nan] * 6, "no", nan, shared, reason) for analyte in analytes]


def _fitted(
    members: Mapping[str, tuple[Prepared, Peaks]], *, settings: ChromatographSettings, client: Any
) -> dict[str, list[Row]]:
    """Rows by trace, of traces with equally many peaks."""
    ready, starts = zip(*members.values())
    try:
        fits = fit_many(
            torch.from_numpy(ready[0].trace.times),
            torch.from_numpy(np.stack([each.trace.signal for each in ready])),
            _together(starts),
            free=(*RATES, *settings.fit.free),
            search=search_of(settings.fit),
            client=client,
        )
    except MedidiffError as error:
        return {name: _failed(name, str(error), settings=settings) for name in members}
    found = zip(members, ready)
    return {name: list(_rows(name, each, fits=fits, index=i, settings=settings)) for i, (name, each) in enumerate(found)}


def _together(starts: Sequence[Peaks]) -> Peaks:
    """The starts (1, component) of one instrument as one batch."""
    each = ("retention", "desorption", "dispersion", "radial")
    return replace(starts[0], **{name: torch.cat([getattr(start, name) for start in starts]) for name in each})


def _rows(name: str, ready: Prepared, *, fits: Fits, index: int, settings: ChromatographSettings) -> Iterator[Row]:
    """The rows of one trace out of the results of its batch."""
    values = {quantity: fits[quantity][index] for quantity in fits.slices}
    relative = {quantity: fits.deviations[index, part] for quantity, part in fits.slices.items()}
    deviations = {q: s * values[q] if q in LOGARITHMIC else s for q, s in relative.items()}
    count, components = fits.theta.shape[1], len(ready.expected)
    area_deviations = fits.deviations[index, count : count + components]
    shared = {}
    for quantity in settings.fit.free:
        shared |= {f"{quantity}_s": float(values[quantity]), f"{quantity}_s_deviation": float(deviations[quantity])}
    trouble = _trouble(ready, fits, index=index, settings=settings)
    for i, each in enumerate(ready.expected):
        own = [
            f"{quantity} {text}"
            for quantity in RATES
            for text, holds in (
                ("at its bound", fits.is_at_bound[index, fits.slices[quantity]][i]),
                ("not determined", relative[quantity][i] > LOOSE),
            )
            if holds
        ]
        numbers = [float(column[i]) for q in RATES for column in (values[q], deviations[q])]
        numbers += [float(fits.areas[index, i]), float(area_deviations[i])]
        if numbers[4] <= 0:
            own.append("no such peak: the area is not positive")
        converged = "yes" if fits.is_converged[index] else "no"
        misfit = float(fits.sigma[index]) / ready.detection.noise
        yield Row(name, each.analyte.name, *numbers, converged, misfit, shared, "; ".join([*trouble, *own]))


def _trouble(ready: Prepared, fits: Fits, *, index: int, settings: ChromatographSettings) -> list[str]:
    """What is wrong with a trace as a whole."""
    if torch.isnan(fits.theta[index]).any():
        return ["could not be computed: too few transfer units, or a start far from the peaks"]
    found = [] if fits.is_converged[index] else ["did not converge"]
    if "hold_up" in fits.slices and fits.is_at_bound[index, fits.slices["hold_up"]].any():
        found.append("hold_up at its bound")
    try:
        film_loading(ready.expected, fits["retention"][index], settings=settings)
    except MedidiffError as error:
        found.append(str(error))
    return found


def as_table(series: Series) -> str:
    """Tab-separated text with a heading; eight digits, nan where there is no number."""
    plain = [field.name for field in fields(Row) if field.name not in ("shared", "note")]
    heading = [*plain, *series.rows[0].shared, "note"]
    lines = [heading]
    for row in series.rows:
        lines.append([*(_text(getattr(row, name)) for name in plain), *map(_text, row.shared.values()), _text(row.note)])
    return "".join("\t".join(line) + "\n" for line in lines)


def _text(value: float | str) -> str:
    return f"{value:.8g}" if isinstance(value, float) else " ".join(value.split())
