"""Directives that put measured numbers into a page when it is built: `measured` a table of a benchmark, `cards` all models."""

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from tools.manual.measured import benchmark_file, benchmark_table, card_files, cards_table


def setup(app: Any) -> dict:
    app.add_directive("measured", Measured)
    app.add_directive("cards", Cards)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _parsed(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    box = nodes.container()
    directive.state.nested_parse(StringList(lines, source=directive.get_location()), directive.content_offset, box)
    return box.children


class Measured(SphinxDirective):
    """Rows of a benchmark: the argument is its name, the content one pattern of rows per line."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict] = {"columns": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        script = self.arguments[0]
        columns = self.options["columns"].replace(",", " ").split()
        self.env.note_dependency(str(benchmark_file(script)))
        try:
            lines = benchmark_table(script, list(self.content), columns)
        except LookupError as error:
            raise self.error(str(error)) from error
        return _parsed(self, lines)


class Cards(SphinxDirective):
    """Every trained model of the project."""

    def run(self) -> list[nodes.Node]:
        for path in card_files():
            self.env.note_dependency(str(path))
        return _parsed(self, cards_table())
