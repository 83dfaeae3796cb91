"""`medidiff scan` and `medidiff suv`: what is in a folder, and how its PET becomes SUV."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(help="folder tree of DICOM and NIfTI files", show_default=False)]


def scan(
    folder: Folder,
    table: Annotated[Path | None, typer.Option("-o", "--output", help="write the study table here (TSV)")] = None,
    deep: Annotated[bool, typer.Option(help="read the pixels too: finds cut and altered files")] = False,
    series: Annotated[bool, typer.Option(help="list every series, not only the studies")] = False,
) -> None:
    """List what is in a folder: which studies can be used, which not and why; write the study table."""
    from rich.console import Console
    from rich.table import Table

    from medidiff.errors import DataError
    from medidiff.io.atomic import write_text
    from medidiff.io.scan import scan as run
    from medidiff.studies import write_studies

    found = run(folder, deep=deep)
    screen = Console(soft_wrap=True)
    studies = Table("study", "kind", "status", "reason", title=f"{len(found.studies)} studies")
    for study in found.studies:
        studies.add_row(study.study, study.kind, study.status, study.reason)
    screen.print(studies, markup=False)
    if series:
        for entry in found.series:
            word = "usable" if entry.usable else "not usable"
            screen.print(f"{entry.modality} series, {len(entry.paths)} files: {word}. {entry.reason}", markup=False)
    for skipped in found.skipped:
        screen.print(f"skipped {skipped.path}: {skipped.reason}", markup=False)
    if not found.studies:
        raise DataError(f"{folder}: no DICOM or NIfTI study found in it. Is this the folder that holds the files?")
    if table is not None:
        write_text(table, write_studies(found.as_table(table.parent)))
        screen.print(f"study table: {table}", markup=False)


def suv(
    folder: Folder,
    pet: Annotated[str, typer.Option(help="SeriesInstanceUID; empty: the only one that fits")] = "",
) -> None:
    """Explain how the PET of a study becomes SUV: every value used, every possible reference time."""
    from medidiff.io.dicom.suv import suv_factors
    from medidiff.io.dicom.suv_report import explain_suv
    from medidiff.io.scan import find_pet

    typer.echo(explain_suv(suv_factors(find_pet(folder, pet=pet).headers).report))
