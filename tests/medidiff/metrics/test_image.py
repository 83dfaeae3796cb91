"""Noise ratios and structural similarity against closed forms and scikit-image."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from medidiff.metrics.image import nmse, psnr, psnr_plane, ssim_fastmri, ssim_wang


def pair(seed: int, shape=(4, 23, 27)):
    rng = np.random.default_rng(seed)
    reference = rng.normal(0.5, 0.3, shape).cumsum(axis=1) / 5
    return reference + 0.1 * rng.normal(size=shape), reference


def test_a_constant_error_of_a_tenth_of_the_range_is_twenty_decibels():
    reference = np.linspace(-3, 5, 60).reshape(3, 4, 5)
    assert psnr(reference + 0.2, reference, range=2.0) == pytest.approx(20)
    assert psnr_plane(reference - 0.2, reference, range=2.0, axis=1) == pytest.approx(20)
    assert psnr(reference, reference, range=2.0) == math.inf


def test_the_range_is_the_tasks_and_values_beyond_it_are_not_clipped():
    reference = np.zeros((1, 2, 2))
    x = np.array([[[0.0, 0], [0, 10]]])
    assert psnr(x, reference, range=1.0) == pytest.approx(10 * np.log10(1 / 25))


def test_psnr_agrees_with_scikit_image():
    x, reference = pair(0)
    assert psnr(x, reference, range=3.0) == pytest.approx(peak_signal_noise_ratio(reference, x, data_range=3.0))


def test_the_mean_of_planes_exceeds_the_ratio_of_the_volume_where_slices_differ():
    reference = np.zeros((2, 4, 4))
    x = np.stack([np.full((4, 4), 0.1), np.full((4, 4), 0.001)])
    assert psnr_plane(x, reference, range=1, axis=0) == pytest.approx((20 + 60) / 2)
    assert psnr(x, reference, range=1) == pytest.approx(-10 * np.log10((0.01 + 1e-6) / 2))


def test_slices_without_body_do_not_count():
    reference = np.zeros((2, 4, 4))
    x = np.stack([np.full((4, 4), 0.1), np.full((4, 4), 0.001)])
    body = np.zeros((2, 4, 4), bool)
    body[0] = True
    assert psnr_plane(x, reference, range=1, axis=0, body=body) == pytest.approx(20)
    assert math.isnan(psnr_plane(x, reference, range=1, axis=0, body=np.zeros_like(body)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_wangs_similarity_agrees_with_scikit_image_in_every_plane(axis):
    x, reference = pair(1, (21, 23, 27))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 2.0}
    theirs = np.mean([structural_similarity(a, b, **options) for a, b in zip(*(np.moveaxis(v, axis, 0) for v in (x, reference)))])
    assert ssim_wang(x, reference, range=2.0, axis=axis) == pytest.approx(theirs, abs=1e-12)


def test_fastmris_similarity_agrees_with_scikit_image():
    x, reference = pair(2)
    theirs = np.mean([structural_similarity(a, b, data_range=reference.max()) for a, b in zip(x, reference)])
    assert ssim_fastmri(x, reference) == pytest.approx(theirs, abs=1e-10)


def test_equal_images_are_wholly_similar_and_a_shift_of_brightness_follows_the_formula():
    flat = np.full((1, 16, 16), 2.0)
    assert ssim_wang(flat, flat, range=1.0) == pytest.approx(1)
    shifted = (2 * 2 * 3 + 1e-4) / (4 + 9 + 1e-4)
    assert ssim_wang(flat + 1, flat, range=1.0) == pytest.approx(shifted, rel=1e-9)


def test_a_scaled_image_has_the_error_of_its_scale():
    reference = np.random.default_rng(3).normal(size=(2, 5, 6))
    assert nmse(0.9 * reference, reference) == pytest.approx(0.01)


def test_shapes_that_differ_and_planes_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="expected equal ones"):
        psnr(np.zeros((2, 3, 3)), np.zeros((1, 3, 3)), range=1.0)
    with pytest.raises(ValueError, match="expected more than 10 pixels"):
        ssim_wang(np.zeros((2, 9, 30)), np.zeros((2, 9, 30)), range=1.0)
