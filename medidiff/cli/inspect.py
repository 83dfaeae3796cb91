"""`medidiff status|why|repeat|doctor`: what was done, why it failed, and how to do it again."""

from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli.lock import last_run
from medidiff.errors import ConfigError

Configuration = Annotated[Path | None, typer.Argument(help="YAML configuration; none: the one run last here", show_default=False)]


def status(config: Configuration = None) -> None:
    """Show which steps of which study are done, running, failed or waiting, with the last error line of each failure."""
    from collections import Counter

    from rich.console import Console
    from rich.table import Table

    from medidiff import plan, progress
    from medidiff.config import read_config

    settings = read_config(known_configuration(config))
    studies = plan.studies_of(settings)
    states = [progress.state_of(job) for job in plan.jobs(settings, studies)]
    screen = Console(soft_wrap=True)
    table = Table("study", "done", "running", "failed", "waiting", "last error")
    for name in studies:
        mine = [state for state in states if state.job.study == name]
        count = Counter(state.word for state in mine)
        error = next((state.error for state in mine if state.word == "failed"), studies[name].reason)
        cells = [str(count[word] or "") for word in ("done", "running", "failed", "waiting")]
        table.add_row(name, *cells, error.split("\n")[0])
    screen.print(table, markup=False)
    total = Counter(state.word for state in states)
    screen.print(", ".join(f"{total[word]} {word}" for word in ("done", "running", "failed", "waiting")))
    if total["failed"]:
        screen.print("`medidiff why STUDY` tells the whole story of one.")


def why(
    study: Annotated[str, typer.Argument(help="name of the study", show_default=False)],
    config: Configuration = None,
) -> None:
    """Tell the whole story of one study: attempts, hosts, memory, errors, logs, and the command that repeats each step."""
    import shlex

    from medidiff import plan, progress
    from medidiff.config import read_config

    settings = read_config(known_configuration(config))
    studies = plan.studies_of(settings)
    if study not in studies:
        raise ConfigError(f"{study}: no such study in this run; there are {', '.join(studies)}.")
    if studies[study].status != "ok":
        typer.echo(f"{study}: rejected before the run: {studies[study].reason}")
    for job in plan.jobs(settings, {study: studies[study]}):
        state = progress.state_of(job)
        typer.echo(f"{job.step}{' ' + job.method if job.method else ''}: {state.word}")
        for attempt in state.attempts:
            where = attempt.get("host", "") + (f", Slurm job {attempt['slurm_job']}" if attempt.get("slurm_job") else "")
            ending = f"exit {attempt['exit']}" if "exit" in attempt else state.ending(attempt)
            facts = f"{attempt.get('seconds', '?')} s, {attempt.get('peak_rss_mb', '?')} MB"
            typer.echo(f"  attempt {attempt['attempt']}: {attempt.get('start', '')} on {where}: {ending}, {facts}")
        if state.word == "failed":
            typer.echo(f"  {state.error}\n  log: {job.log}")
            if state.attempts:
                typer.echo(f"  repeat: medidiff {shlex.join(state.attempts[-1].get('command', []))}")


def repeat(record: Annotated[Path, typer.Argument(help="record of a result (JSON)", show_default=False)]) -> None:
    """Run the step of a record again, into a temporary folder, and compare the outputs byte for byte."""
    from medidiff import repetition
    from medidiff.errors import NumericsError

    differences = repetition.repeat(record)
    for line in differences:
        typer.echo(line)
    if differences:
        raise NumericsError(f"{record}: {len(differences)} differences; compare the versions above with those of the record.")
    typer.echo(f"{record}: every output came out the same")


def doctor() -> None:
    """Check this machine: Python, packages against the lock, GPU, Slurm, data, disk; one advice per problem."""
    from rich.console import Console
    from rich.table import Table

    from medidiff import diagnosis

    table = Table("what", "found", "advice")
    findings = diagnosis.examine()
    for finding in findings:
        table.add_row(finding.what, finding.found, finding.advice)
    Console(soft_wrap=True).print(table, markup=False)
    if any(finding.is_fatal for finding in findings):
        raise typer.Exit(1)


def known_configuration(config: Path | None) -> Path:
    """The given configuration, else that of the last run in this folder."""
    if config is not None:
        return config
    last = last_run().get("config")
    if not last:
        raise ConfigError("no run in this folder yet; name a configuration.")
    return Path(last)
