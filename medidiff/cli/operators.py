"""`medidiff trajectories|operate|super-resolve|control`: a system of equations solved, simulated, refined and steered."""

import os
from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli import steps
from medidiff.cli.step import log, step

TrajectoriesFile = Annotated[Path, typer.Argument(help="HDF5 file of trajectories", show_default=False)]
PredictionsFile = Annotated[Path, typer.Argument(help="HDF5 file of what is predicted", show_default=False)]
Split = Annotated[str, typer.Option(help="train, held_back, validation or test: no two share a random number")]
Count = Annotated[int, typer.Option(help="how many trajectories", min=1)]
Threads = Annotated[int, typer.Option(help="of the networks; 0: all. The bytes of a result belong to a number of threads", min=0)]


def trajectories(
    out: TrajectoriesFile,
    split: Split = "test",
    count: Count = 64,
    dask: Annotated[str, typer.Option(help="tcp://HOST:PORT of a running scheduler", show_default=False)] = "",
    workers: Annotated[int, typer.Option(help="processes of a cluster of its own; 0: none", min=0)] = 0,
    study: steps.Study = "study",
    settings: steps.SettingsText = '{"system": "burgers"}',
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Trajectories of one of our own solvers, chunk by chunk, here or on Dask workers; what is there is not made again."""
    from medidiff.operators import settings as room

    with step("trajectories", study=study, log_file=log_file) as this:
        from medidiff.compute import dask_client
        from medidiff.operators.generate import generate_split
        from medidiff.operators.systems import SystemSettings

        chosen = steps.checked_settings(SystemSettings, settings)
        with dask_client(dask, workers=workers) as client:
            found = generate_split(chosen, split, out, count=count, client=client)
        told = ("system", "equation", "boundary", "solver", "restriction")
        numbers = {name: found.facts[name] for name in told} | {"trajectories": len(found), "frames": found.u.shape[2]}
        numbers |= {"cells": found.u.shape[3], "fields": list(found.fields), "duration_s": chosen.duration_s}
        log.info("%s: %d trajectories of %s, %s", out.name, len(found), chosen.system, found.u.shape[1:])
        steps.finish(this, record, room.RESULT_VERSION, chosen, [], [out], numbers, (), seed=chosen.seed)


def import_trajectories(
    source: Annotated[Path, typer.Argument(help="file of PDEBench or of The Well", show_default=False)],
    out: TrajectoriesFile,
    layout: Annotated[str, typer.Option(help="pdebench or well")] = "pdebench",
    study: steps.Study = "study",
    settings: Annotated[str, typer.Option(help="JSON of the system that they are of; without it no operator takes them")] = "",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Trajectories of others in our own format, checked; with settings as those of one of our systems."""
    from medidiff.operators import settings as room

    with step("import-trajectories", study=study, log_file=log_file) as this:
        from medidiff.errors import ConfigError
        from medidiff.io.pde.pdebench import read_pdebench
        from medidiff.io.pde.trajectories import write_trajectories
        from medidiff.io.pde.well import read_well
        from medidiff.operators.imported import known_as
        from medidiff.operators.systems import SystemSettings

        readers = {"pdebench": read_pdebench, "well": read_well}
        if layout not in readers:
            raise ConfigError(f"--layout: found {layout!r}, expected pdebench or well. NetCDF and zarr: system era5.")
        found, chosen = readers[layout](source), {}
        if settings:
            chosen = steps.checked_settings(SystemSettings, settings)
            found = known_as(found, chosen, file=source.name)
        write_trajectories(found, out)
        numbers = {"trajectories": len(found), "frames": found.u.shape[2], "cells": list(found.u.shape[3:])}
        log.info("%s: %d trajectories of %s", out.name, len(found), ", ".join(found.fields))
        steps.finish(this, record, room.RESULT_VERSION, chosen, [source], [out], numbers, ())


def export_trajectories(
    trajectories: TrajectoriesFile,
    out: Annotated[Path, typer.Argument(help="HDF5 file as PDEBench lays it out", show_default=False)],
    study: steps.Study = "study",
    log_file: steps.Log = None,
) -> None:
    """Trajectories as PDEBench lays them out, for the programs of others."""
    with step("export-trajectories", study=study, log_file=log_file):
        from medidiff.io.pde.pdebench import write_pdebench
        from medidiff.io.pde.trajectories import read_trajectories

        write_pdebench(read_trajectories(trajectories), out)
        log.info("%s: written", out.name)


def operate(
    trajectories: TrajectoriesFile,
    predictions: PredictionsFile,
    threads: Threads = 0,
    study: steps.Study = "study",
    settings: steps.SettingsText = "{}",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Initial states and forces to trajectories by a trained operator, beside the classical solver on several grids."""
    with step("operate", study=study, log_file=log_file) as this:
        from medidiff.operators.evaluation import evaluate

        _run(this, evaluate, trajectories, predictions, settings=settings, record=record, threads=threads)


def super_resolve(
    trajectories: TrajectoriesFile,
    predictions: PredictionsFile,
    threads: Threads = 0,
    study: steps.Study = "study",
    settings: steps.SettingsText = "{}",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """The same on 2, 4, 8 ... times as many cells as the operator was trained on, beside interpolation."""
    with step("super-resolve", study=study, log_file=log_file) as this:
        from medidiff.operators.evaluation import evaluate_refinement

        _run(this, evaluate_refinement, trajectories, predictions, settings=settings, record=record, threads=threads)


def control(
    trajectories: TrajectoriesFile,
    predictions: PredictionsFile,
    count: Count = 4,
    threads: Threads = 0,
    study: steps.Study = "study",
    settings: steps.SettingsText = "{}",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Forces that lead from the initial states to the last ones, judged by the solver, beside the adjoint optimum."""
    with step("control", study=study, log_file=log_file) as this:
        from medidiff.operators.evaluation import evaluate_control

        rows = slice(0, count)
        _run(this, evaluate_control, trajectories, predictions, settings=settings, record=record, threads=threads, rows=rows)


def _run(this, evaluate, trajectories, predictions, *, settings, record, threads, rows=slice(None)) -> None:
    """One evaluation of the operator that the settings name."""
    import torch

    from medidiff.errors import DataError
    from medidiff.gpu import claim_device
    from medidiff.io.pde.predictions import Predictions, write_predictions
    from medidiff.io.pde.trajectories import read_trajectories
    from medidiff.io.prior_files import read_prior
    from medidiff.operators import settings as room
    from medidiff.operators.model import assemble_operator
    from medidiff.operators.systems import SystemSettings
    from medidiff.training.trajectories import solved_of

    chosen = steps.checked_settings(room.OperateSettings, settings)
    torch.set_num_threads(threads or os.cpu_count() or 1)
    files = read_prior(chosen.model)
    model = assemble_operator(files, device=claim_device(chosen.device))
    known = read_trajectories(trajectories, rows=rows)
    if "settings" not in known.facts:
        raise DataError(f"{trajectories.name}: of no system of ours. Import it again, with the --settings of its system.")
    system = SystemSettings.model_validate(known.facts["settings"])
    found = evaluate(model, solved_of(known), system=system, settings=chosen)
    facts = {"fields": list(known.fields), "units": dict(known.units), "system": system.system}
    facts |= {"duration_s": system.duration_s, "start": system.start, "length": system.length}
    write_predictions(Predictions(found.arrays, facts), predictions)
    inputs = [trajectories, *(Path(chosen.model) / name for name in files)]
    run = {"seconds_per_trajectory": found.seconds}
    numbers = {**found.numbers, "model": model.card.name}
    for name, values in found.numbers.get("methods", {}).items():
        log.info("%s: relative L2 %.3g, %.3g s each", name, values["relative_l2"], found.seconds.get(name, float("nan")))
    version = room.RESULT_VERSION
    steps.finish(this, record, version, chosen, inputs, [predictions], numbers, found.warnings, seed=chosen.seed, run=run)
