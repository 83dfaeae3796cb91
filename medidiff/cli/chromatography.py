"""`medidiff chromatograph`, `fit-many` and `elute`: one trace fitted, many fitted, one temperature programme predicted."""

from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli import steps
from medidiff.cli.step import log, step

Trace = Annotated[Path, typer.Argument(help="ANDI, mzML, JCAMP-DX or CSV file, or a vendor's folder", show_default=False)]
CurvesFile = Annotated[Path, typer.Argument(help="HDF5 file of measured and fitted curves", show_default=False)]
Measured = Annotated[Path | None, typer.Option(help="the programme's trace, or a table of retention times; none: published")]
Traces = Annotated[list[Path], typer.Argument(help="files of one method, or folders that hold them", show_default=False)]
TableFile = Annotated[Path, typer.Argument(help="TSV file: one row per trace and analyte", show_default=False)]
Dask = Annotated[str, typer.Option(help="tcp://HOST:PORT of a running scheduler", show_default=False)]
Workers = Annotated[int, typer.Option(help="processes of a cluster of its own; 0: none", min=0)]
Seed = Annotated[int, typer.Option(help="of the bootstrap")]


def chromatograph(
    trace: Trace,
    curves: CurvesFile,
    study: steps.Study = "study",
    seed: Seed = 0,
    settings: steps.SettingsText = "{}",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """A chromatogram to k, kd and area of every peak, with intervals and what it cannot determine."""
    from medidiff.chromatography import settings as room

    with step("chromatograph", study=study, log_file=log_file) as this:
        import json

        from medidiff.chromatography.task import chromatograph as run
        from medidiff.io.chromatogram.reading import read_chromatogram
        from medidiff.io.chromatogram.storage import Curves, write_curves
        from medidiff.record import sha256

        chosen = steps.checked_settings(room.ChromatographSettings, settings)
        read = read_chromatogram(trace, **_columns(chosen.reading))
        found = run(read, settings=chosen, seed=seed)
        facts = {"unit": read.unit, "detector": read.detector, "source": trace.name}
        facts["source_sha256"] = sha256(trace) if trace.is_file() else ""
        write_curves(curves, Curves(found.times, found.curves, found.names, facts))
        for line in found.numbers["statements"]:
            log.info("%s", line)
        for name, seconds in found.seconds.items():
            log.info("%s: %.3g s", name, seconds)
        numbers, warnings = dict(found.numbers), found.warnings
        written = steps.finish(this, record, room.RESULT_VERSION, chosen, [trace], [curves], numbers, warnings, seed=seed)
        if record is None:
            typer.echo(json.dumps(written, indent=1))


def fit_many(
    traces: Traces,
    table: TableFile,
    dask: Dask = "",
    workers: Workers = 0,
    settings: steps.SettingsText = "{}",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Many chromatograms of one method to one table of k, kd and area, here or on the workers of a Dask cluster."""
    from medidiff.chromatography import settings as room

    with step("fit-many", study="series", log_file=log_file) as this:
        from medidiff.chromatography.series import as_table, fit_series
        from medidiff.compute import dask_client
        from medidiff.errors import DataError
        from medidiff.io.atomic import write_text

        chosen = steps.checked_settings(room.ChromatographSettings, settings)
        found = _traces(traces, table=table)
        read = _read(found, chosen.reading)
        with dask_client(dask, workers=workers) as client:
            series = fit_series(read, settings=chosen, client=client)
        write_text(table, as_table(series))
        for line in series.statements:
            log.info("%s", line)
        warnings = tuple(dict.fromkeys(f"{row.file}: {row.note}" for row in series.rows if row.note))
        converged = len({row.file for row in series.rows if row.converged == "yes"})
        numbers = {"traces": len(read), "converged": converged, "statements": [*series.statements]}
        steps.finish(this, record, room.RESULT_VERSION, chosen, found, [table], numbers, warnings)
        log.info("%d of %d traces fitted: %s", converged, len(read), table)
        if not converged:
            raise DataError(f"none of {len(read)} traces could be fitted; {table.name} says why.")


def elute(
    curves: CurvesFile,
    measured: Measured = None,
    study: steps.Study = "study",
    settings: steps.SettingsText = "{}",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Predicted retention times of a temperature programme beside the measured ones."""
    from medidiff.chromatography import settings as room

    with step("elute", study=study, log_file=log_file) as this:
        import json

        from medidiff.chromatography.elution import elute as run
        from medidiff.errors import ConfigError
        from medidiff.io.chromatogram.csvfile import is_peak_table, read_peak_table
        from medidiff.io.chromatogram.reading import read_chromatogram
        from medidiff.io.chromatogram.storage import Curves, write_curves

        chosen = steps.checked_settings(room.EluteSettings, settings)
        if study not in chosen.programmes:
            raise ConfigError(
                f"elute.programmes: none for {study!r}, found {', '.join(chosen.programmes) or 'none'}. Add its oven."
            )
        reading = chosen.reading
        source = {}
        if measured is not None and is_peak_table(measured):
            source["table"] = read_peak_table(measured, time_column=reading.time_column, time_unit=reading.time_unit)
        elif measured is not None:
            source["trace"] = read_chromatogram(measured, **_columns(reading))
        found = run(chosen.programmes[study], **source)
        inputs = [measured] if measured is not None else []
        facts = {"source": measured.name} if measured is not None else {}
        write_curves(curves, Curves(found.times, found.curves, (), facts))
        numbers, warnings = dict(found.numbers), found.warnings
        written = steps.finish(this, record, room.RESULT_VERSION, chosen, inputs, [curves], numbers, warnings)
        if record is None:
            typer.echo(json.dumps(written, indent=1))


def _traces(paths: list[Path], *, table: Path) -> list[Path]:
    """The files of a series. Raises ConfigError for a table that would replace something else."""
    from medidiff.chromatography.series import HEADING
    from medidiff.errors import ConfigError
    from medidiff.io.chromatogram.reading import chromatograms_below

    if table.is_dir() or (table.exists() and not table.read_bytes().startswith(HEADING.encode())):
        raise ConfigError(f"{table.name}: exists and is no table of fits. Name the table last, behind the traces.")
    return [path for path in chromatograms_below(paths) if path.resolve() != table.resolve()]


def _read(paths: list[Path], reading: object) -> dict:
    """Every trace by the name of its file, which is all that a table tells of it."""
    from medidiff.errors import DataError
    from medidiff.io.chromatogram.reading import read_chromatogram

    names = [path.name for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{', '.join(twice)}: more than one file of this name. Give every trace a name of its own.")
    if not paths:
        raise DataError("no trace among the files, expected at least one beside the table.")
    return {path.name: read_chromatogram(path, **_columns(reading)) for path in paths}


def _columns(reading: object) -> dict[str, str]:
    names = ("time_column", "time_unit", "signal_column", "signal_unit", "trace")
    return {name: getattr(reading, name) for name in names}
