"""`medidiff crate|bids`: a finished run for archives and for other programs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medidiff.cli.inspect import Configuration, known_configuration
from medidiff.errors import ConfigError

if TYPE_CHECKING:
    from medidiff.config import Config
    from medidiff.io.bids import BidsVolume

OWNED = "All rights remain with the owner of the studies."


def crate(
    config: Configuration = None,
    license: Annotated[str, typer.Option(help="under which the results may be used: an URL, or words")] = OWNED,
) -> None:
    """Describe the results folder as a Process Run Crate (RO-Crate): which step made which file of what, with every hash."""
    from medidiff import plan, progress
    from medidiff.config import read_config
    from medidiff.crate import write_crate

    settings = read_config(known_configuration(config))
    states = map(progress.state_of, plan.jobs(settings, plan.studies_of(settings)))
    typer.echo(write_crate(Path(settings.folder("results")), states, title=settings.title, license=license))


def bids(
    folder: Annotated[Path, typer.Argument(help="where the data set goes", show_default=False)],
    config: Configuration = None,
    contrast: Annotated[str, typer.Option(help="of scans that do not state theirs: T1w, T2w, PDw, FLAIR, T2starw ...")] = "",
    skull_stripped: Annotated[bool, typer.Option("--skull-stripped", help="the volumes show the brain alone")] = False,
) -> None:
    """Copy the reconstructed MR volumes into a data set of BIDS derivatives.

    The contrast of a study is a column `contrast` of the study table; what nilearn's average brain gave is T1w.
    """
    import medidiff
    from medidiff.config import read_config
    from medidiff.io.bids import write_bids

    settings = read_config(known_configuration(config))
    volumes = list(_mr_volumes(settings, contrast, skull_stripped))
    if not volumes:
        raise ConfigError("no reconstructed MR volume in this run. BIDS has no place for CT, PET-CT masks and ultrasound.")
    for path in write_bids(volumes, folder, title=settings.title, version=medidiff.__version__):
        typer.echo(path)


def _mr_volumes(settings: "Config", contrast: str, is_skull_stripped: bool) -> "Iterator[BidsVolume]":
    from medidiff import plan
    from medidiff.io.bids import BidsVolume
    from medidiff.record import read_record

    studies = plan.studies_of(settings)
    for job in plan.jobs(settings, studies):
        study = studies[job.study]
        if study.kind != "mr" or job.step != "reconstruct" or not job.record.is_file():
            continue
        is_template = plan.is_simulated(settings, job.study) and settings.studies.scans[job.study].source == "mni152"
        stated = "T1w" if is_template else study.more.get("contrast") or contrast
        if not stated:
            raise ConfigError(
                f"{job.study}: its contrast is not stated. Add a column `contrast` to the table, or --contrast T1w."
            )
        facts = {"Description": f"k-space reconstructed by {job.method}", "Method": job.method}
        facts |= {"Settings": read_record(job.record)["settings"], "Simulated": plan.is_simulated(settings, job.study)}
        volume = job.record.with_name(f"{job.method}.nii.gz")
        yield BidsVolume(job.study, job.method, volume, stated, is_skull_stripped, facts)
