"""Numbers of every method on one made study, tied to RESULT_VERSION."""

import json
from pathlib import Path

import numpy as np
import pytest
from nibabel.eulerangles import euler2mat
from scipy import ndimage

from medidiff.io.volume import Volume
from medidiff.segmentation.evaluation import evaluate
from medidiff.segmentation.settings import RESULT_VERSION, SegmentSettings
from medidiff.segmentation.task import segment

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "segment.json").read_text())


def study():
    """CT, PET and truth with two lesions of different heat, blur and noise, on oblique grids."""
    affine = np.eye(4)
    affine[:3, :3] = euler2mat(0.1, -0.2, 0.15) @ np.diag([-4.0, -4.0, 3.0])
    affine[:3, 3] = 80.0, 75.0, -310.0
    i, j, k = np.ogrid[:40, :36, :30]
    first, second = (i - 12) ** 2 + (j - 14) ** 2 + (k - 12) ** 2 < 36, (i - 28) ** 2 + (j - 22) ** 2 + 2 * (k - 18) ** 2 < 20
    uptake = ndimage.gaussian_filter(0.7 + 8.0 * first + 4.0 * second, 1.0)
    noise = np.random.default_rng(11).normal(size=uptake.shape)
    pet = Volume((uptake * (1 + 0.1 * noise)).astype(np.float32), affine)
    ct = Volume(np.full((80, 72, 30), 40.0) - 100 * (np.arange(30) < 3), half_steps(affine))
    return ct, pet, pet.with_array((first | second).astype(np.uint8))


def half_steps(affine):
    """The same extent with voxels half as wide."""
    fine = affine @ np.diag([0.5, 0.5, 1.0, 1.0])
    fine[:3, 3] = affine[:3] @ [-0.25, -0.25, 0.0, 1.0]
    return fine


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_numbers_change_only_with_the_result_version(name):
    assert GOLDEN["result_version"] == RESULT_VERSION, "after raising RESULT_VERSION put its new numbers into segment.json"
    ct, pet, truth = study()
    method, grid = name.split("@")
    found = segment(ct, pet, method=method, settings=SegmentSettings(grid=grid))
    numbers = {**found.numbers, "voxels": int(found.mask.array.sum())}
    if grid == "pet":
        numbers["dice"] = evaluate(found.mask, truth)["dice"]
    assert numbers == pytest.approx(GOLDEN["cases"][name], rel=1e-5)
