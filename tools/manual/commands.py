"""The page of all verbs of the command line, from the parameters that typer parses."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import typer

from medidiff.cli.app import app

HEAD = """# Commands

Written from the code by `make reference`. `medidiff VERB --help` prints the same. Every single step takes its part of the
configuration as JSON in `--settings`; what a part may say stands in [Configuration](../configuration.md). Exit status: 0 done,
2 a mistake in configuration or arguments, 3 data that cannot be used, 4 numbers that went wrong, 1 a bug.
"""


def markdown() -> str:
    """One section per verb, in the order in which the help lists them."""
    lines = [HEAD]
    for name, command in verbs():
        lines += [f"## `medidiff {name}`", "", _paragraphs(command.help), "", f"    medidiff {name} {_usage(command)}", ""]
        lines += _table(command)
    return "\n".join(lines)


def verbs() -> Iterator[tuple[str, Any]]:
    """Name and parsed command of every verb; those inside groups as `GROUP VERB`."""
    for name, command in typer.main.get_command(app).commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {verb}", parsed) for verb, parsed in inner.items())


def _parameters(command: Any) -> list[Any]:
    return [p for p in command.params if p.name != "help" and not p.hidden]


def _usage(command: Any) -> str:
    words = []
    for p in _parameters(command):
        if p.param_type_name == "argument":
            word = p.name.upper() + ("..." if p.nargs == -1 else "")
            words.append(word if p.required else f"[{word}]")
        elif p.required:
            words.append(f"{max(p.opts, key=len)} {p.name.upper()}")
    return " ".join([*words, "[OPTIONS]"])


def _table(command: Any) -> list[str]:
    rows = [(_names(p), _default(p), _meaning(p)) for p in _parameters(command)]
    if not rows:
        return []
    cells = [f"| {name} | {default} | {meaning} |" for name, default, meaning in rows]
    return ["| parameter | default | meaning |", "| --- | --- | --- |", *cells, ""]


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    names = sorted(parameter.opts, key=len, reverse=True) + parameter.secondary_opts
    return ", ".join(f"`{name}`" for name in names)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.default in (None, "", ()):
        return ""
    return f"`{parameter.default}`"


def _meaning(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    parts = [parameter.help or "", "one of " + ", ".join(f"`{choice}`" for choice in choices) if choices else ""]
    return "; ".join(part for part in parts if part).replace("|", "\\|").replace("\n", " ")


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").strip().split("\n\n"))
