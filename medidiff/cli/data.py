"""`medidiff data ...`: public data by name."""

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
    from rich.table import Table

    from medidiff import datasets
    from medidiff.errors import ConfigError

    table = Table("name", "title", "files", "MB", "licence", "here")
    for name, entry in datasets.catalogue().items():
        try:
            datasets.locate(name)
            here = "yes"
        except ConfigError:
            here = ""
        megabytes = sum(file.size for file in entry.files) / 1e6
        table.add_row(name, entry.title, str(len(entry.files)), f"{megabytes:.0f}", entry.licence, here)
    Console().print(table)


@app.command()
def get(name: Name, subset: Subset = None) -> None:
    """Bring a data set here: from the folder MEDIDIFF_MIRROR, else downloaded, resumed and checked by SHA-256."""
    from medidiff import datasets

    folder: Path = datasets.get(name, subset=tuple(subset or ()), progress=lambda text: typer.echo(text, err=True))
    typer.echo(folder)


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
    typer.echo(f"{entry.title}\nsource: {entry.source}\nlicence: {entry.licence}\ncite: {entry.citation}")
