"""The study table: one line per study, tab-separated, made by `medidiff scan` and edited by hand."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from medidiff.errors import ConfigError

KINDS = ("petct", "ct", "mr", "us", "pde", "lc")
COLUMNS = ("study", "kind", "path", "ct", "pet", "truth", "status", "reason", "split")
STUDY_NAME = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True)
class Study:
    """One line of the table."""

    study: str  # unique name, [A-Za-z0-9-]+; becomes the wildcard and the folder name
    kind: str  # petct | ct | mr | us | pde | lc
    path: str  # file or folder; relative paths start at the table's folder
    ct: str = ""  # SeriesInstanceUID, or file below path; empty: chosen when there is only one
    pet: str = ""  # the same for PET
    truth: str = ""  # reference contours (RTSTRUCT) or label file, relative to path; empty: none
    status: str = "ok"  # ok | reject: rejected studies never enter the workflow
    reason: str = ""  # why it was rejected
    split: str = ""  # train | val | test or empty
    line: int = 0  # where it stands in the table
    more: dict = field(default_factory=dict)  # free columns, kept


def read_studies(path: str | Path) -> dict[str, Study]:
    """Every study of the table by name, paths made absolute to the table's folder.

    Raises ConfigError that lists all mistakes with their line numbers: duplicate or illegal names, unknown kinds,
    missing paths, mixed separators, an empty table.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: the study table cannot be read ({error}). `medidiff scan FOLDER -o {path}` makes one."
        ) from error
    try:
        reader = csv.DictReader(io.StringIO(text), delimiter="\t")
        header, rows = reader.fieldnames or [], list(reader)
    except csv.Error as error:
        raise ConfigError(
            f"{path}: not a table of tabs and lines ({error}). `medidiff scan FOLDER -o {path}` makes one."
        ) from error
    if "study" not in header or "path" not in header:
        hint = " The columns are separated by commas; use tabs." if "," in (header[0] if header else "") else ""
        raise ConfigError(f"{path}: line 1: expected a header with at least `study`, `kind` and `path`, found {header}.{hint}")
    studies, mistakes = {}, []
    for line, row in enumerate(rows, start=2):
        study = _study(row, line)
        mistakes += [f"line {line}: {text}" for text in _mistakes(study, row, path.parent, studies)]
        studies.setdefault(study.study, study)
    if not studies:
        mistakes.append("the table has a header but no study")
    if mistakes:
        raise ConfigError(f"{path}: " + "\n".join([f"{len(mistakes)} mistakes", *mistakes]))
    return {name: _located(study, path.parent) for name, study in studies.items()}


def write_studies(studies: Iterable[Study]) -> str:
    """The table as text."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for study in studies:
        writer.writerow(re.sub(r"[\t\r\n]+", " ", str(getattr(study, column))) for column in COLUMNS)
    return out.getvalue()


def _study(row: dict, line: int) -> Study:
    known = {name: (row.get(name) or "").strip() for name in COLUMNS}
    known["status"] = known["status"] or "ok"
    known["kind"] = known["kind"] or "petct"
    more = {name: value for name, value in row.items() if name not in COLUMNS and name is not None}
    return Study(**known, line=line, more=more)


def _mistakes(study: Study, row: dict, folder: Path, before: dict[str, Study]) -> list[str]:
    found = []
    if not STUDY_NAME.fullmatch(study.study):
        found.append(f"study {study.study!r}: use letters, digits and hyphens only")
    if study.study.lower() == "index":
        found.append("study 'index': this name is taken by the index page of the report")
    if study.study in before:
        found.append(f"study {study.study!r} stands already in line {before[study.study].line}; names must be unique")
    if study.kind not in KINDS:
        found.append(f"kind {study.kind!r}: expected one of {', '.join(KINDS)}")
    if study.status not in ("ok", "reject"):
        found.append(f"status {study.status!r}: expected ok or reject")
    if not study.path:
        found.append("path is empty")
    elif study.status == "ok" and not _exists(folder / study.path):
        found.append(f"path {study.path!r} does not exist (relative paths start at the table's folder)")
    if None in row:
        found.append("more cells than the header has columns")
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def _located(study: Study, folder: Path) -> Study:
    return Study(**{**study.__dict__, "path": str(folder / study.path)})
