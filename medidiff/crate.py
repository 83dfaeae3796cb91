"""A results folder as a Process Run Crate: which step made which file of what, for archives and journals to read.

RO-Crate 1.1 with the profile Process Run Crate 0.5 (Workflow Run RO-Crate working group, 2024): one `CreateAction` for each
record, and one with an error for each step that failed. It names no source folder and no command line, which can carry names
of people: what was read from outside is known by its SHA-256 alone.
"""

import json
import mimetypes
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import medidiff
from medidiff.io.atomic import write_text
from medidiff.progress import State
from medidiff.record import read_record, sha256

FILE = "ro-crate-metadata.json"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
COMPLETED, FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"
NO_RECORDS = ("phantom", "page")  # steps that leave a list of files or a page, and no record
TYPES = {".gz": "application/gzip", ".h5": "application/x-hdf5", ".hdf5": "application/x-hdf5", ".dcm": "application/dicom"}


def write_crate(results: Path, states: Iterable[State], *, title: str, license: str) -> Path:
    """The file `ro-crate-metadata.json` of a results folder, the same bytes for the same records and failures.

    results   folder of `{study}/{step}/...`
    states    of all steps, in the order of the workflow: done ones give an action by their record, failed ones one with an error
    title     of the crate
    license   under which the results may be used: an URL, or words

    Raises DataError for a record that cannot be read.
    """
    entities, actions = Entities(Path(results)), []
    for state in states:
        if state.job.step in NO_RECORDS:
            continue
        if state.word == "done":
            actions.append(_completed(state, entities))
        elif state.word == "failed":
            actions.append(_failed(state, entities))
    graph = [*_frame(license), _root(entities, actions, title, license), *entities.listed(), *actions]
    path = Path(results) / FILE
    write_text(path, json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False) + "\n")
    return path


class Entities:
    """The files and programs that actions refer to, each described once."""

    def __init__(self, results: Path):
        self.results = results
        self.files: dict[str, dict] = {}
        self.outside: dict[str, dict] = {}
        self.programs: dict[str, dict] = {}
        self.by_content: dict[str, str] = {}

    def file(self, path: Path, digest: str) -> str:
        """The name of a file of the results."""
        name = quote(path.relative_to(self.results).as_posix())
        kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.files[name] = {"@id": name, "@type": "File", "name": path.name, "encodingFormat": kind, "sha256": digest}
        self.by_content.setdefault(digest, name)
        return name

    def input(self, item: Mapping) -> str:
        """The name of what was read: a file of the results with this content, else something that stands for the content."""
        digest = str(item["sha256"])
        if digest in self.by_content:
            return self.by_content[digest]
        name = f"#sha256-{digest}"
        what = f"folder of {item['files']} files" if "files" in item else "file"
        content = {"name": f"{what} from outside the results", "identifier": f"sha256:{digest}"}
        self.outside[name] = {"@id": name, "@type": "CreativeWork", **content}
        return name

    def program(self, version: str, commit: str) -> str:
        """The name of medidiff in one version."""
        whole = f"{version}+{commit.rstrip('+')}" if commit else version
        name = f"#medidiff-{quote(whole)}"
        self.programs[name] = {"@id": name, "@type": "SoftwareApplication", "name": "medidiff", "softwareVersion": whole}
        return name

    def listed(self) -> list[dict]:
        """All of them, sorted."""
        return [found[name] for found in (self.programs, self.outside, self.files) for name in sorted(found)]


def _frame(license: str) -> Iterator[dict]:
    about = {"about": {"@id": "./"}, "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"}}
    yield {"@id": FILE, "@type": "CreativeWork", **about}
    yield {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    if license.startswith("http"):
        yield {"@id": license, "@type": "CreativeWork", "name": license, "description": "licence of the results"}


def _root(entities: Entities, actions: list[dict], title: str, license: str) -> dict:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": title,
        "description": f"Results of medidiff: {len(actions)} steps, {len(entities.files)} files.",
        "datePublished": max((action["endTime"] for action in actions if "endTime" in action), default="1970-01-01"),
        "license": {"@id": license} if license.startswith("http") else license,
        "conformsTo": {"@id": PROFILE},
        "hasPart": _references(sorted(entities.files)),
        "mentions": _references(action["@id"] for action in actions),
    }


def _completed(state: State, entities: Entities) -> dict:
    """The action of a record."""
    path = state.job.record
    record = read_record(path)
    outputs = {path.parent / name: digest for name, digest in record["result"].get("outputs", {}).items()}
    made = [entities.file(name, digest) for name, digest in {**outputs, path: sha256(path)}.items()]
    read = dict.fromkeys(entities.input(item) for item in record.get("inputs", []))
    program = entities.program(record.get("versions", {}).get("medidiff", ""), record.get("commit", ""))
    run, times = record.get("run", {}), {}
    if "started" in run:
        ended = datetime.fromisoformat(run["started"]) + timedelta(seconds=float(run.get("seconds", 0)))
        times = {"startTime": run["started"], "endTime": ended.isoformat(timespec="seconds")}
    settings = f"Result version {record.get('result_version')}, seed {record.get('seed')}; the settings are in {path.name}."
    chain = {"description": settings, "object": _references(read), "result": _references(made)}
    return _action(state, COMPLETED) | {"instrument": {"@id": program}, **times, **chain}


def _failed(state: State, entities: Entities) -> dict:
    last = state.attempts[-1]
    times = {name: last[key] for name, key in (("startTime", "start"), ("endTime", "end")) if key in last}
    program = entities.program(medidiff.__version__, "")
    return _action(state, FAILED) | {"instrument": {"@id": program}, **times, "description": "No result.", "error": state.error}


def _action(state: State, status: str) -> dict:
    job = state.job
    name = f"{job.step} of {job.study}" + (f" by {job.method}" if job.method else "")
    place = "/".join(filter(None, (job.study, job.step, job.method)))
    return {"@id": f"#{quote(place)}", "@type": "CreateAction", "name": name, "actionStatus": status}


def _references(names: Iterable[str]) -> dict | list[dict]:
    """Of one thing its reference, of several a list, as RO-Crate wants it."""
    found = [{"@id": name} for name in names]
    return found[0] if len(found) == 1 else found
