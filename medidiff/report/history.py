"""What was done with a study, and how each attempt went, as rows of its page."""

import json

from medidiff.report.study import Attempt, Study, command_line, flat
from medidiff.report.wording import quantity


def steps_of(study: Study) -> list[dict]:
    """One entry per record: name, duration, command, and everything needed to repeat it."""
    return [_step(task, method, record=record) for (task, method), record in study.records.items()]


def attempts_of(study: Study) -> list[dict]:
    """One entry per attempt of the journals: outcome, time, memory, place, end of the log of failed ones."""
    return [_attempt(attempt) for attempt in study.attempts]


def _step(task: str, method: str, *, record: dict) -> dict:
    rows = [(f"settings: {key}", value) for key, value in flat(record.get("settings"))]
    rows += [("result version", record.get("result_version")), ("seed", record.get("seed")), ("commit", record.get("commit"))]
    rows.append(("versions", ", ".join(f"{key} {value}" for key, value in flat(record.get("versions")))))
    rows += [(f"input {_text(item, 'path')}", _text(item, "sha256")) for item in record.get("inputs") or []]
    result = record.get("result") if isinstance(record.get("result"), dict) else {}
    rows += [(f"output {key}", value) for key, value in (result.get("outputs") or {}).items()]
    run = record.get("run") if isinstance(record.get("run"), dict) else {}
    took = f"{quantity(run['seconds'])} s" if "seconds" in run else ""
    name = f"{task} {method}".strip()
    return {
        "name": name,
        "took": took,
        "command": command_line(record.get("command")),
        "rows": [row for row in rows if row[1] != ""],
    }


def _text(item: object, key: str) -> str:
    return str(item.get(key, "")) if isinstance(item, dict) else json.dumps(item)


def _attempt(attempt: Attempt) -> dict:
    facts = attempt.facts
    seconds, memory = facts.get("seconds"), facts.get("peak_rss_mb")
    job = f"Slurm job {facts['slurm_job']}" if facts.get("slurm_job") else ""
    gpu = f"GPU {facts['gpu']}" if facts.get("gpu") else ""
    return {
        "step": f"{attempt.step} {attempt.method}".strip(),
        "number": facts.get("attempt", ""),
        "outcome": attempt.outcome,
        "start": str(facts.get("start", "")).replace("T", " "),
        "seconds": f"{quantity(seconds)} s" if seconds is not None else "–",
        "memory": f"{quantity(memory)} MB" if memory is not None else "–",
        "where": ", ".join(filter(None, [str(facts.get("host") or ""), job, gpu])),
        "log_tail": facts.get("log_tail") if attempt.outcome == "failed" else None,
    }
