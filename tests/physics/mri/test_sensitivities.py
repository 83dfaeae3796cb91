"""ESPIRiT finds the coils that were there, for every slice, and says when it cannot."""

import pytest
import torch

from physics.mri.coils import root_sum_of_squares, simulated_maps
from physics.mri.masks import uniform1d
from physics.mri.sensitivities import espirit_maps
from physics.mri.simulation import measure_kspace_finely, smooth_phase

SIZE = 64


def disc():
    """(2 SIZE, 2 SIZE) complex: a disc with structure and a smooth phase, and where it is on pixels of the reconstruction."""
    axis = (torch.arange(2 * SIZE) + 0.5) / SIZE - 1
    radius = torch.sqrt(axis[:, None] ** 2 + axis**2)
    image = (radius < 0.75) * (1 + 0.4 * torch.cos(9 * axis)[:, None] * torch.cos(7 * axis))
    phase = smooth_phase(2 * SIZE, 2 * SIZE, generator=torch.Generator().manual_seed(0))
    return image * phase, radius[::2, ::2] < 0.7


IMAGE, INSIDE = disc()
FULL = measure_kspace_finely(IMAGE[None], coils=8)


def masked(calibration_lines, acceleration=2):
    mask = uniform1d((SIZE, SIZE), acceleration=acceleration, calibration_lines=calibration_lines, seed=2).mask
    return FULL * torch.from_numpy(mask)


def agreement(maps):
    """|<S_est, S_true>| at the pixels inside the object."""
    true = simulated_maps(SIZE, SIZE, coils=8)
    return (maps.conj() * true).sum(dim=-3).abs()[..., INSIDE]


def test_maps_of_24_lines_are_the_coils_that_were_there():
    maps = espirit_maps(masked(24))
    assert float(agreement(maps).median()) > 0.999
    size = root_sum_of_squares(maps)
    assert torch.allclose(size[0, INSIDE], torch.ones(int(INSIDE.sum())), atol=1e-5)
    assert bool(((size < 1e-6) | ((size - 1).abs() < 1e-5)).all())


def test_fewer_measured_lines_than_asked_for_are_used_as_they_are():
    kspace = masked(12)
    assert torch.equal(espirit_maps(kspace), espirit_maps(kspace, calibration_lines=12))
    assert float(agreement(espirit_maps(kspace)).median()) > 0.99


def test_five_lines_are_refused_instead_of_giving_maps_of_zeros():
    with pytest.raises(ValueError, match=r"calibration lines: found 5 measured lines at the centre, expected at least .* 8"):
        espirit_maps(masked(5, acceleration=6))
    with pytest.raises(ValueError, match="found 7 measured lines"):
        espirit_maps(FULL, calibration_lines=7)


def test_a_missing_centre_is_refused():
    kspace = FULL.clone()
    kspace[..., SIZE // 2] = 0
    with pytest.raises(ValueError, match="found 0 measured lines at the centre"):
        espirit_maps(kspace)


def test_a_slice_without_signal_takes_the_maps_of_its_neighbour():
    noise = 1e-4 * FULL.abs().max() * torch.randn(FULL.shape, dtype=FULL.dtype, generator=torch.Generator().manual_seed(3))
    kspace = torch.cat([torch.zeros_like(FULL), noise, FULL, 2 * FULL.flip(1)])
    maps = espirit_maps(kspace)
    assert torch.equal(maps[0], maps[2]) and torch.equal(maps[1], maps[2])
    assert float(agreement(maps[2]).median()) > 0.999
    assert float(agreement(maps[3].flip(0)).median()) > 0.999


def test_maps_of_zeros_are_refused_with_what_to_change():
    with pytest.raises(ValueError, match=r"maps: found zeros in all 1 slices.*lower crop \(now 1\.01\)"):
        espirit_maps(FULL, crop=1.01)
    with pytest.raises(ValueError, match="found 0 measured lines"):
        espirit_maps(torch.zeros_like(FULL))


def test_one_coil_has_the_map_one():
    assert torch.equal(espirit_maps(FULL[:, :1]), torch.ones((1, 1, SIZE, SIZE), dtype=torch.complex64))


def test_kspace_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"expected complex \(slice, coil, row, column\)"):
        espirit_maps(FULL[0])
    with pytest.raises(ValueError, match="not finite"):
        espirit_maps(FULL * float("nan"))
