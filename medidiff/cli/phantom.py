"""`medidiff phantom ...`: digital studies with known truth."""

from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli import steps
from medidiff.cli.step import log, step

app = typer.Typer(help="Digital studies with known truth, written in genuine formats.", no_args_is_help=True)


@app.callback()
def phantom() -> None:
    """Digital studies with known truth, written in genuine formats."""


@app.command()
def chromatogram(
    manifest: Annotated[
        Path, typer.Argument(help="FOLDER/manifest.json; the instrument's file goes into FOLDER", show_default=False)
    ],
    study: steps.Study = "phantom",
    settings: steps.SettingsText = "{}",
    log_file: steps.Log = None,
) -> None:
    """A digital chromatogram of five aromatics, as ANDI netCDF or CSV."""
    from medidiff.phantoms.trace_settings import ChromatogramPhantom

    with step("phantom", study=study, log_file=log_file):
        from medidiff.phantoms.chromatogram import write_chromatogram

        chosen = steps.checked_settings(ChromatogramPhantom, settings)
        written = write_chromatogram(chosen, manifest.parent)
        log.info("%s: %s", manifest.parent, ", ".join(written["files"]))


@app.command()
def echo(
    manifest: Annotated[Path, typer.Argument(help="FOLDER/manifest.json; scan.hdf5 goes into FOLDER", show_default=False)],
    study: steps.Study = "phantom",
    settings: steps.SettingsText = "{}",
    log_file: steps.Log = None,
) -> None:
    """A heart seen through haze: ultrasound IQ in the layout of zea, its tissue and haze known apart."""
    from medidiff.phantoms.recording_settings import EchoPhantom

    with step("phantom", study=study, log_file=log_file):
        from medidiff.phantoms.recording import write_scan

        chosen = steps.checked_settings(EchoPhantom, settings)
        written = write_scan(chosen, manifest.parent)
        log.info("%s: %s", manifest.parent, ", ".join(written["files"]))


@app.command()
def petct(
    manifest: Annotated[Path, typer.Argument(help="FOLDER/manifest.json; the DICOM files go into FOLDER", show_default=False)],
    study: steps.Study = "phantom",
    settings: steps.SettingsText = "{}",
    log_file: steps.Log = None,
) -> None:
    """A digital PET/CT patient as DICOM: CT, PET and RTSTRUCT."""
    from medidiff.phantoms.settings import PetCtPhantom

    with step("phantom", study=study, log_file=log_file):
        from medidiff.phantoms.dicom import write_patient
        from medidiff.phantoms.petct import make_patient

        chosen = steps.checked_settings(PetCtPhantom, settings)
        written = write_patient(make_patient(chosen), manifest.parent)
        log.info("%s: %d files", manifest.parent, len(written.files))
