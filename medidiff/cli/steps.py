"""`medidiff convert|truth|segment|export|maps|evaluate`: one step of one study, as the workflow calls it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from medidiff.cli.step import Step, log, step
from medidiff.errors import ConfigError

if TYPE_CHECKING:
    from medidiff.segmentation.task import Segmentation

Input = Annotated[Path, typer.Argument(show_default=False)]
Output = Annotated[Path, typer.Argument(show_default=False)]
Study = Annotated[str, typer.Option(help="name of the study in records and messages")]
Record = Annotated[Path | None, typer.Option(help="where the provenance record goes (JSON)")]
Log = Annotated[Path | None, typer.Option("--log", help="log file; the journal of attempts stands beside it")]
SettingsText = Annotated[str, typer.Option("--settings", help="JSON of the step's section of the configuration")]
Series = Annotated[str, typer.Option(help="SeriesInstanceUID, or file below the folder; empty: the only one that fits")]
Method = Annotated[str, typer.Option(help="suv2, suv2.5, suv4, percent41, watershed, unet, diffusion")]


def convert(
    folder: Input,
    ct_out: Output,
    pet_out: Output,
    study: Study = "study",
    ct: Series = "",
    pet: Series = "",
    settings: SettingsText = "{}",
    record: Record = None,
    log_file: Log = None,
) -> None:
    """A folder of DICOM or NIfTI files to CT in HU and PET in SUVbw, each on its own grid."""
    from medidiff.io import settings as room

    with step("convert", study=study, log_file=log_file) as this:
        from medidiff.io.convert import convert_petct
        from medidiff.io.nifti import write_nifti

        chosen = checked_settings(room.ConvertSettings, settings)
        found = convert_petct(
            folder,
            ct=ct,
            pet=pet,
            suv_reference=chosen.suv_reference,
            suv_overrides=chosen.overrides_of(study),
            pet_unit=chosen.pet_unit,
            allow_tilt=chosen.allow_tilt,
        )
        write_nifti(found.ct, ct_out)
        write_nifti(found.pet, pet_out)
        for volume, path in ((found.ct, ct_out), (found.pet, pet_out)):
            log.info("%s: %r", path.name, volume)
        finish(this, record, room.RESULT_VERSION, chosen, [folder], [ct_out, pet_out], found.report, found.warnings)


def truth(
    folder: Input,
    ct_out: Output,
    pet_out: Output,
    study: Study = "study",
    ct: Series = "",
    pet: Series = "",
    structures: Annotated[list[str] | None, typer.Option(help="RTSTRUCT or label file below the folder; none: search")] = None,
    settings: SettingsText = "{}",
    record: Record = None,
    log_file: Log = None,
) -> None:
    """Reference contours (RTSTRUCT) or labels to masks on the grids of CT and PET."""
    from medidiff.io import settings as room

    with step("truth", study=study, log_file=log_file) as this:
        from medidiff.io.convert import convert_truth
        from medidiff.io.nifti import write_nifti

        chosen = checked_settings(room.ConvertSettings, settings)
        paths = [folder / name for name in structures or ()]
        found = convert_truth(folder, ct=ct, pet=pet, structures=paths, roi=chosen.roi, allow_tilt=chosen.allow_tilt)
        write_nifti(found.ct, ct_out)
        write_nifti(found.pet, pet_out)
        finish(this, record, room.RESULT_VERSION, chosen, [folder], [ct_out, pet_out], found.report, found.warnings)


def segment(
    ct: Input,
    pet: Input,
    mask_out: Output,
    method: Method = "suv2.5",
    probability: Annotated[Path | None, typer.Option(help="where the probability goes (NIfTI), of unet and diffusion")] = None,
    entropy: Annotated[Path | None, typer.Option(help="where the entropy goes (NIfTI), the doubt of a viewer")] = None,
    maps: Annotated[Path | None, typer.Option(help="where the other maps of doubt go (HDF5)")] = None,
    study: Study = "study",
    settings: SettingsText = "{}",
    record: Record = None,
    log_file: Log = None,
) -> None:
    """CT (HU) and PET (SUVbw) to a mask of the lesions, and of networks to probabilities and doubt."""
    from medidiff.segmentation import settings as room

    with step("segment", study=study, method=method, log_file=log_file) as this:
        from medidiff.io.nifti import read_nifti, write_nifti
        from medidiff.segmentation.task import segment as run

        chosen = checked_settings(room.SegmentSettings, settings)
        found = run(read_nifti(ct), read_nifti(pet), method=method, settings=chosen, study=study)
        write_nifti(found.mask, mask_out)
        outputs = [mask_out, *_write_maps(found, probability, entropy, maps)]
        numbers = dict(found.numbers)
        if found.light is not None:
            numbers |= {"light": found.light.colour, "light_reasons": list(found.light.reasons)}
            log.info("%s light", found.light.colour)
        finish(this, record, room.RESULT_VERSION, chosen, [ct, pet], outputs, numbers, found.warnings)


def _write_maps(found: "Segmentation", probability: Path | None, entropy: Path | None, others: Path | None) -> list[Path]:
    """The files that were asked for and that the method has."""
    from medidiff.io.maps import Maps, write_maps
    from medidiff.io.nifti import write_nifti

    if found.probability is None:
        return []
    pairs = ((found.probability, probability), (found.maps["entropy"], entropy))
    for volume, path in pairs:
        if path is not None:
            write_nifti(volume, path)
    if others is not None:
        left = {name: volume for name, volume in found.maps.items() if name != "entropy"}
        write_maps(Maps(left, found.maps["entropy"].affine), others)
    return [path for path in (probability, entropy, others) if path is not None]


def export(
    mask: Input,
    folder: Input,
    seg_out: Output,
    method: Method = "suv2.5",
    grid: Annotated[str, typer.Option(help="series on whose grid the mask lies: pet or ct")] = "pet",
    pseudonym: Annotated[str, typer.Option(help="takes the place of the patient; empty: as identified as the images")] = "",
    study: Study = "study",
    ct: Series = "",
    pet: Series = "",
    record: Record = None,
    log_file: Log = None,
) -> None:
    """A mask back to DICOM: a Segmentation object on the grid of the study's own series."""
    from medidiff.segmentation import settings as room

    with step("export", study=study, method=method, log_file=log_file) as this:
        import medidiff
        from medidiff.io.dicom.seg import build_seg, pseudonymised, save_seg
        from medidiff.io.dicom.series import series_grid
        from medidiff.io.nifti import read_nifti
        from medidiff.io.resample import resample_mask
        from medidiff.io.scan import find_petct

        found = find_petct(folder, ct=ct, pet=pet, allow_tilt=True)
        source = found.pet if grid == "pet" else found.ct
        voxels, own = read_nifti(mask), series_grid(source)
        if not voxels.grid.agrees_with(own):  # the volume of a tilted stack was resampled; its mask goes back
            voxels = resample_mask(voxels, own)
        made = build_seg(voxels, source.paths, label="Lesion", algorithm=method, version=medidiff.__version__)
        save_seg(pseudonymised(made, pseudonym) if pseudonym else made, seg_out)
        finish(this, record, room.RESULT_VERSION, {"grid": grid}, [mask], [seg_out], {}, ())


def maps(
    probability: Input,
    entropy: Input,
    source: Annotated[Path, typer.Argument(help="the DICOM study", show_default=False)],
    probability_out: Output,
    entropy_out: Output,
    method: Method = "diffusion",
    grid: Annotated[str, typer.Option(help="series on whose grid the probability lies: pet or ct")] = "pet",
    study: Study = "study",
    ct: Series = "",
    pet: Series = "",
    record: Record = None,
    log_file: Log = None,
) -> None:
    """Probability and entropy back to DICOM: parametric maps on the grids of the study's own series."""
    from medidiff.segmentation import settings as room

    with step("maps", study=study, method=method, log_file=log_file) as this:
        import medidiff
        from medidiff.io.dicom.parametric_map import Quantity, write_parametric_map
        from medidiff.io.dicom.series import series_grid
        from medidiff.io.nifti import read_nifti
        from medidiff.io.resample import resample_to
        from medidiff.io.scan import find_petct

        found = find_petct(source, ct=ct, pet=pet, allow_tilt=True)
        quantities = {
            probability: (Quantity("probability", "probability of lesion", 0.0, 1.0), probability_out),
            entropy: (Quantity("entropy", "doubt of the model, entropy of the probability, nats", 0.0, 0.694), entropy_out),
        }
        for source_file, (quantity, path) in quantities.items():
            series = found.ct if source_file == probability and grid == "ct" else found.pet
            volume, own = read_nifti(source_file), series_grid(series)
            if not volume.grid.agrees_with(own):  # the volume of a tilted stack was resampled; its map goes back
                volume = resample_to(volume, own, fill=0.0)
            write_parametric_map(volume, series.paths, path, quantity=quantity, algorithm=method, version=medidiff.__version__)
        finish(this, record, room.RESULT_VERSION, {"grid": grid}, [probability, entropy], [probability_out, entropy_out], {}, ())


def evaluate(
    mask: Input,
    truth: Input,
    method: Method = "",
    study: Study = "study",
    record: Record = None,
    log_file: Log = None,
) -> None:
    """A mask against the reference on the same grid: overlap, surface distances, volume, lesions."""
    from medidiff.segmentation import settings as room

    with step("evaluate", study=study, method=method, log_file=log_file) as this:
        import json

        from medidiff.io.nifti import read_nifti
        from medidiff.segmentation.evaluation import evaluate as run

        numbers = run(read_nifti(mask), read_nifti(truth))
        written = finish(this, record, room.RESULT_VERSION, {}, [mask, truth], [], numbers, ())
        if record is None:
            typer.echo(json.dumps(written, indent=1))


def checked_settings(model: Any, text: str) -> Any:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'top level'}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join(["--settings:", *lines])) from None


def finish(
    this: Step,
    path: Path | None,
    version: int,
    settings: Any,
    inputs: list[Path],
    outputs: list[Path],
    numbers: dict,
    warnings: Any,
    *,
    seed: int = 0,
    run: dict | None = None,
) -> dict:
    """Warnings to the log, the record to its file; returns the numbers as the record holds them.

    run   facts that differ from run to run, beside start, duration and memory
    """
    from medidiff.record import Record, finite

    for warning in warnings:
        log.warning("warning: %s", warning)
    if path is not None:
        plain = settings if isinstance(settings, dict) else settings.model_dump(mode="json")
        Record(
            task=this.name,
            study=this.study,
            method=this.method,
            result_version=version,
            settings=plain,
            seed=seed,
            inputs=inputs,
            outputs=outputs,
            numbers=numbers,
            warnings=tuple(warnings),
            command=sys.argv[1:],
            run=this.run_facts() | (run or {}),
        ).write(path)
    return finite(dict(numbers))
