"""Simulated MRI: whole k-space gives the object back where it lies, masks and noise are what the file says."""

import numpy as np
import pytest
import torch

from medidiff.acquisition.scan import simulate
from medidiff.acquisition.settings import ScanSettings
from medidiff.errors import ConfigError
from physics.mri.coils import root_sum_of_squares
from physics.mri.fourier import to_image

SMALL = {"source": "mni152", "matrix": 48, "pixel_mm": 4.5, "slices": 2, "slice_mm": 12.0}
WHOLE = {"acceleration": 1, "calibration_lines": 0, "coils": 4}


def scan(**changes):
    return ScanSettings.model_validate(SMALL | {"mr": WHOLE} | changes)


def test_all_of_k_space_gives_the_magnitude_back_where_it_lies():
    measurement, reference = simulate(scan())
    assert measurement.mask.all() and measurement.noise_std is None and measurement.grid.agrees_with(reference.grid)
    image = root_sum_of_squares(to_image(torch.from_numpy(measurement.samples))).numpy()
    truth = reference.array.transpose(2, 1, 0)
    error = [np.linalg.norm(each - truth) / np.linalg.norm(truth) for each in (image, image[:, ::-1], np.roll(image, 1, 2))]
    assert 1e-3 < error[0] < 0.03 and min(error[1:]) > 3 * error[0]  # edges ring: the answer is not the reference itself


def test_noise_has_the_standard_deviation_that_is_stored():
    clean, noisy = (simulate(scan(mr=WHOLE | {"noise": noise}))[0] for noise in (0.0, 0.05))
    difference = (noisy.samples - clean.samples).ravel()
    for part in (difference.real, difference.imag):
        assert part.std() == pytest.approx(noisy.noise_std, rel=0.03)


@pytest.mark.parametrize("mask", ["uniform", "equispaced", "random", "gaussian", "gaussian2d"])
def test_every_mask_measures_its_centre_and_leaves_zeros_elsewhere(mask):
    measurement, _ = simulate(scan(mr=WHOLE | {"mask": mask, "acceleration": 3, "calibration_lines": 8}))
    assert measurement.calibration_lines >= 8
    assert 2 < 1 / measurement.mask.mean() < 7
    assert not measurement.samples[..., ~measurement.mask].any()
    assert measurement.samples[..., measurement.mask].all()


def test_uniform_lines_reach_the_acceleration_exactly():
    measurement, _ = simulate(scan(mr=WHOLE | {"acceleration": 4, "calibration_lines": 6}))
    assert int(measurement.mask[0].sum()) == 12 and measurement.mask.mean() == pytest.approx(0.25)


def test_a_mask_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"studies\.scans: found 24 calibration lines of 12 lines"):
        simulate(scan(mr=WHOLE | {"acceleration": 4, "calibration_lines": 24}))
