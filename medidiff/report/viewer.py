"""The interactive three-plane viewer: one file that needs no network."""

import gc
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
from matplotlib.colors import ListedColormap

from medidiff.io.atomic import write_text
from medidiff.io.resample import resample_to
from medidiff.io.volume import Grid
from medidiff.report.figures import TRUTH_COLOUR, WINDOW_HU
from medidiff.report.scene import OUTSIDE, TRUTH, Scene, cubic_grid

VOXELS = 2_000_000  # of the background shown; more is sampled coarser
BOTH_COLOUR, METHOD_COLOUR = "#ffd166", "#ef476f"
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
STYLE = "html,body{margin:0;background:#000;overflow:hidden}.hidden{display:none}"


def write_viewer(scene: Scene, method: str, path: Path) -> float:
    """Write the viewer; returns the edge of its cubic voxels in mm.

    scene     needs CT or PET, which is the grey background
    method    mask that is laid over it, with the truth where there is one; "" for the truth alone

    Colours: truth alone green, method alone red, both yellow.
    """
    from nilearn.plotting import view_img  # seconds of imports that only this function needs

    grid = cubic_grid(scene.reference, voxels=VOXELS)
    name = "CT" if "CT" in scene.images else "PET"
    low, high = WINDOW_HU if name == "CT" else (0.0, scene.suv_limit)
    grey = resample_to(scene.images[name], grid, fill=OUTSIDE[name]).array
    # nilearn shows zero as missing and stretches what it is given, so the window goes to 1 ... 255 and two corners pin it
    shown = 1 + 254 * np.clip((grey - low) / (high - low), 0, 1)
    shown[0, 0, 0], shown[-1, -1, -1] = 1, 255
    with _undisturbed():
        page = view_img(
            nibabel.Nifti1Image(_overlap(scene, method, grid), grid.affine),
            bg_img=nibabel.Nifti1Image(shown.astype(np.float32), grid.affine),
            cut_coords=tuple(scene.centre),
            threshold=0.5,
            cmap=ListedColormap([TRUTH_COLOUR, METHOD_COLOUR, BOTH_COLOUR]),
            symmetric_cmap=False,
            vmin=1,
            vmax=3,
            colorbar=False,
            resampling_interpolation="nearest",
            black_bg=True,
            dim=0,
            opacity=0.55,
            radiological=True,
            width_view=960,
        )
    write_text(path, _sealed(_placed(page.get_standalone(), grid, scene.centre)))
    return grid.spacing_mm[0]


@contextmanager
def _undisturbed() -> Iterator[None]:
    # nilearn warns of empty overlays and its own deprecations, and collects garbage eight times: 4 s of a page's time
    # unless the objects that live already are left out
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gc.unfreeze()


def _overlap(scene: Scene, method: str, grid: Grid) -> np.ndarray:
    """1 where only the truth is, 2 where only the method is, 3 where both are."""
    label = np.zeros(grid.shape, np.int16)
    for value, name in ((1, TRUTH), (2, method)):
        if name in scene.masks:
            inside = resample_to(scene.masks[name], grid, fill=0.0, antialias=False).array >= 0.5
            label += value * inside.astype(np.int16)
    return label


def _placed(page: str, grid: Grid, centre: np.ndarray) -> str:
    """The page with its cross and its millimetres on the voxel that the pictures show.

    nilearn 0.13 mirrors the pictures for the radiological view, but neither the first position of the cross nor the
    affine, and starts one voxel before the position it prints (brainsprite prints affine · (slice + 1)).
    """
    found = re.search(r"brainsprite\((\{.*\})\)", page)
    params = json.loads(found[1])
    mirror, before = np.diag([-1.0, 1, 1, 1]), np.eye(4)
    mirror[0, 3], before[:3, 3] = grid.shape[0] - 1, -1
    cross = np.clip(np.rint(np.linalg.inv(grid.affine) @ [*centre, 1])[:3], 0, np.array(grid.shape) - 1)
    cross = (mirror @ [*cross, 1])[:3].astype(int)
    params["affine"] = (grid.affine @ mirror @ before).tolist()
    params["numSlice"] = {axis: int(n) for axis, n in zip("XYZ", cross)}
    params["colorCrosshair"] = "#5aa9ff"
    return page[: found.start(1)] + json.dumps(params) + page[found.end(1) :]


def _sealed(page: str) -> str:
    """The page with a policy that lets it load nothing."""
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style>'
    return page.replace("<head>", "<head>" + head, 1)
