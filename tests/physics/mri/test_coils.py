"""Simulated coils are fields of wires: normalised, the same on any grid, each strongest at its own place."""

import math

import pytest
import torch

from physics.mri.coils import OPENING, RING, normalised_maps, pixel_positions, root_sum_of_squares, simulated_maps


def test_the_squares_of_the_maps_sum_to_one_at_every_pixel():
    assert torch.allclose(root_sum_of_squares(simulated_maps(33, 40)), torch.ones(33, 40), atol=1e-6)


def test_ratios_of_maps_are_those_of_the_fields_of_wires_by_biot_savart():
    maps = simulated_maps(9, 12, coils=4).to(torch.complex128)
    x, y = pixel_positions(9, 12)

    def field(angle, current):
        """B_x - i B_y of a wire along the axis: B = current (-dy, dx) / distance^2."""
        dx, dy = x - RING * math.cos(angle), y - RING * math.sin(angle)
        return current * (-dy - 1j * dx) / (dx**2 + dy**2)

    half = math.pi / 4 * OPENING
    loops = [field(turn - half, 1) + field(turn + half, -1) for turn in (0, math.pi / 2, math.pi, 3 * math.pi / 2)]
    for one, other in ((0, 1), (2, 3), (0, 3)):
        assert torch.allclose(maps[one] * loops[other], maps[other] * loops[one], atol=1e-6)


def test_finer_pixels_see_the_same_coils():
    fine, coarse = simulated_maps(60, 63), simulated_maps(20, 21)
    assert torch.allclose(fine[:, 1::3, 1::3], coarse, atol=1e-6)


def test_each_coil_is_strongest_in_its_own_direction():
    maps = simulated_maps(32, 32, coils=4).abs()
    places = [torch.unravel_index(one.argmax(), one.shape) for one in maps]
    assert [bool(column > 16) for _, column in places][::2] == [True, False]
    assert [bool(row < 16) for row, _ in places][1::2] == [True, False]


def test_scaling_maps_leaves_places_without_a_coil_at_zero():
    maps = 5 * simulated_maps(8, 9)
    maps[:, :, 0] = 0
    size = root_sum_of_squares(normalised_maps(maps))
    assert float(size[:, 0].max()) == 0
    assert torch.allclose(size[:, 1:], torch.ones(8, 8), atol=1e-6)


def test_no_coil_is_refused():
    with pytest.raises(ValueError, match="0 coils"):
        simulated_maps(8, 8, coils=0)
