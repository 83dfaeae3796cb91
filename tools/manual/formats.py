"""The page of all file formats, from what the readers and writers of `medidiff/io` say of themselves."""

from collections.abc import Iterable

from tools.manual.sources import Module, modules

HEAD = """# File formats

Written from the code by `make reference`. Nothing is unpickled, and what a file does not say is asked for, never guessed.
[Your own data](../guides/own-data.md) tells how to use them.
"""
ROOMS = {
    "medidiff.io.dicom": "DICOM images",
    "medidiff.io.projections": "CT projections",
    "medidiff.io.kspace": "MRI k-space",
    "medidiff.io.ultrasound": "Ultrasound",
    "medidiff.io.pde": "Trajectories of equations",
    "medidiff.io.chromatogram": "Chromatograms",
    "medidiff.io.layouts": "Folders of challenges",
    "medidiff.io": "Volumes, measurements and the rest",
}


def markdown() -> str:
    """One section per kind of data, each a table of what is read and one of what is written."""
    grouped: dict[str, list[Module]] = {room: [] for room in ROOMS}
    for module in modules("medidiff/io"):
        grouped[next(room for room in ROOMS if module.name.startswith(f"{room}.") or module.name == room)].append(module)
    lines = [HEAD]
    for room, members in grouped.items():
        lines += [f"## {ROOMS[room]}", ""]
        for verb, title in (("read_", "read by"), ("write_", "written by")):
            lines += _table(members, verb, title)
    return "\n".join(lines)


def _table(members: Iterable[Module], verb: str, title: str) -> list[str]:
    rows = [
        f"| `{function.name}` | {function.first} | {module.first} |".replace("\n", " ")
        for module in members
        for function in module.functions
        if function.name.startswith(verb)
    ]
    return [f"| {title} | what | file |", "| --- | --- | --- |", *rows, ""] if rows else []
