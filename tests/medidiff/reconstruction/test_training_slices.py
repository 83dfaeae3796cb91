"""Crops and phases that priors are trained on."""

import numpy as np
import pytest
import torch

from medidiff.reconstruction.training_slices import (
    AIR_HU,
    PHASE_WAVES,
    CtImages,
    MrImages,
    coarser,
    ct_crops,
    mr_crops,
    smooth_phase,
)


def body(slices: int = 6, rows: int = 40, columns: int = 50) -> np.ndarray:
    """HU of a block of tissue in air; its values name the place, so that a crop tells where it was cut. Slice 0 is empty."""
    hu = np.full((slices, rows, columns), -1000, np.int16)
    k, j, i = np.mgrid[1:slices, 10:30, 5:45]
    hu[1:, 10:30, 5:45] = 400 * k + 10 * (j - 10) + (i - 5) // 4
    return hu


def test_crops_of_ct_are_cut_from_slices_that_hold_tissue_and_are_the_same_for_the_same_seed():
    draw = lambda seed: ct_crops(body(), 30, np.random.default_rng(seed), size=16, jitter=4)
    crops = draw(1)
    assert crops.shape == (30, 16, 16) and crops.dtype == np.int16
    assert np.array_equal(crops, draw(1)) and not np.array_equal(crops, draw(2))
    assert (crops > -300).any(axis=(1, 2)).all()
    slices = {int(crop.max()) // 400 for crop in crops}
    assert slices == {1, 2, 3, 4, 5}


def test_a_crop_of_ct_is_a_piece_of_its_slice_with_air_outside():
    hu = body()
    padded = np.pad(hu, ((0, 0), (16, 16), (16, 16)), constant_values=AIR_HU)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (16, 16), axis=(1, 2))
    for crop in ct_crops(hu, 8, np.random.default_rng(3), size=16, jitter=12):
        assert (windows == crop).all(axis=(-2, -1)).any()


def test_crops_reach_over_the_box_of_the_tissue_by_the_jitter_and_no_further():
    hu = np.full((1, 60, 60), -1000, np.int16)
    hu[0, 20:41, 25:46] = 40  # a box of 20 pixels from edge to edge, smaller than the crop
    crops = ct_crops(hu, 200, np.random.default_rng(0), size=32, jitter=3)
    assert ((crops == 40).sum((1, 2)) == 21 * 21).all()
    first = {int(np.nonzero(crop == 40)[0].min()) for crop in crops}
    assert first == set(range(32 // 2 - 10 - 3, 32 // 2 - 10 + 4))


def test_a_volume_of_air_gives_no_crops():
    assert len(ct_crops(np.full((3, 20, 20), -1000, np.int16), 5, np.random.default_rng(0), size=16, jitter=2)) == 0


def test_coarser_pixels_are_the_means_of_blocks():
    hu = np.arange(2 * 5 * 7, dtype=np.int16).reshape(2, 5, 7) * 10
    found = coarser(hu, 2)
    assert found.shape == (2, 2, 3) and found.dtype == np.int16
    assert found[1, 1, 2] == np.rint(hu[1, 2:4, 4:6].mean())


def test_ct_images_put_the_window_at_minus_one_and_one():
    images = CtImages(np.array([[[-2000, -200], [150, 4000]]], np.int16), (-200.0, 500.0))
    assert torch.allclose(images[torch.tensor([0])]["x0"], torch.tensor([[[[-1.0, -1.0], [0.0, 1.0]]]]))


def test_mirrored_images_are_turned_about_half_of_the_time_and_by_torch_s_generator_alone():
    hu = np.tile(np.array([[[0, 1000]]], np.int16), (400, 1, 1))
    torch.manual_seed(5)
    first = CtImages(hu, (-1000.0, 1000.0), mirrored=True)[torch.arange(400)]["x0"]
    torch.manual_seed(5)
    assert torch.equal(CtImages(hu, (-1000.0, 1000.0), mirrored=True)[torch.arange(400)]["x0"], first)
    assert 150 < int((first[:, 0, 0, 0] == 1).sum()) < 250
    assert torch.equal(CtImages(hu, (-1000.0, 1000.0))[torch.arange(400)]["x0"][:, 0, 0, 0], torch.zeros(400))


def test_mr_images_keep_their_magnitude_under_a_phase_that_is_smooth_and_differs_from_item_to_item():
    magnitude = np.random.default_rng(0).uniform(0.5, 1.5, (3, 24, 20)).astype(np.float16)
    torch.manual_seed(2)
    x = MrImages(magnitude)[torch.tensor([2, 0])]["x0"]
    z = torch.complex(x[:, 0], x[:, 1])
    assert torch.allclose(z.abs(), torch.from_numpy(magnitude[[2, 0]]).float(), atol=1e-5)
    step = (z[:, :, 1:] * z[:, :, :-1].conj()).angle()
    assert step.abs().max() < 1.2
    assert (z[0] * z[1].conj()).angle().std() > 0.2


def test_phases_are_of_unit_scale_and_come_from_the_generator():
    draw = lambda: smooth_phase((600, 8, 6), generator=torch.Generator().manual_seed(1))
    assert torch.equal(draw(), draw())
    assert draw()[:, 3, 2].cos().mean().abs() < 0.1  # no phase is preferred
    inside = draw() - draw()[:, :1, :1]
    assert 0.3 < float(inside.std()) < 1.5
    assert PHASE_WAVES > 1


def head(spacing_mm) -> np.ndarray:
    """A bright ellipsoid of 60 x 50 x 44 mm half axes in an oblong volume of anisotropic voxels."""
    shape = [int(2 * (r + 12) / s) for r, s in zip((60, 50, 44), spacing_mm)]
    grid = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing_mm)], indexing="ij")
    return 700.0 * (sum((g / r) ** 2 for g, r in zip(grid, (60, 50, 44))) < 1)


def test_crops_of_mr_are_in_units_of_the_bright_tissue_and_the_same_for_the_same_seed():
    spacing = (2.0, 3.0, 4.0)
    draw = lambda: mr_crops(head(spacing), spacing, 12, np.random.default_rng(4), size=32, pixel_mm=(2.0, 4.0))
    crops = draw()
    assert crops.shape == (12, 32, 32) and crops.dtype == np.float16
    assert np.array_equal(crops, draw())
    assert (crops >= 0).all() and (crops.max((1, 2)) > 0.8).all() and crops.max() < 1.25


def test_crops_of_mr_have_square_pixels_whatever_the_voxels(monkeypatch):
    monkeypatch.setattr("medidiff.reconstruction.training_slices.GAIN", (1.0, 1.0))
    monkeypatch.setattr("medidiff.reconstruction.training_slices.GAMMA", (1.0, 1.0))
    spacing, pixel = (1.5, 2.0, 3.0), 2.5
    shape = [int(120 / s) for s in spacing]
    grid = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing)], indexing="ij")
    ball = 100.0 * (sum(g**2 for g in grid) < 40**2)
    crops = mr_crops(ball, spacing, 60, np.random.default_rng(0), size=64, pixel_mm=(pixel, pixel))
    areas = (crops.astype(np.float32) > 0.5).sum((1, 2)) * pixel**2
    whole = (crops[:, [0, -1]].max((1, 2)) < 0.1) & (crops[:, :, [0, -1]].max((1, 2)) < 0.1)
    largest = areas[whole].max()
    assert whole.sum() > 20
    assert largest == pytest.approx(np.pi * 40**2, rel=0.06)  # a slice through the middle is a disc, not an ellipse
    spans = [[np.ptp(np.nonzero(crop > 0.5)[a]) for a in (0, 1)] for crop in crops[whole]]
    assert max(abs(r - c) for r, c in spans) <= 2
