"""`medidiff report|page|index`: pages to look at."""

from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli import steps
from medidiff.cli.inspect import Configuration, known_configuration
from medidiff.cli.step import log, step

Folder = Annotated[Path, typer.Argument(show_default=False)]


def report(config: Configuration = None) -> None:
    """Write the pages of whatever exists, failed studies included, and the index of all; pages that are up to date stay."""
    from medidiff import plan
    from medidiff.config import read_config
    from medidiff.report.index import write_index
    from medidiff.report.page import is_current, write_study_page

    settings = read_config(known_configuration(config))
    results, logs = Path(settings.folder("results")), Path(settings.folder("logs"))
    studies = plan.listed(plan.studies_of(settings))
    for name, study in studies.items():
        out = results / "report" / f"{name}.html"
        if not is_current(out, results, logs, name):
            write_study_page(results, logs, name, out, rejected=study.reason)
    index = write_index(results, logs, list(studies.values()), results / "report" / "index.html", title=settings.title)
    typer.echo(index)


def page(
    results: Folder,
    logs: Folder,
    out: Folder,
    study: steps.Study = "study",
    log_file: steps.Log = None,
) -> None:
    """The page of one study from the records, volumes and journals below a results folder."""
    with step("page", study=study, log_file=log_file):
        from medidiff.report.page import write_study_page

        log.info("%s", write_study_page(results, logs, study, out))


def index(
    results: Folder,
    logs: Folder,
    out: Folder,
    table: Folder,
    names: Annotated[list[str] | None, typer.Argument(help="names of all studies", show_default=False)] = None,
    studies: Annotated[Path | None, typer.Option(help="study table, in place of names")] = None,
    title: Annotated[str, typer.Option(help="headline")] = "medidiff",
    log_file: steps.Log = None,
) -> None:
    """The index of all studies, failed ones first, and its numbers as a table (TSV)."""
    with step("index", study="index", log_file=log_file):
        from medidiff import plan
        from medidiff.report.index import write_index
        from medidiff.studies import read_studies

        listed = list(plan.listed(read_studies(studies)).values()) if studies else names or []
        log.info("%s", write_index(results, logs, listed, out, title=title, table=table))
