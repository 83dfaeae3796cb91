"""Writes the pages that are written from the code: python -m tools.manual"""

from medidiff import reference
from tools.manual import commands, formats, metrics, rules
from tools.manual.sources import ROOT

PAGES = {
    "docs/configuration.md": reference.markdown,
    "docs/reference/commands.md": commands.markdown,
    "docs/reference/formats.md": formats.markdown,
    "docs/reference/metrics.md": metrics.markdown,
    "docs/reference/rules.md": rules.markdown,
}


def main() -> None:
    for path, markdown in PAGES.items():
        (ROOT / path).write_text(markdown().rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
