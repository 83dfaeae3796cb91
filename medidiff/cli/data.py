"""`medidiff data ...`: public data by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Public data by name: catalogue, download, check.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="name from `medidiff data list`", show_default=False)]
Subset = Annotated[list[str] | None, typer.Argument(help="only these studies or files of the set", show_default=False)]


@app.command("list")
def list_() -> None:
    """Show every data set: title, size, licence, and whether it is here."""
    from rich.console import Console
    from rich.table import Column, Table

    from medidiff import datasets
    from medidiff.errors import ConfigError

    table = Table(Column("name", no_wrap=True), "title", "files", "MB", "licence", "here")
    for name, entry in datasets.catalogue().items():
        try:
            datasets.locate(name)
            here = "yes"
        except ConfigError:
            here = ""
        table.add_row(name, entry.title, str(len(entry.files)), f"{entry.size / 1e6:.0f}", entry.licence, here)
    Console().print(table)


@app.command()
def get(name: Name, subset: Subset = None) -> None:
    """Bring a data set here: from the folder MEDIDIFF_MIRROR, else downloaded, resumed and checked by SHA-256."""
    from medidiff import datasets

    typer.echo(_with_progress(lambda progress: datasets.get(name, subset=tuple(subset or ()), progress=progress)))


@app.command()
def verify(name: Name) -> None:
    """Compare every file of a data set with its SHA-256."""
    from medidiff import datasets

    datasets.verify(name)
    typer.echo(f"{name}: every file is as published")


@app.command()
def show(name: Name) -> None:
    """Print source, licence and citation of a data set."""
    from medidiff import datasets

    entry = datasets.dataset(name)
    source = entry.source
    lines = [entry.title, f"source: {source.repository} at {source.commit}, {source.folder}", f"licence: {entry.licence}"]
    lines += [f"derived: {entry.derived}"] if entry.derived else []
    typer.echo("\n".join([*lines, *(f"cite: {line}" for line in entry.citation)]))


def _with_progress(get: Callable[[Callable[[int, int], None]], Path]) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        return get(lambda done, total: bar.update(task, completed=done, total=total))
