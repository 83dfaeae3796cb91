"""`medidiff reconstruct|series|compare|calibrate`: a measurement to a volume, its DICOM series, its numbers and intervals."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from medidiff.cli import steps
from medidiff.cli.step import log, step

Measurement = Annotated[Path, typer.Argument(help="HDF5 file of line integrals or k-space", show_default=False)]
VolumeFile = Annotated[Path, typer.Argument(help="NIfTI file, HU or magnitude", show_default=False)]
MapsFile = Annotated[Path, typer.Argument(help="HDF5 file of maps, such as the spread of samples", show_default=False)]
Method = Annotated[str, typer.Option(help="fbp, sirt, cgls, zerofilled, cgsense, tv, nadds, dds, mbir, reddiff or auto")]
Kind = Annotated[Literal["ct", "mr"], typer.Option(help="ct: HU; mr: magnitude")]
Calibrations = Annotated[list[Path] | None, typer.Option(help="JSON file of `calibrate`; the one made alike is used")]
Level = Annotated[float, typer.Option(help="share of voxels that an interval shall hold")]
Slab = Annotated[int, typer.Option(help="CT slices in memory at once, for volumes that do not fit; 0: all", min=0)]
Threads = Annotated[int, typer.Option(help="of the solvers; 0: all. The bytes of a result belong to a number of threads", min=0)]


def reconstruct(
    measurement: Measurement,
    volume: VolumeFile,
    maps: MapsFile,
    method: Method = "tv",
    calibration: Calibrations = None,
    level: Level = 0.9,
    slab: Slab = 0,
    dask: Annotated[str, typer.Option(help="tcp://HOST:PORT of a running scheduler, for slabs", show_default=False)] = "",
    workers: Annotated[int, typer.Option(help="processes of a cluster of its own, for slabs; 0: none", min=0)] = 0,
    threads: Threads = 0,
    study: steps.Study = "study",
    settings: steps.SettingsText = "{}",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """A measurement to a volume, with its spread where there are samples, and what says how far to trust it."""
    from medidiff.reconstruction import settings as room

    with step("reconstruct", study=study, method=method, log_file=log_file) as this:
        import torch

        from medidiff.io.maps import write_maps
        from medidiff.io.measurement import read_measurement
        from medidiff.io.nifti import write_nifti
        from medidiff.reconstruction.task import reconstruct as run

        chosen = steps.checked_settings(room.ReconstructSettings, settings)
        torch.set_num_threads(threads or os.cpu_count() or 1)
        prior, files = _prior(chosen.prior)
        measured = read_measurement(measurement)
        if slab:
            found = _in_slabs(measured, method, prior, settings=chosen, slab=slab, dask=dask, workers=workers)
        else:
            found = run(measured, method=method, prior=prior, settings=chosen)
        numbers = dict(found.numbers)
        seconds = numbers.pop("seconds", None)  # differs from run to run
        stated, notes = _uncertainty(
            measured, found, chosen, method=method, prior=files, calibrations=calibration or [], level=level
        )
        write_nifti(found.volume, volume)
        write_maps(stated, maps)
        log.info("%s: %r", volume.name, found.volume)
        inputs, outputs = [measurement, *files, *(calibration or [])], [volume, maps]
        warnings, run_facts = (*found.warnings, *notes), {"seconds_solver": seconds}
        version, seed = room.RESULT_VERSION, chosen.seed
        steps.finish(this, record, version, chosen, inputs, outputs, numbers, warnings, seed=seed, run=run_facts)


def series(
    volume: VolumeFile,
    folder: Annotated[Path, typer.Argument(help="folder of the DICOM files, one for each slice", show_default=False)],
    kind: Kind = "ct",
    method: Method = "",
    study: steps.Study = "study",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """A volume to a DICOM series: CT in whole HU, or MR magnitudes."""
    from medidiff.reconstruction import settings as room

    with step("series", study=study, method=method, log_file=log_file) as this:
        import medidiff
        from medidiff.io.dicom.series_writer import write_series
        from medidiff.io.nifti import read_nifti

        voxels, version = read_nifti(volume), medidiff.__version__
        modality = {"ct": "CT", "mr": "MR"}[kind]
        uid = write_series(voxels, folder, modality=modality, method=method or "reconstruction", version=version)
        numbers = {"files": voxels.array.shape[2], "series": uid}
        steps.finish(this, record, room.RESULT_VERSION, {"kind": kind}, [volume], [], numbers, ())


def calibrate(
    calibration: Annotated[Path, typer.Argument(help="JSON file of the calibration", show_default=False)],
    studies: Annotated[list[Path], typer.Argument(help="folders of compared studies below a results folder", show_default=False)],
    method: Method = "nadds",
    kind: Kind = "ct",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Samples of volumes of known truth to the calibration by which their spread becomes an interval."""
    from medidiff.reconstruction import settings as room

    with step("calibrate", study="calibration", method=method, log_file=log_file) as this:
        from medidiff.errors import DataError
        from medidiff.io.atomic import write_text
        from medidiff.io.maps import read_maps
        from medidiff.io.nifti import read_nifti
        from medidiff.reconstruction.conditions import calibrate_volumes
        from medidiff.reconstruction.intervals import to_json

        volumes, conditions = [], None
        for folder in studies:
            maps = read_maps(folder / "reconstruct" / f"{method}.h5")
            if "spread" not in maps.volumes or conditions not in (None, maps.facts):
                found = "no spread" if "spread" not in maps.volumes else "conditions that differ from the first study's"
                raise DataError(f"{folder.name}: found {found}, expected samples under one set of conditions. Leave it out.")
            conditions = maps.facts
            mean = read_nifti(folder / "reconstruct" / f"{method}.nii.gz")
            truth = mean.with_array(mean.array - read_nifti(folder / "compare" / f"{method}.nii.gz").array)
            volumes.append((mean, maps.volumes["spread"], truth))
        found = calibrate_volumes(volumes, conditions or {}, kind=kind)
        write_text(calibration, to_json(found))
        scales = {f"scale_{round(100 * level)}": found.scale(level) for level in (0.5, 0.8, 0.9)}
        log.info("%s: %d volumes, %s", calibration.name, len(volumes), scales)
        chosen = {"method": method, "kind": kind}
        steps.finish(this, record, room.RESULT_VERSION, chosen, studies, [calibration], {"volumes": len(volumes), **scales}, ())


def compare(
    volume: VolumeFile,
    reference: VolumeFile,
    difference: Annotated[Path | None, typer.Argument(help="where volume minus reference goes", show_default=False)] = None,
    maps: Annotated[Path | None, typer.Option(help="HDF5 file of maps of the volume")] = None,
    kind: Kind = "ct",
    window_hu: Annotated[tuple[float, float], typer.Option(help="HU that 0 and 1 stand for")] = (-1000.0, 1000.0),
    method: Method = "",
    study: steps.Study = "study",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """A volume against its reference: noise ratio and similarity in each plane, errors in HU, roughness along z."""
    from medidiff.reconstruction import settings as room

    with step("compare", study=study, method=method, log_file=log_file) as this:
        import json

        from medidiff.io.maps import read_maps
        from medidiff.io.nifti import read_nifti, write_nifti
        from medidiff.reconstruction.comparison import compare as run
        from medidiff.reconstruction.comparison import part_on

        truth = read_nifti(reference)
        x = part_on(read_nifti(volume), truth.grid)
        known = read_maps(maps).volumes if maps is not None else {}
        known = {name: part_on(values, truth.grid) for name, values in known.items()}
        numbers = run(x, truth, kind=kind, window_hu=window_hu, maps=known)
        if difference is not None:
            write_nifti(x.with_array(x.array - truth.array), difference)
        inputs = [volume, reference, *([maps] if maps is not None else [])]
        outputs = [difference] if difference is not None else []
        chosen = {"kind": kind, "window_hu": list(window_hu)}
        written = steps.finish(this, record, room.RESULT_VERSION, chosen, inputs, outputs, numbers, ())
        if record is None:
            typer.echo(json.dumps(written, indent=1))


def _in_slabs(measured: object, method: str, prior: object, *, settings: object, slab: int, dask: str, workers: int) -> object:
    """The same result from a few slices at a time; samples are not kept. Raises ConfigError for k-space."""
    import numpy as np

    from medidiff.compute import dask_client
    from medidiff.errors import ConfigError
    from medidiff.io.measurement import Projections
    from medidiff.io.slab_file import slab_store
    from medidiff.io.volume import Volume
    from medidiff.reconstruction.slab_task import reconstruct_in_slabs
    from medidiff.reconstruction.slabs import Plan
    from medidiff.reconstruction.task import Reconstruction

    if not isinstance(measured, Projections):
        raise ConfigError("--slab: found k-space, expected line integrals of CT. Leave it out.")
    with slab_store(in_memory=False) as store, dask_client(dask, workers=workers) as client:
        cut = Plan(slab, store, client)
        done = reconstruct_in_slabs(measured, method=method, prior=prior, settings=settings, plan=cut)
        array = np.empty(measured.grid.shape, np.float32)
        for span in cut.spans(array.shape[2]):
            array[:, :, span.first : span.last] = done.volume.read(span.first, span.last).transpose(2, 1, 0)
    return Reconstruction(Volume(array, measured.affine), None, done.numbers, ())


def _uncertainty(
    measured: object,
    found: object,
    chosen: object,
    *,
    method: str,
    prior: list[Path],
    calibrations: list[Path],
    level: float,
) -> tuple[object, list[str]]:
    """The maps of a result, with the half width of an interval where a calibration was made alike; else why there is none."""
    from medidiff.io.maps import Maps
    from medidiff.io.prior_files import read_whole
    from medidiff.reconstruction.conditions import conditions_of, half_width
    from medidiff.reconstruction.intervals import from_json
    from medidiff.record import sha256

    affine = found.volume.affine
    if found.samples is None:
        return Maps({}, affine), []
    solver = found.numbers.get("chosen") or method
    conditions = conditions_of(measured, chosen, method=solver, prior=[sha256(path) for path in sorted(prior)])
    volumes = {"spread": found.volume.with_array(found.samples.std(axis=0, ddof=1))}
    notes = []
    for path in calibrations:
        known = from_json(read_whole(path), name=path.name)
        differences = known.differences(conditions)
        if not differences:
            volumes["half_width"] = half_width(volumes["spread"], known, level=level)
            return Maps(volumes, affine, conditions | {"level": level, "calibration_volumes": len(known.scores)}), []
        notes.append(f"{path.name} was not made alike, so the spread stays uncalibrated: {'; '.join(differences)[:300]}")
    return Maps(volumes, affine, conditions), notes


def _prior(folder: str | None) -> tuple[object, list[Path]]:
    """The prior of a folder and its files; nothing without a folder."""
    if folder is None:
        return None, []
    from medidiff.diffusion.prior import assemble_prior
    from medidiff.io.prior_files import read_prior

    files = read_prior(folder)
    return assemble_prior(files), [Path(folder) / name for name in files]
