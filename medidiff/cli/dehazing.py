"""`medidiff dehaze|cine|score`: an ultrasound recording without its haze, as clips to look at, and how well it went."""

from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli import steps
from medidiff.cli.step import log, step

RecordingFile = Annotated[
    Path, typer.Argument(help="zea, UFF, HDF5 or .npy with a description, Clarius .raw, .mha, DICOM", show_default=False)
]
Result = Annotated[Path, typer.Argument(help="HDF5 file that `medidiff dehaze` writes", show_default=False)]
Out = Annotated[
    Path, typer.Argument(help=".hdf5 holds everything; .dcm, .mha, .gif or .mp4 the pictures alone", show_default=False)
]
Method = Annotated[str, typer.Option(help="of dehaze.signal.methods; empty: the section's first")]
Facts = Annotated[str, typer.Option(help="JSON of what the file does not tell, as in studies.recordings")]
Bmode = Annotated[str, typer.Option(help="JSON of dehaze.bmode")]


def dehaze(
    recording: RecordingFile,
    out: Out,
    method: Method = "",
    facts: Facts = "{}",
    bmode: Bmode = "{}",
    study: steps.Study = "study",
    settings: steps.SettingsText = "{}",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Remove haze from RF, IQ or pictures; the removed haze is kept beside the tissue."""
    from medidiff.dehazing import settings as room

    with step("dehaze", study=study, method=method, log_file=log_file) as this:
        import json

        from medidiff.dehazing.bmode_settings import BmodeSettings, DehazeSections
        from medidiff.dehazing.clips import write_clip
        from medidiff.dehazing.model import assemble_priors
        from medidiff.dehazing.track import dehaze_recording
        from medidiff.io.prior_files import read_prior
        from medidiff.io.ultrasound.reading import read_recording
        from medidiff.io.ultrasound.settings import RecordingFacts
        from medidiff.io.ultrasound.zea import write_zea

        found, said = read_recording(recording, steps.checked_settings(RecordingFacts, facts))
        defaults = DehazeSections().image if found.kind == "image" else room.DehazeSettings()
        chosen = steps.checked_settings(room.DehazeSettings, settings) if settings != "{}" else defaults
        name = method or chosen.methods[0]
        kind = room.NEED_MODEL.get(name)
        folder = getattr(chosen, kind) if kind else None
        priors = assemble_priors({kind: read_prior(folder)} if folder else {})
        shown = steps.checked_settings(BmodeSettings, bmode)
        result = dehaze_recording(found, method=name, settings=chosen, bmode=shown, priors=priors, seed=chosen.seed)
        if out.suffix.lower() in (".h5", ".hdf5"):
            write_zea(result.recording, out, extras=result.extras)
        else:
            write_clip(result.extras["picture_after"], out, recording=found, method=name, source=recording, rows=shown.rows)
        for key, value in result.times.items():
            log.info("%s: %.3g", key, value)
        plain = {"dehaze": chosen.model_dump(mode="json"), "bmode": shown.model_dump(mode="json")}
        inputs = [recording, *([Path(folder)] if folder else [])]
        warnings = (*said, *result.warnings)
        written = steps.finish(
            this,
            record,
            room.RESULT_VERSION,
            plain,
            inputs,
            [out],
            result.numbers,
            warnings,
            seed=chosen.seed,
            run=dict(result.times),
        )
        if record is None:
            typer.echo(json.dumps(written | dict(result.times), indent=1))


def cine(
    result: Result,
    source: RecordingFile,
    gif: Annotated[Path, typer.Argument(help="before and after, side by side", show_default=False)],
    clip: Annotated[Path, typer.Argument(help="the dehazed pictures: .dcm, .mha or .mp4", show_default=False)],
    method: Method = "",
    facts: Facts = "{}",
    bmode: Bmode = "{}",
    study: steps.Study = "study",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Clips of a result: before and after as a GIF, the dehazed pictures as DICOM, derived from the source where it is DICOM."""
    from medidiff.dehazing import settings as room

    with step("cine", study=study, method=method, log_file=log_file) as this:
        from medidiff.dehazing.bmode_settings import BmodeSettings
        from medidiff.dehazing.clips import side_by_side, write_clip, write_frames
        from medidiff.io.ultrasound.cine import write_gif
        from medidiff.io.ultrasound.reading import read_recording
        from medidiff.io.ultrasound.settings import RecordingFacts
        from medidiff.io.ultrasound.zea import read_extras, read_zea

        known = steps.checked_settings(RecordingFacts, facts)
        read = read_zea(result)
        pictures = read_extras(result, ["picture_before", "picture_after"])
        before, after = pictures["picture_before"], pictures["picture_after"]
        found, _ = read_recording(source, known)
        write_gif(side_by_side(before, after), gif, frame_rate_hz=read.frame_rate_hz)
        name = method or str(read.facts.get("dehazed_by", "dehaze"))
        shown = steps.checked_settings(BmodeSettings, bmode)
        write_clip(after, clip, recording=found, method=name, source=source, rows=shown.rows)
        outputs = [gif, clip]
        if known.clip:
            outputs += write_frames(after, clip.with_suffix(""), source=source)
        numbers = {"frames": len(after), "picture": list(after.shape[1:])}
        steps.finish(this, record, room.RESULT_VERSION, {}, [result, source], outputs, numbers, ())


def score(
    result: Result,
    source: RecordingFile,
    method: Method = "",
    facts: Facts = "{}",
    study: steps.Study = "study",
    record: steps.Record = None,
    log_file: steps.Log = None,
) -> None:
    """Figures of a result: against the truth of a generated scan, else contrast between the regions that the facts name."""
    from medidiff.dehazing import settings as room

    with step("score", study=study, method=method, log_file=log_file) as this:
        import json

        from medidiff.dehazing.judgement import judge
        from medidiff.io.ultrasound.reading import read_recording
        from medidiff.io.ultrasound.settings import RecordingFacts
        from medidiff.io.ultrasound.zea import read_extras, read_zea

        known = steps.checked_settings(RecordingFacts, facts)
        before, _ = read_recording(source, known)
        truth = read_extras(source, ["x", "h", "labels"]) if source.suffix in (".h5", ".hdf5") else {}
        is_known = set(truth) == {"x", "h", "labels"}
        numbers, warnings = judge(
            before,
            read_zea(result),
            haze=read_extras(result, ["haze"]).get("haze"),
            truth=truth if is_known else None,
            tissue=known.tissue,
            chamber=known.chamber,
        )
        chosen = known.model_dump(mode="json")
        written = steps.finish(this, record, room.RESULT_VERSION, chosen, [result, source], [], numbers, warnings)
        if record is None:
            typer.echo(json.dumps(written, indent=1))


def validate_clips(predictions: Path, challenge_folder: Path, output: Path) -> None:
    """Score a folder of dehazed frames as DehazingEcho2025 does, as far as it can be done: `figures.json` and `frames.csv`.

    FID, Dice and ASD of the challenge need networks and labels that are not public: those groups of the score are partial.
    """
    import json

    from medidiff.dehazing.judgement import challenge_frame, challenge_total
    from medidiff.errors import DataError
    from medidiff.io.atomic import write_text
    from medidiff.io.layouts.dehazingecho import read_frames

    rows, missing = {}, []
    for frame in read_frames(challenge_folder, predictions):
        if frame.dehazed is None:
            missing.append(frame.name)  # counts as what it was
        dehazed = frame.hazy if frame.dehazed is None else frame.dehazed
        if dehazed.shape != frame.hazy.shape:
            raise DataError(f"{frame.name}: found {dehazed.shape} pixels, expected {frame.hazy.shape}. Do not resample it.")
        rows[frame.name] = challenge_frame(frame.hazy, dehazed, frame.regions)
    total = challenge_total(rows) | {"missing_predictions": missing}
    columns = ("cnr", "gcnr", "ks_a", "ks_b")
    lines = [",".join(("frame", *columns))] + [
        ",".join((name, *(f"{row[c]:.6g}" for c in columns))) for name, row in rows.items()
    ]
    write_text(output / "figures.json", json.dumps(total, indent=2, allow_nan=False) + "\n")
    write_text(output / "frames.csv", "\n".join(lines) + "\n")
    typer.echo(json.dumps(total, indent=2))
