"""Templates to HTML: everything that comes from data is escaped, and only our own script may run."""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from medidiff.report.wording import label, quantity


def render(template: str, **values: Any) -> str:
    """The page; `script_source` of its Content-Security-Policy allows no script.

    template   name of a file in `templates`
    """
    return _environment().get_template(template).render(script_source="'none'", **values)


def render_with_script(template: str, script: str, **values: Any) -> str:
    """The page with one of our scripts inlined and allowed by its hash.

    template   name of a file in `templates`
    script     name of a file in `templates`
    """
    text = _environment().loader.get_source(_environment(), script)[0]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    page = _environment().get_template(template)
    return page.render(script_source=f"'sha256-{digest}'", script=Markup(text), **values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("medidiff.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"label": label, "quantity": quantity, "lines": _lines}
    return environment


def _lines(text: Any) -> str:
    return "\n".join(map(str, text)) if isinstance(text, list | tuple) else str(text)
