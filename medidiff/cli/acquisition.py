"""`medidiff simulate|acquire|reference`: an object or raw data to a measurement, and the reference that no solver sees."""

from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli import steps
from medidiff.cli.step import log, step

Measurement = Annotated[Path, typer.Argument(help="HDF5 file of line integrals or k-space", show_default=False)]
VolumeFile = Annotated[Path, typer.Argument(help="NIfTI file, HU or magnitude", show_default=False)]
Raw = Annotated[Path, typer.Argument(help="raw data: a file or a folder", show_default=False)]
Object = Annotated[Path | None, typer.Option(help="NIfTI file or DICOM folder; none: the settings name a generated object")]


def simulate(
    measurement: Measurement,
    reference: VolumeFile,
    volume: Object = None,
    study: steps.Study = "study",
    settings: steps.SettingsText = '{"ct": {}}',
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """A known object to the measurement of a simulated scan, and the reference on the grid to reconstruct."""
    from medidiff.acquisition import settings as room

    with step("simulate", study=study, log_file=log_file) as this:
        from medidiff.acquisition.scan import simulate as run
        from medidiff.io.measurement import write_measurement
        from medidiff.io.nifti import write_nifti

        chosen = steps.checked_settings(room.ScanSettings, settings)
        found, truth = run(chosen, volume)
        write_measurement(found, measurement)
        write_nifti(truth, reference)
        log.info("%s: %r", reference.name, truth)
        inputs = [volume] if volume is not None else []
        outputs, numbers = [measurement, reference], _facts_of(found)
        steps.finish(this, record, room.RESULT_VERSION, chosen, inputs, outputs, numbers, (), seed=chosen.seed)


def acquire(
    raw: Raw,
    measurement: Measurement,
    file_format: Annotated[
        str, typer.Option("--format", help="auto, measurement, array, fastmri, ismrmrd, lodopab or ct-pd")
    ] = "auto",
    item: Annotated[int, typer.Option(help="of a folder of many samples: which", min=0)] = 0,
    study: steps.Study = "study",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Raw data of a scanner or a challenge to a checked measurement."""
    from medidiff.acquisition import settings as room

    with step("acquire", study=study, log_file=log_file) as this:
        from medidiff.acquisition.raw import read_raw
        from medidiff.io.measurement import write_measurement

        found = read_raw(raw, file_format=file_format, item=item)
        write_measurement(found, measurement)
        chosen = {"format": file_format, "item": item}
        steps.finish(this, record, room.RESULT_VERSION, chosen, [raw], [measurement], _facts_of(found), ())


def reference(
    raw: Raw,
    volume: VolumeFile,
    file_format: Annotated[str, typer.Option("--format", help="fastmri or lodopab")] = "fastmri",
    item: Annotated[int, typer.Option(help="of a folder of many samples: which", min=0)] = 0,
    study: steps.Study = "study",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """The image that comes with raw data, to compare with."""
    from medidiff.acquisition import settings as room

    with step("reference", study=study, log_file=log_file) as this:
        from medidiff.acquisition.raw import read_reference
        from medidiff.io.nifti import write_nifti

        found = read_reference(raw, file_format=file_format, item=item)
        write_nifti(found, volume)
        chosen, numbers = {"format": file_format, "item": item}, {"shape": list(found.grid.shape)}
        steps.finish(this, record, room.RESULT_VERSION, chosen, [raw], [volume], numbers, ())


def _facts_of(measurement: object) -> dict:
    """What a measurement is, in numbers and words."""
    from medidiff.io.measurement import Projections

    grid = measurement.grid
    facts = {"shape": list(grid.shape), "spacing_mm": list(grid.spacing_mm), **measurement.provenance}
    if isinstance(measurement, Projections):
        geometry = measurement.geometry
        return facts | {"beam": geometry["beam"], "views": len(geometry["angles_rad"]), "bins": geometry["bins"]}
    lines = float(measurement.mask.any(axis=0).sum())
    share = {"coils": measurement.samples.shape[1], "acceleration": measurement.mask.size / float(measurement.mask.sum())}
    return facts | share | {"lines": lines, "calibration_lines": measurement.calibration_lines}
