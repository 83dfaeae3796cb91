"""MR k-space as a scan: images, scale, noise and lines that may be hidden."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medidiff.diffusion.prior import Prior
from medidiff.errors import ConfigError, DataError
from medidiff.io.measurement import KSpace
from medidiff.reconstruction.kspace import SlicesMRI, mr_scan
from medidiff.reconstruction.settings import NaddsSettings, ReconstructSettings, TvSettings
from medidiff.reconstruction.task import reconstruct
from physics.laws import adjoint_error, probes
from physics.mri.cartesian import CartesianMRI
from physics.mri.coils import seen_by, simulated_maps
from physics.mri.fourier import to_kspace

SIZE, AFFINE = 32, np.array([[0.0, 1.4, 0.2, 3.0], [1.5, 0.0, 0.0, -7.0], [0.0, -0.4, 3.0, 9.0], [0, 0, 0, 1]])
SETTINGS = ReconstructSettings(samples=1, nadds=NaddsSettings(steps=10), tv=TvSettings(weight=1e-3, iterations=20))


def brain() -> torch.Tensor:
    """Three complex slices of an ellipse with a smooth phase, zero outside."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside = (x / 11) ** 2 + (y / 13) ** 2 < 1
    slices = [inside * (80 + 20 * np.cos(x / (3 + k))) * np.exp(0.02j * (x + y)) for k in range(3)]
    return torch.from_numpy(np.stack(slices)).to(torch.complex64)


def scanned(*, coils: int = 1, every: int = 1, noise_std: float = 0.0, lines: int = 10) -> KSpace:
    maps = simulated_maps(SIZE, SIZE, coils=coils) if coils > 1 else torch.ones(1, SIZE, SIZE, dtype=torch.complex64)
    samples = to_kspace(seen_by(maps, brain()))
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    mask[:, ::every] = True
    mask[:, SIZE // 2 - lines // 2 : SIZE // 2 - lines // 2 + lines] = True
    noise = torch.randn((2, *samples.shape), generator=torch.Generator().manual_seed(0))
    samples = mask * (samples + noise_std * torch.complex(*noise))
    return KSpace(samples.numpy(), mask.numpy(), AFFINE, noise_std or None, lines)


def nmse(found) -> float:
    truth = brain().abs().numpy()
    return float(((found.volume.array.transpose(2, 1, 0) - truth) ** 2).sum() / (truth**2).sum())


def test_slices_with_maps_of_their_own_are_each_the_operator_of_one_slice():
    maps = torch.stack([simulated_maps(SIZE, SIZE, coils=3).roll(k, dims=0) for k in range(4)])
    mask = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(1)) > 0.4
    stack = SlicesMRI(mask, maps)
    x = probes(stack.domain, torch.complex64, seed=0, count=4)
    for index in range(4):
        one = CartesianMRI(mask, maps[index])
        torch.testing.assert_close(stack.forward(x)[index], one.forward(x[index]))
        torch.testing.assert_close(stack.normal(x)[index], one.normal(x[index]))
        torch.testing.assert_close(stack.adjoint(stack.forward(x))[index], one.adjoint(one.forward(x[index])))
    torch.testing.assert_close(stack.forward(x[:1]), stack.forward(x)[:1])
    assert adjoint_error(CartesianMRI(mask, maps[0]), torch.complex64) < 1e-6


def test_a_full_mask_without_noise_gives_the_image_exactly():
    for method in ("zerofilled", "cgsense"):
        settings = SETTINGS.model_copy(update={"iterative": SETTINGS.iterative.model_copy(update={"cgsense_ridge": 0.0})})
        found = reconstruct(scanned(), method=method, settings=settings)
        np.testing.assert_allclose(found.volume.array.transpose(2, 1, 0), brain().abs().numpy(), atol=1e-3)
        np.testing.assert_array_equal(found.volume.affine, AFFINE)


def test_the_99th_percentile_of_the_zero_filled_magnitude_is_one():
    scan = mr_scan(scanned())
    image = scan.operator.operator.adjoint(scan.y / scan.operator.factor)
    assert float(np.percentile(image.abs().numpy(), 99)) == pytest.approx(1.0, rel=1e-5)
    assert scan.window.values(torch.ones(())) == pytest.approx(float(np.percentile(brain().abs().numpy(), 99)), rel=1e-4)


def test_the_truth_has_chi_square_one_and_states_are_the_parts_of_the_image():
    scan = mr_scan(scanned(every=2, noise_std=0.5))
    truth = brain() / scan.window.width
    count = 2 * int(torch.isfinite(scan.variance).sum()) * 3
    assert abs(scan.chi_square(truth) - 1) < 4 * np.sqrt(2 / count)
    u = scan.state(truth)
    assert u.shape == (3, 2, SIZE, SIZE)
    torch.testing.assert_close(scan.volume(u), truth)
    torch.testing.assert_close(scan.measurement().misfit(u), scan.y - scan.operator.forward(truth))


def test_lines_outside_the_centre_may_be_hidden_and_keeping_lines_measures_only_those():
    scan = mr_scan(scanned(every=3, lines=6))
    assert not set(scan.hideable) & set(range(13, 19))
    assert set(scan.hideable) <= set(range(0, SIZE, 3))
    part = scan.keep(scan.hideable[:4])
    assert part.operator.range == (1, SIZE, 4)
    assert part.misfit(brain() / scan.window.width) < 1e-5


def test_where_no_coil_sees_anything_the_image_is_zero():
    scan = mr_scan(scanned(coils=4, lines=12))
    assert 0 < float(scan.support.mean()) < 1
    found = reconstruct(scanned(coils=4, lines=12), method="tv", settings=SETTINGS)
    unseen = scan.support.numpy() == 0
    assert not found.volume.array.transpose(2, 1, 0)[unseen].any()


def test_total_variation_of_every_second_line_is_better_than_zeros_in_their_place():
    zeros, tv = (reconstruct(scanned(every=2), method=method, settings=SETTINGS) for method in ("zerofilled", "tv"))
    assert nmse(tv) < 0.5 * nmse(zeros)


def test_a_prior_of_two_channels_solves_complex_images_and_others_are_refused(card):
    scan = mr_scan(scanned(every=2))
    known = scan.state(brain() / scan.window.width)

    def denoise(u, sigma):
        share = (0.0025 / (0.0025 + sigma**2)).to(u).reshape(-1, 1, 1, 1)
        return known + share * (u - known)

    prior = Prior(card(channels=2, units="1", window=(-1.0, 1.0)), denoise)
    zeros = reconstruct(scanned(every=2), method="zerofilled", settings=SETTINGS)
    for method in ("nadds", "dds", "reddiff"):
        found = reconstruct(scanned(every=2), method=method, prior=prior, settings=SETTINGS)
        assert found.numbers["residual"] < 0.1
        assert nmse(found) < 0.5 * nmse(zeros)
    with pytest.raises(DataError, match="trained on real images, complex MR images have 2 channels; found 1, expected 2"):
        reconstruct(scanned(), method="nadds", prior=Prior(card(), denoise), settings=SETTINGS)
    with pytest.raises(ConfigError, match="method mbir is not for MR data"):
        reconstruct(scanned(), method="mbir", prior=prior, settings=SETTINGS)


def test_scans_without_signal_or_calibration_are_refused():
    empty = scanned()
    with pytest.raises(DataError, match="99th percentile is 0"):
        mr_scan(replace(empty, samples=np.zeros_like(empty.samples)))
    with pytest.raises(DataError, match="calibration lines: found 4 measured lines"):
        mr_scan(replace(scanned(coils=4, every=2, lines=4), calibration_lines=4))
