"""Code blocks and links of the project's Markdown pages, with what checks them against the code."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools.manual.sources import ROOT


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str  # path from the root
    line: int
    language: str  # word behind the fence; of a directive its name in braces
    argument: str  # what stands behind that word
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Link:
    """One link or picture."""

    page: str
    target: str

    def __str__(self) -> str:
        return f"{self.page} -> {self.target}"


def pages() -> list[Path]:
    """Every page of the manual, README.md and the page of the profiles."""
    return [ROOT / "README.md", ROOT / "workflow" / "profiles" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks() -> Iterator[Block]:
    """All fenced blocks of all pages."""
    for page in pages():
        for token in _tokens(page):
            if token.type == "fence":
                language, _, argument = token.info.strip().partition(" ")
                yield Block(str(page.relative_to(ROOT)), token.map[0] + 1, language, argument.strip(), token.content)


def commands(block: Block) -> Iterator[list[str]]:
    """The words of every `medidiff` command of a shell block; empty for the output of programs and for other languages."""
    if block.language not in ("", "bash", "sh"):
        return
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.strip().startswith("medidiff "):
            yield shlex.split(line, comments=True)


def links() -> Iterator[Link]:
    """All links and pictures of all pages."""
    for page in pages():
        for token in _tokens(page):
            for child in token.children or ():
                target = child.attrs.get("href") or child.attrs.get("src")
                if target:
                    yield Link(str(page.relative_to(ROOT)), str(target))


def anchors(page: Path) -> set[str]:
    """The names that a page's headings can be linked by."""
    tokens = _tokens(page)
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
