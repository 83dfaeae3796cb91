"""Pictures of the tutorials, drawn by the project's own report from the files that the tutorials write.

python -m tools.manual.figures results/tutorial docs/tutorials
"""

import argparse
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from medidiff.io.atomic import write_bytes
from medidiff.io.chromatogram.storage import read_curves
from medidiff.io.nifti import read_nifti
from medidiff.io.pde.predictions import read_predictions
from medidiff.io.ultrasound.zea import read_extras
from medidiff.report.curves import fit_figure
from medidiff.report.dehazing import panels_figure
from medidiff.report.figures import BACKGROUND, lesion_figure
from medidiff.report.reconstruction import grey_scale
from medidiff.report.scene import TRUTH, Scene
from medidiff.report.slices import slices_figure
from medidiff.report.spacetime import spacetime_figure

DPI = 72  # small files: the pictures show what a page looks like, no detail
LARGEST_BYTES = 100_000
COLOURS = (256, 128, 64, 32)  # of a picture that is larger, as speckle is


def segmentation(results: Path) -> Figure:
    """Contours of two methods and the truth around the lesion."""
    images = {"CT": read_nifti(results / "ct.nii.gz"), "PET": read_nifti(results / "pet.nii.gz")}
    names = {TRUTH: "truth-pet", "suv2.5": "suv", "diffusion": "mask"}
    return lesion_figure(Scene(images, {name: read_nifti(results / f"{file}.nii.gz") for name, file in names.items()}))


def reconstruction(results: Path) -> Figure:
    """The reference and three methods in three planes."""
    names = {"reference": "chest-reference", "fbp": "fbp", "tv": "tv", "auto": "auto"}
    volumes = {name: read_nifti(results / f"{file}.nii.gz") for name, file in names.items()}
    return slices_figure(volumes, grey_scale("ct", {"reference": volumes["reference"]}))


def dehazing(results: Path) -> Figure:
    """Before, after, haze and difference of two methods."""
    wanted = ["picture_before", "picture_after", "picture_haze"]
    shown = {}
    for method in ("wiener", "regress"):
        found = read_extras(results / f"{method}.hdf5", wanted)
        panels = {name: values[len(values) // 2] for name, values in found.items()}
        panels["difference"] = panels["picture_after"].astype(np.int16) - panels["picture_before"]
        shown[method] = panels
    return panels_figure(shown)


def operators(results: Path) -> Figure:
    """Truth, answer, difference and interval of two trajectories."""
    return spacetime_figure(read_predictions(results / "predictions.h5"), "operator")


def chromatography(results: Path) -> Figure:
    """Measured and fitted curve, and the residual."""
    numbers = json.loads((results / "btex.json").read_text(encoding="utf-8"))["result"]["numbers"]
    return fit_figure(read_curves(results / "curves.h5"), noise=numbers["noise"])


FIGURES: dict[str, Callable[[Path], Figure]] = {
    function.__name__: function for function in (segmentation, reconstruction, dehazing, operators, chromatography)
}


def small_png(figure: Figure) -> bytes:
    """The figure without what matplotlib writes beside it, the same bytes for the same picture."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, facecolor=BACKGROUND)
    picture = Image.open(drawn).convert("RGB")
    tries = (picture, *(picture.quantize(count, dither=Image.Dither.NONE) for count in COLOURS))
    return next(png for png in map(_packed, tries) if len(png) <= LARGEST_BYTES)


def _packed(picture: Image.Image) -> bytes:
    packed = io.BytesIO()
    picture.save(packed, format="png", optimize=True)
    return packed.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the tutorials from the files that they write.")
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", choices=[[], *FIGURES])
    given = parser.parse_args()
    for name, png in _drawn(given.results, given.names or list(FIGURES)):
        write_bytes(given.out / f"{name}.png", png)


def _drawn(results: Path, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        yield name, small_png(FIGURES[name](results))


if __name__ == "__main__":
    main()
