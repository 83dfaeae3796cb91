"""What modules and functions say of themselves, read from their source without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Function:
    """A public function of a module."""

    name: str
    signature: str  # parameter names with their types, as written
    text: str  # docstring without the first line's indentation

    @property
    def first(self) -> str:
        """The first sentence, in one line."""
        return " ".join(self.text.split("\n\n")[0].split())

    @property
    def rest(self) -> str:
        """What follows the first paragraph."""
        return self.text.partition("\n\n")[2]


@dataclass(frozen=True)
class Module:
    """A module with a docstring."""

    name: str  # dotted
    first: str  # first line of the docstring
    functions: tuple[Function, ...]


def modules(package: str) -> Iterator[Module]:
    """All modules below a folder, in the order of their names.

    package   path from the root of the project, such as `medidiff/metrics`
    """
    for path in sorted((ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        text = ast.get_docstring(tree)
        if text:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield Module(name, text.split("\n")[0], tuple(_functions(tree)))


def _functions(tree: ast.Module) -> Iterator[Function]:
    for node in tree.body:
        text = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        if text and not node.name.startswith("_"):
            yield Function(node.name, ast.unparse(node.args), text)
