"""`medidiff check` and `medidiff run`: the workflow as one command."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from medidiff.errors import ConfigError

ROOT = Path(__file__).parents[2]  # the checkout: Snakefile, workflow and configs


def check(
    config: Annotated[Path, typer.Argument(help="YAML configuration", show_default=False)],
) -> None:
    """Check a configuration and its study table; list every mistake at once."""
    from medidiff import plan
    from medidiff.config import read_config

    settings = read_config(config)
    studies = plan.studies_of(settings)
    used = plan.usable(studies)
    jobs = plan.jobs(settings, studies)
    typer.echo(f"{config}: in order. {len(used)} of {len(studies)} studies enter the workflow, {len(jobs)} jobs.")
    for name, study in studies.items():
        if name not in used:
            why = study.reason or plan.why_not(study)
            typer.echo(f"  left out: {name} ({why})")


def run(
    config: Annotated[Path | None, typer.Argument(help="YAML configuration", show_default=False)] = None,
    more: Annotated[list[str] | None, typer.Argument(help="after --: options of snakemake, such as -n or --jobs 200")] = None,
    on: Annotated[str, typer.Option(help="profile of workflow/profiles: local, slurm, slurm-local")] = "local",
    cores: Annotated[str, typer.Option(help="cores to use on this machine; empty: the profile's")] = "",
    take_over: Annotated[bool, typer.Option(help="remove the lock that a crashed run left on another machine")] = False,
) -> None:
    """Run the workflow of a configuration; a second call goes on where the first ended.

    It prints the snakemake command that it runs, so you can use snakemake itself as well.
    """
    from medidiff.cli import lock
    from medidiff.config import read_config
    from medidiff.gpu import visible_cards
    from medidiff.plan import wants_card

    if config is None:
        raise ConfigError("no configuration given. Ready ones:\n" + "\n".join(_ready_configurations()))
    settings, cards = read_config(config), len(visible_cards())
    if on == "local" and not cards and wants_card(settings):
        raise ConfigError(f"{config}: device is cuda, and this machine has no card. Use cpu or auto, or --on slurm.")
    profile = ROOT / "workflow" / "profiles" / on
    if not profile.is_dir():
        known = ", ".join(sorted(path.name for path in profile.parent.iterdir() if path.is_dir()))
        raise ConfigError(f"--on {on}: no such profile; there are {known}.")
    is_stale = lock.acquire(config, take_over=take_over)
    command = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config), "--workflow-profile", str(profile)]
    command += ["--cores", cores] if cores else []
    command += ["--resources", f"gpu={cards}"] if on == "local" and cards else []
    command += more or []
    typer.echo(f"snakemake {shlex.join(command)}", err=True)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    sys.stderr.flush()
    if is_stale:
        typer.echo("an earlier run here was killed: its lock is removed, and what it had finished is kept", err=True)
        unlock = [*command[: command.index("--workflow-profile")], "--unlock", "--persistence-backend", "db"]
        subprocess.run([sys.executable, "-m", "snakemake", *unlock], env=environment, stdout=subprocess.DEVNULL, check=False)
    os.execve(sys.executable, [sys.executable, "-m", "snakemake", *command], environment)


def _ready_configurations() -> list[str]:
    found = []
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        first = path.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ").strip()
        found.append(f"  configs/{path.name:24} {first}")
    return found
