"""`medidiff chromatograph` and `medidiff elute`: one trace fitted, one temperature programme predicted."""

from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli import steps
from medidiff.cli.step import log, step

Trace = Annotated[Path, typer.Argument(help="ANDI, mzML, JCAMP-DX or CSV file, or a vendor's folder", show_default=False)]
CurvesFile = Annotated[Path, typer.Argument(help="HDF5 file of measured and fitted curves", show_default=False)]
Measured = Annotated[Path | None, typer.Option(help="the programme's trace, or a table of retention times; none: published")]
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


def _columns(reading: object) -> dict[str, str]:
    names = ("time_column", "time_unit", "signal_column", "signal_unit", "trace")
    return {name: getattr(reading, name) for name in names}
