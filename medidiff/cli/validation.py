"""`medidiff cases|validate`: a challenge folder to a study table; its predictions to leaderboard figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from medidiff.segmentation.leaderboard import Leaderboard

Predictions = Annotated[Path, typer.Argument(help="folder of <case>.nii.gz, label maps", show_default=False)]
Folder = Annotated[Path, typer.Argument(help="the challenge folder as unpacked", show_default=False)]
Name = Annotated[
    Literal["hecktor2021", "hecktor2022", "hecktor2025", "autopet", "autopet-nnunet", "dehazingecho2025"],
    typer.Option(help="layout, labels and figures; autopet-nnunet: autoPET in the layout of nnU-Net", show_default=False),
]


def cases(
    challenge_folder: Folder,
    challenge: Name,
    table: Annotated[Path, typer.Option("-o", "--output", help="the study table (TSV)", show_default=False)],
) -> None:
    """Write the study table of a challenge folder, which a configuration names as studies.table."""
    from medidiff.io.atomic import write_text
    from medidiff.io.layouts.dehazingecho import NAME, echo_studies
    from medidiff.io.layouts.segmentation import petct_studies
    from medidiff.segmentation.leaderboard import CHALLENGES
    from medidiff.studies import write_studies

    if challenge == NAME:
        studies = echo_studies(challenge_folder)
    else:
        studies = petct_studies(CHALLENGES[challenge].cases(challenge_folder), challenge_folder)
    write_text(table, write_studies(studies))
    usable = sum(study.status == "ok" for study in studies)
    typer.echo(f"{table}: {usable} studies, {len(studies) - usable} rejected")


def validate(
    predictions: Predictions,
    challenge_folder: Folder,
    challenge: Name,
    output: Annotated[Path, typer.Option("-o", "--output", help="folder for figures.json and cases.csv")] = Path("validation"),
    connectivity: Annotated[int, typer.Option(help="6, 18 or 26 neighbours make a lesion; 0: as the challenge says")] = 0,
    draws: Annotated[int, typer.Option(help="of the bootstrap over patients", min=100)] = 1000,
    seed: Annotated[int, typer.Option(help="of the bootstrap", min=0)] = 0,
) -> None:
    """Score a folder of predictions as a challenge does, with 95 % intervals; a missing prediction counts as empty."""
    import json

    from medidiff.cli.dehazing import validate_clips
    from medidiff.errors import ConfigError
    from medidiff.io.atomic import write_text
    from medidiff.segmentation.leaderboard import CHALLENGES
    from medidiff.segmentation.leaderboard import validate as run

    if connectivity not in (0, 6, 18, 26):
        raise ConfigError(f"--connectivity: found {connectivity}, expected 6, 18 or 26, or 0 for that of the challenge.")
    if challenge == "dehazingecho2025":
        validate_clips(predictions, challenge_folder, output)
        return
    rules = CHALLENGES[challenge]
    neighbours = connectivity or rules.connectivity
    found = run(predictions, challenge_folder, rules, connectivity=neighbours, draws=draws, seed=seed)
    content = {
        "challenge": challenge,
        "cases": len(found.rows),
        "connectivity": neighbours,
        "figures": {name: _jsonable(vars(interval)) for name, interval in found.figures.items()},
        "undefined": {column: count for column, count in _undefined(found).items() if count},
        "missing_predictions": found.missing,
        "cases_without_labels": found.unlabelled,
        "bootstrap": {"draws": draws, "seed": seed, "level": 0.95},
    }
    write_text(output / "figures.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_text(output / "cases.csv", _csv(found))
    _show(found, challenge, neighbours)


def _jsonable(numbers: dict[str, float]) -> dict[str, float | int | str | None]:
    """Numbers for JSON: None for what is undefined, the word for what has no bound."""
    import math

    return {name: None if math.isnan(value) else ("infinite" if math.isinf(value) else value) for name, value in numbers.items()}


def _undefined(found: "Leaderboard") -> dict[str, int]:
    import math

    columns = next(iter(found.rows.values()))
    return {column: sum(math.isnan(row[column]) for row in found.rows.values()) for column in columns}


def _csv(found: "Leaderboard") -> str:
    import csv
    import io

    text = io.StringIO()
    columns = list(next(iter(found.rows.values())))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "predicted", *columns])
    for name, row in found.rows.items():
        writer.writerow([name, "no" if name in found.missing else "yes", *(row[column] for column in columns)])
    return text.getvalue()


def _show(found: "Leaderboard", challenge: str, neighbours: int) -> None:
    from rich.console import Console
    from rich.table import Table

    screen = Console(soft_wrap=True)
    table = Table("figure", "value", "low", "high", "patients", title=f"{challenge}, {len(found.rows)} cases, 95 % intervals")
    for name, interval in found.figures.items():
        numbers = (f"{value:.4f}" for value in (interval.value, interval.low, interval.high))
        table.add_row(name, *numbers, str(interval.patients))
    screen.print(table)
    screen.print(f"lesions are joined by {neighbours} neighbours", markup=False)
    if found.missing:
        screen.print(f"no prediction, counted as empty: {', '.join(found.missing)}", markup=False)
    if found.unlabelled:
        screen.print(f"without labels, left out: {len(found.unlabelled)} cases", markup=False)
