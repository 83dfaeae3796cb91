"""Write sbom.cdx.json (CycloneDX 1.6) and NOTICE: what an installation of medidiff brings, with versions and licences.

Everything comes from the metadata of the installed packages, without time or place, so that the same packages give the same
bytes. Extras are left out: nobody has them without asking.
"""

import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

SBOM, NOTICE = Path("sbom.cdx.json"), Path("NOTICE")
ROOT_NAME = "medidiff"
HEAD = """medidiff
Copyright 2026 the medidiff authors

Licensed under the Apache License, Version 2.0; see LICENSE.

No code of others is part of this repository. An installation brings the packages below, each under its own licence, whose
text is in the package itself. Versions, sources and dependencies are in sbom.cdx.json; `make sbom` writes both.

"""
SHORT = 80  # characters; a longer `License` field is the licence's text, not its name


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(name: str) -> dict[str, set[str]]:
    """Every package that one needs, directly or not, with those that each needs itself."""
    found: dict[str, set[str]] = {}
    waiting = [(normalised(name), frozenset())]
    seen = set()
    while waiting:
        package, extras = waiting.pop()
        if (package, extras) in seen:
            continue
        seen.add((package, extras))
        needed = _needs(package, extras)
        found.setdefault(package, set()).update(normalised(requirement.name) for requirement in needed)
        waiting += [(normalised(requirement.name), frozenset(requirement.extras)) for requirement in needed]
    return found


def _needs(package: str, extras: frozenset[str]) -> list[Requirement]:
    requirements = map(Requirement, _installed(package).requires or [])
    return [r for r in requirements if not r.marker or any(r.marker.evaluate({"extra": extra}) for extra in (*extras, ""))]


def _installed(package: str) -> Distribution:
    try:
        return distribution(package)
    except PackageNotFoundError:
        sys.exit(f"{package} is needed but not installed; run make again, then `make sbom`.")


def version(package: str) -> str:
    """Without the local part: 2.13.0+cpu and the CUDA build of 2.13.0 are the same release."""
    return _installed(package).version.split("+")[0]


def licence(package: str) -> dict:
    """As CycloneDX writes it: an SPDX expression where the package states one, else the name it gives."""
    facts = _installed(package).metadata
    if expression := facts.get("License-Expression"):
        return {"expression": expression}
    stated = (facts.get("License") or "").strip()
    classified = [c.rpartition(" :: ")[2] for c in facts.get_all("Classifier") or [] if c.startswith("License :: ")]
    is_name = stated and len(stated) <= SHORT and "\n" not in stated
    return {"license": {"name": stated if is_name else " or ".join(classified) or _title_of_licence(package)}}


def _title_of_licence(package: str) -> str:
    """The first line of the licence's text, of a package whose metadata state nothing."""
    texts = [
        path for path in _installed(package).files or [] if "licen" in path.name.lower() and path.suffix in ("", ".txt", ".md")
    ]
    lines = [line.strip() for path in texts for line in path.read_text().splitlines()]
    return next(filter(None, lines), "not stated")


def component(package: str) -> dict:
    name = _installed(package).metadata["Name"]
    return {
        "type": "library",
        "bom-ref": reference(package),
        "name": name,
        "version": version(package),
        "licenses": [licence(package)],
        "purl": reference(package),
    }


def reference(package: str) -> str:
    return f"pkg:pypi/{package}@{version(package)}"


def bill(packages: dict[str, set[str]]) -> dict:
    """The whole document."""
    root = component(ROOT_NAME) | {"type": "application"}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": [component(package) for package in sorted(packages) if package != ROOT_NAME],
        "dependencies": [
            {"ref": reference(package), "dependsOn": [reference(other) for other in sorted(packages[package])]}
            for package in sorted(packages)
        ],
    }


def notice(document: dict) -> str:
    """One line for each package: name, version, licence."""
    return HEAD + "".join(f"{c['name']} {c['version']}: {_text(c['licenses'][0])}\n" for c in document["components"])


def _text(stated: dict) -> str:
    return stated.get("expression") or stated["license"]["name"]


def main() -> None:
    document = bill(closure(ROOT_NAME))
    SBOM.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    NOTICE.write_text(notice(document), encoding="utf-8")


if __name__ == "__main__":
    main()
