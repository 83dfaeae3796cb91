"""What is known of one study: its records, the journal of its attempts, and the state that follows from both."""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

from medidiff.errors import DataError
from medidiff.journal import attempts, read_journal
from medidiff.record import read_record

# in the order of the workflow
STEPS = ("phantom", "convert", "truth", "segment", "export", "maps", "evaluate", "chromatograph", "elute")
STEPS += ("simulate", "acquire", "reference", "reconstruct", "series", "compare", "dehaze", "cine", "score")
STEPS += ("trajectories", "operate", "super-resolve", "control")
ROOMS = tuple(step for step in STEPS if step not in ("phantom", "truth", "export", "maps"))  # folders that hold records
RESULTS = ("segment", "chromatograph", "elute", "operate", "reconstruct", "dehaze")  # steps whose record makes a study done
STATES = ("failed", "unfinished", "waiting", "rejected", "done")
VOLUMES = {"CT": "convert/ct.nii.gz", "PET": "convert/pet.nii.gz"}
TRUTHS = {"CT": "convert/truth_ct.nii.gz", "PET": "convert/truth_pet.nii.gz"}


@dataclass(frozen=True)
class Attempt:
    """One attempt at a step, as the journal has it."""

    step: str
    method: str
    facts: Mapping[str, Any]

    @property
    def outcome(self) -> str:
        """ok, failed, or unfinished (killed, or running still)."""
        if "exit" not in self.facts:
            return "unfinished"
        return "failed" if self.facts["exit"] else "ok"

    @property
    def command(self) -> str:
        """The line that repeats it."""
        return command_line(self.facts.get("command"))


@dataclass(frozen=True)
class Study:
    """Everything that the files of one study say; each part may be missing."""

    name: str
    folder: Path
    records: dict[tuple[str, str], dict] = field(default_factory=dict)  # (step, method)
    attempts: tuple[Attempt, ...] = ()
    notes: tuple[str, ...] = ()  # what could not be read
    rejected: str = ""  # why the study table left it out

    @property
    def last_attempts(self) -> list[Attempt]:
        """The latest attempt at each step."""
        return list({(attempt.step, attempt.method): attempt for attempt in self.attempts}.values())

    @property
    def failures(self) -> list[Attempt]:
        """Steps whose latest attempt failed."""
        return [attempt for attempt in self.last_attempts if attempt.outcome == "failed"]

    @property
    def state(self) -> str:
        """One of STATES."""
        if self.rejected:
            return "rejected"
        if self.failures:
            return "failed"
        if any(attempt.outcome == "unfinished" for attempt in self.last_attempts):
            return "unfinished"
        return "done" if any(step in RESULTS for step, _ in self.records) else "waiting"

    @property
    def error(self) -> str:
        """The message of the first failed step; of a rejected study the reason."""
        return self.rejected or next((str(failure.facts.get("error") or "") for failure in self.failures), "")

    @property
    def methods(self) -> list[str]:
        """Methods with a result or an attempt, sorted."""
        return sorted({method for _, method in self.records if method} | {a.method for a in self.attempts if a.method})

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """(step, text) of every warning in the records, and of what could not be read."""
        found = [(_title(*key), str(text)) for key, record in self.records.items() for text in warnings_of(record)]
        return found + [("report", note) for note in self.notes]

    def numbers(self, step: str, method: str = "") -> dict[str, Any]:
        """The record's numbers, nested keys joined by dots."""
        result = self.records.get((step, method), {}).get("result")
        return dict(flat(result.get("numbers"))) if isinstance(result, dict) else {}

    def measures(self, method: str) -> dict[str, float]:
        """The numbers of one method's result and of its comparison with the truth."""
        steps = ("segment", "evaluate", "reconstruct", "compare", "dehaze", "score")
        both = {name: value for step in steps for name, value in self.numbers(step, method).items()}
        return {name: value for name, text in both.items() if (value := number(text)) is not None}

    def volume_paths(self, paths: Mapping[str, str]) -> dict[str, Path]:
        """Those of the volumes that exist."""
        return {name: self.folder / path for name, path in paths.items() if (self.folder / path).is_file()}

    def mask_paths(self) -> dict[str, Path]:
        """The mask of each method that has one."""
        return {m: path for m in self.methods if (path := self.folder / "segment" / f"{m}.nii.gz").is_file()}


Journals = Mapping[str, list[tuple[str, str, Path]]]  # by study: step, method, file


def find_journals(logs: Path) -> Journals:
    """Every `{step}/{study}[_{method}].jsonl` below the folder of logs, by study, in the order of the workflow."""
    found: dict[str, list[tuple[str, str, Path]]] = {}
    for step in STEPS:
        for path in sorted((Path(logs) / step).glob("*.jsonl")):
            study, _, method = path.name.removesuffix(".jsonl").partition("_")  # names of studies have no underscore
            found.setdefault(study, []).append((step, method, path))
    return found


def journals_of(logs: Path, name: str) -> Journals:
    """The journals of one study, found without listing those of the others."""
    found = []
    for step in STEPS:
        folder = Path(logs) / step
        mine = [*folder.glob(f"{escape(name)}.jsonl"), *folder.glob(f"{escape(name)}_*.jsonl")]
        found += [(step, path.stem.partition("_")[2], path) for path in sorted(mine)]
    return {name: found} if found else {}


def record_paths(results: Path, name: str) -> list[Path]:
    """The records of one study, in the order of the workflow."""
    return [path for room in ROOMS for path in sorted((Path(results) / name / room).glob("*.json"))]


def read_study(results: Path, journals: Journals, name: str, *, rejected: str = "") -> Study:
    """What the files say; unreadable ones become notes.

    results    folder that holds `{study}/convert`, `{study}/segment`, `{study}/evaluate`
    journals   of `find_journals`
    rejected   the study table's reason
    """
    folder = Path(results) / name
    records, notes = {}, []
    for path in record_paths(results, name):
        try:
            record = read_record(path)
        except DataError as error:
            notes.append(str(error).replace(str(path), path.relative_to(folder).as_posix()))
            continue
        records[str(record["task"]), str(record.get("method") or "")] = record
    ordered = dict(sorted(records.items(), key=lambda item: (_position(item[0][0]), item[0])))
    return Study(name, folder, ordered, tuple(_attempts(journals.get(name, []))), tuple(notes), rejected)


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, value) of every leaf of nested dictionaries; a list counts as a leaf unless it holds dictionaries."""
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        value = {str(item.get("name") or position): item for position, item in enumerate(value, start=1)}
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif prefix:
        yield prefix, value


def number(value: Any) -> float | None:
    """The value as a float, infinite ones included; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and value not in ("inf", "-inf"):
        return None
    return None if math.isnan(float(value)) else float(value)


def warnings_of(record: Mapping[str, Any]) -> list:
    """The warnings of a record."""
    result = record.get("result")
    found = result.get("warnings") if isinstance(result, dict) else None
    return found if isinstance(found, list) else []


def command_line(command: Any) -> str:
    """The line to type: records keep the arguments after `medidiff`, or the whole line."""
    if isinstance(command, list | tuple):
        return shlex.join(["medidiff", *map(str, command)])
    return str(command or "")


def _attempts(journals: Iterable[tuple[str, str, Path]]) -> Iterator[Attempt]:
    for step, method, path in journals:
        for facts in attempts(read_journal(path)):
            yield Attempt(step, method, facts)


def _position(step: str) -> int:
    return STEPS.index(step) if step in STEPS else len(STEPS)


def _title(step: str, method: str) -> str:
    return f"{step} {method}".strip()
