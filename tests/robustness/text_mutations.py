"""Text files, such as YAML, JSON, tables and XML: hostile words, numbers that are none, depth, and bombs of references."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.robustness.mutation import ANY, REFUSED, Mutation, Random, files_of

SUFFIXES = (".yaml", ".yml", ".json", ".tsv", ".csv", ".jdx", ".mzML", ".jsonl")
Edit = Callable[[str, Random], str | bytes]


def in_text(name: str, expect: str, edit: Edit) -> Mutation:
    """The edit in one text file."""

    def change(folder: Path, random: Random) -> None:
        files = [path for path in files_of(folder) if path.suffix in SUFFIXES]
        path = files[random.integers(len(files))]
        made = edit(path.read_text(encoding="utf-8"), random)
        path.write_bytes(made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass"))

    return Mutation(f"text: {name}", expect, change)


def replaced(pattern: str, new: str) -> Edit:
    """One place that the pattern finds becomes another text."""

    def edit(text: str, random: Random) -> str:
        places = list(re.finditer(pattern, text))
        start, end = places[random.integers(len(places))].span() if places else (0, 0)
        return text[:start] + new + text[end:]

    return edit


number = partial(replaced, r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
word = partial(replaced, r"[A-Za-z_]{3,}")


def _line(change: Callable[[list[str], int], None]) -> Edit:
    def edit(text: str, random: Random) -> str:
        lines = text.split("\n")
        change(lines, int(random.integers(len(lines))))
        return "\n".join(lines)

    return edit


TEXTS = (
    *(in_text(f"number {shown}", ANY, number(shown)) for shown in ("nan", "1e999", "-1", "0", "9" * 5000, "1_0", "0x7f", "")),
    *(in_text(f"word {shown[:12]}", ANY, word(shown)) for shown in ("<script>alert(1)</script>", "../../../etc/passwd", "null")),
    in_text("line removed", ANY, _line(lambda lines, at: lines.pop(at))),
    in_text("line twice", ANY, _line(lambda lines, at: lines.insert(at, lines[at]))),
    in_text("line of a million", ANY, _line(lambda lines, at: lines.insert(at, "x" * 1_000_000))),
    in_text("NUL", ANY, lambda text, random: text.replace("e", "\0", 3)),
    in_text("latin-1", ANY, lambda text, random: text.replace("e", "é", 3).encode("latin-1", "replace")),
    in_text("UTF-16", ANY, lambda text, random: text.encode("utf-16")),
    in_text("byte order mark", ANY, lambda text, random: "\ufeff" + text),
    in_text("Windows lines", ANY, lambda text, random: text.replace("\n", "\r\n")),
    in_text("lone surrogate", ANY, lambda text, random: text.replace("e", "\ud800", 1)),
)
_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
YAML = (
    in_text("brackets", REFUSED, lambda text, random: "[" * 20_000),
    in_text("braces", REFUSED, lambda text, random: "a: " + "{b: " * 5_000),
    in_text("billion laughs", REFUSED, lambda text, random: text + "\n" + _LAUGHS),
    in_text("itself", REFUSED, lambda text, random: text + "\nloop: &loop [*loop]\n"),
    in_text("object", REFUSED, lambda text, random: text + "\nx: !!python/object/apply:os.system ['touch CANARY']\n"),
    in_text("list at the top", REFUSED, lambda text, random: "- a\n- b\n"),
    in_text("nothing", ANY, lambda text, random: ""),
    in_text("keys that are no text", REFUSED, lambda text, random: text + "\n? [1, 2]\n: 3\n4: 5\n"),
    in_text("a date", REFUSED, lambda text, random: text + "\nwhen: 2020-01-01\n"),
)
JSON = (
    in_text("brackets", REFUSED, lambda text, random: "[" * 100_000),
    in_text("braces", REFUSED, lambda text, random: '{"a":' * 100_000),
    in_text("list at the top", REFUSED, lambda text, random: "[1, 2]"),
    in_text("a number at the top", REFUSED, lambda text, random: "3"),
    in_text("nothing", REFUSED, lambda text, random: ""),
    in_text("NaN", ANY, number("NaN")),
    in_text("a list for a number", ANY, number("[1, 2]")),
    in_text("an object for a number", ANY, number('{"a": 1}')),
    in_text("a text for a number", ANY, number('"x"')),
)
XML = (
    in_text("document type", REFUSED, lambda text, random: '<!DOCTYPE a [<!ENTITY b "c">]>' + text.partition("?>")[2]),
    in_text("depth", ANY, lambda text, random: "<a>" * 50_000),
)
