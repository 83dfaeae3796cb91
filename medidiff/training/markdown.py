"""What the pages of all models share: tables, data sets with licence and citation, versions."""

from collections.abc import Mapping


def table(rows: Mapping[str, object]) -> str:
    """Two columns without a heading."""
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def data_set(source: Mapping) -> str:
    """A data set as a list entry: name, title, licence, and a line per citation."""
    lines = [f"- **{source['name']}**: {source['title']}. Licence: {source['licence']}."]
    return "\n".join([*lines, *(f"  {citation}." for citation in source["citation"])])


def versions(found: Mapping[str, str]) -> str:
    """Packages with their versions, by name."""
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
