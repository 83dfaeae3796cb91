"""Write constraints.txt (every package) and environment.yml (the direct ones), both pinned, from pyproject.toml."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

# Moved by hand: unpinned, pip takes the newest release with its CUDA build. The pin fits the CPU wheel of this
# release and its CUDA build alike.
TORCH = "torch==2.13.0"


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def resolved_versions(extras: list[str]) -> dict[str, str]:
    """Name and version of every package that an installation with these extras would bring."""
    with tempfile.TemporaryDirectory() as folder:
        seed, report = Path(folder, "seed.txt"), Path(folder, "report.json")
        seed.write_text(TORCH)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        target = f".[{','.join(extras)}]"
        subprocess.run([*pip, "--report", report, "--constraint", seed, "--editable", target], check=True)
        found = json.loads(report.read_text())["install"]
    # 2.13.0+cpu is written 2.13.0, so that the file also fits the CUDA build of the same release
    return {normalised(i["metadata"]["name"]): i["metadata"]["version"].split("+")[0] for i in found}


def main() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    pins = resolved_versions(sorted(project["optional-dependencies"]))
    del pins[normalised(project["name"])]
    # build back ends and pip itself are not ours to pin; CUDA's own packages follow torch's exact pins
    pins = {name: version for name, version in pins.items() if not name.startswith(("nvidia-", "triton", "cuda-"))}
    lines = [f"{name}=={version}" for name, version in sorted(pins.items())]
    Path("constraints.txt").write_text("\n".join(["# written by `make lock`", *lines]) + "\n")
    direct = sorted(normalised(Requirement(text).name) for text in project["dependencies"])
    head = [
        "# written by `make lock`; afterwards: pip install --no-deps --editable .",
        "name: medidiff",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
    ]
    Path("environment.yml").write_text("\n".join([*head, *(f"      - {name}=={pins[name]}" for name in direct)]) + "\n")


if __name__ == "__main__":
    main()
