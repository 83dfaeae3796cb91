"""`medidiff status|why|repeat|doctor`: what was done, why it failed, and how to do it again."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medidiff.cli.lock import last_run
from medidiff.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from medidiff.progress import State

Configuration = Annotated[Path | None, typer.Argument(help="YAML configuration; none: the one run last here", show_default=False)]


SHOWN = 40  # lines of a table that a person reads


def status(
    config: Configuration = None,
    everything: Annotated[bool, typer.Option("--all", help="show every study, finished ones too")] = False,
) -> None:
    """Show which steps of which study are done, running, failed or waiting, with the last error line of each failure.

    Of more than 40 studies only those that failed or are running are listed; `--all` lists every one.
    """
    from collections import Counter

    from rich.console import Console

    from medidiff import plan, progress
    from medidiff.config import read_config

    settings = read_config(known_configuration(config))
    studies = plan.listed(plan.studies_of(settings))
    states = [progress.state_of(job) for job in plan.jobs(settings, studies)]
    screen = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 200)  # a file or a pipe has room for whole errors
    by_step: dict[str, Counter] = {}
    for state in states:
        by_step.setdefault(state.job.step, Counter())[state.word] += 1
    screen.print(_counts("step", [(step, count, "") for step, count in by_step.items()]), markup=False)
    rows = progress.progress_of(studies, states)
    lines = rows if everything or len(rows) <= SHOWN else [row for row in rows if row.word in ("failed", "running")][:SHOWN]
    if lines:
        table = [(row.study, row.counts, row.reason.split("\n")[0]) for row in lines]
        screen.print(_counts("study", table, last="first error"), markup=False)
    words = Counter(row.word for row in rows)
    screen.print("studies: " + ", ".join(f"{words[word]} {word}" for word in progress.ORDER if words[word] or word != "left out"))
    total = Counter(state.word for state in states)
    screen.print("steps: " + ", ".join(f"{total[word]} {word}" for word in progress.WORDS))
    if len(lines) < len(rows):
        screen.print(f"{len(lines)} of {len(rows)} studies shown; `medidiff status --all` shows every one.")
    if total["failed"]:
        screen.print("`medidiff why STUDY` tells the whole story of one.")


def _counts(name: str, rows: list[tuple], last: str = "") -> "Table":
    """A table of how many steps are how far, with a last column where it has a heading."""
    from rich.table import Table

    from medidiff.progress import WORDS

    table = Table(name, *WORDS, *([last] if last else []))
    for title, counts, text in rows:
        table.add_row(title, *(str(counts[word] or "") for word in WORDS), *([text] if last else []))
    return table


def why(
    study: Annotated[str, typer.Argument(help="name of the study", show_default=False)],
    config: Configuration = None,
) -> None:
    """Tell the whole story of one study: attempts, hosts, memory, errors, logs, and the command that repeats each step."""
    from medidiff import plan, progress
    from medidiff.config import read_config

    settings = read_config(known_configuration(config))
    studies = plan.listed(plan.studies_of(settings))
    if study not in studies:
        raise ConfigError(f"{study}: no such study among the {len(studies)} of this run; {_nearest(study, list(studies))}.")
    if studies[study].status != "ok":
        typer.echo(f"{study}: left out of the run: {studies[study].reason}")
        return
    states = [progress.state_of(job) for job in plan.jobs(settings, {study: studies[study]})]
    failed = [state.job.step for state in states if state.word == "failed"]
    for state in states:
        word = f"waiting; it comes after {failed[0]}, which failed" if state.word == "waiting" and failed else state.word
        typer.echo(f"{state.job.step}{' ' + state.job.method if state.job.method else ''}: {word}")
        _tell(state)


def _tell(state: "State") -> None:
    """The attempts at a step; of a failed one the error, the log, and the command that repeats it."""
    import shlex

    for attempt in state.attempts:
        where = attempt.get("host", "") + (f", Slurm job {attempt['slurm_job']}" if attempt.get("slurm_job") else "")
        ending = f"exit {attempt['exit']}" if "exit" in attempt else state.ending(attempt)
        took = f", {attempt['seconds']} s, {attempt['peak_rss_mb']} MB" if "seconds" in attempt else ""
        typer.echo(f"  attempt {attempt['attempt']}: {attempt.get('start', '')} on {where}: {ending}{took}")
    if state.word != "failed":
        return
    typer.echo("\n".join(f"  {line}" for line in state.error.splitlines()))
    logs = [path for path in (state.job.log, state.job.log.with_suffix(".traceback")) if path.is_file()]
    if logs:
        typer.echo(f"  log: {', '.join(map(str, logs))}")
    if state.attempts:
        typer.echo(f"  repeat: medidiff {shlex.join(state.attempts[-1].get('command', []))}")


def _nearest(name: str, known: list[str]) -> str:
    """What to try in place of a name that does not exist."""
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"the nearest names are {', '.join(near)}"
    return f"there are {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}"


def repeat(record: Annotated[Path, typer.Argument(help="record of a result (JSON)", show_default=False)]) -> None:
    """Run the step of a record again, into a temporary folder, and compare the outputs byte for byte."""
    from medidiff import repetition
    from medidiff.errors import NumericsError

    differences = repetition.repeat(record)
    if differences:
        raise NumericsError("\n".join([f"{record}: the result came out otherwise when the step ran again.", *differences]))
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
