"""How Sphinx builds the manual: `make docs`. Pages are Markdown, equations become MathML, nothing is loaded from a network."""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_extensions")]

project = "medidiff"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser", "mathml", "measured"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_extensions"]
highlight_language = "text"
html_theme = "furo"
html_title = f"medidiff {release}"
html_math_renderer = "mathml"
html_copy_source = False
linkcheck_timeout = 20
