"""The page of all rules of the workflow, from the files of `workflow/rules`."""

import re
from collections.abc import Iterator

from tools.manual.sources import ROOT

HEAD = """# Rules of the workflow

Written from the code by `make reference`. Each rule calls one verb of the [command line](commands.md). `RESULTS` is the folder
that `pathvars.results` names; every result has its record (JSON) beside it. A rule reruns when an input file, its own part of
the configuration or the version of its result has changed.
"""
RULE = re.compile(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def markdown() -> str:
    """One section per file, each a table of its rules."""
    lines = [HEAD]
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        rows = [f"| `{name}` | {_verb(body)} | {'<br>'.join(_outputs(body))} |" for name, body in RULE.findall(text)]
        if rows:
            lines += [f"## `{path.name}`", "", _comment(text), ""]
            lines += ["| rule | verb | writes |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(lines)


def _comment(text: str) -> str:
    head = re.match(r"(?:#[^\n]*\n)*", text)
    return " ".join(line.lstrip("# ") for line in (head.group() if head else "").splitlines())


def _verb(body: str) -> str:
    found = re.search(r'"medidiff ((?:data|phantom|config) [a-z{}.-]+|[a-z-]+)', body)
    return f"`{found.group(1)}`" if found else ""


def _outputs(body: str) -> Iterator[str]:
    section = re.search(r"^    output:\n(.*?)(?=^    \w|\Z)", body, re.MULTILINE | re.DOTALL)
    for path in re.findall(r'"<results>([^"]+)"', section.group(1) if section else ""):
        yield f"`RESULTS{path}`"
