"""Cartesian k-space of coils: exact with all samples, held-out lines that add up, stacks of slices, and what is refused."""

import json

import pytest
import torch

from physics.laws import broken_laws
from physics.mri.cartesian import CartesianMRI
from physics.mri.coils import simulated_maps
from physics.mri.fourier import to_kspace
from physics.mri.masks import uniform1d

ROWS, COLUMNS, COILS = 15, 20, 3
MAPS = simulated_maps(ROWS, COLUMNS, coils=COILS)
LINES = torch.from_numpy(uniform1d((ROWS, COLUMNS), acceleration=2, calibration_lines=4, seed=1).mask)
SCATTER = torch.rand((ROWS, COLUMNS), generator=torch.Generator().manual_seed(4)) > 0.6
STACK = torch.stack([MAPS, MAPS.flip(0), 1j * MAPS.flip(-1)])
PRECISIONS = [torch.complex64, torch.complex128]


def noise(shape, dtype=torch.complex128, *, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("mask", [LINES, SCATTER], ids=["lines", "scattered"])
@pytest.mark.parametrize("maps", [MAPS, STACK, MAPS[..., 1:, 1:]], ids=["one set", "a set per slice", "other parity"])
def test_the_operator_obeys_every_law_in_both_precisions(mask, maps, dtype):
    operator = CartesianMRI(mask[: maps.shape[-2], : maps.shape[-1]], maps)
    assert broken_laws(operator, dtype) == {}
    assert broken_laws(operator.subset((4, 9, 10, 11)), dtype) == {}


@pytest.mark.parametrize("maps", [MAPS, STACK])
def test_all_of_kspace_gives_the_image_back_by_the_adjoint_alone(maps):
    operator = CartesianMRI(torch.ones(ROWS, COLUMNS), maps)
    x = noise(operator.domain, torch.complex64)
    back = operator.adjoint(operator.forward(x))
    assert float((back - x).norm() / x.norm()) < 1e-6
    assert float((operator.normal(x) - x).norm() / x.norm()) < 1e-6


def test_each_coil_measures_the_transform_of_what_it_sees_where_the_mask_says():
    x = noise((2, ROWS, COLUMNS))
    y = CartesianMRI(SCATTER, MAPS).forward(x)
    for coil in range(COILS):
        assert torch.allclose(y[:, coil], SCATTER * to_kspace(MAPS[coil] * x), atol=1e-12)


def test_no_operator_of_normalised_maps_has_a_norm_above_one():
    for operator in (CartesianMRI(LINES, MAPS), CartesianMRI(SCATTER, STACK), CartesianMRI(LINES, MAPS).subset((3, 9, 10))):
        assert 0.5 < operator.norm <= 1 + 1e-6


def test_a_stack_of_slices_is_each_slice_with_its_own_maps():
    stack = CartesianMRI(LINES, STACK)
    x, y = noise(stack.domain), noise(stack.range, seed=1)
    for place, maps in enumerate(STACK):
        alone = CartesianMRI(LINES, maps)
        assert torch.allclose(stack.forward(x)[place], alone.forward(x[place]))
        assert torch.allclose(stack.adjoint(y)[place], alone.adjoint(y[place]))


def test_two_sets_of_lines_share_the_normal_operator_of_the_whole():
    whole = CartesianMRI(SCATTER, MAPS)
    held = (3, 8, 17)
    fit = tuple(line for line in range(COLUMNS) if line not in held)
    x = noise((2, ROWS, COLUMNS))
    assert torch.allclose(whole.subset(held).normal(x) + whole.subset(fit).normal(x), whole.normal(x), atol=1e-12)
    assert torch.equal(whole.subset(held).forward(x), whole.forward(x)[..., held])


def test_lines_are_chosen_in_the_order_asked_for_and_may_be_chosen_again():
    whole = CartesianMRI(SCATTER, MAPS)
    x = noise((ROWS, COLUMNS))
    twice = whole.subset((12, 3, 10)).subset((2, 0))
    assert torch.equal(twice.forward(x), whole.forward(x)[..., (10, 12)])


def test_a_mask_of_numbers_is_the_mask_of_truths():
    x = noise((ROWS, COLUMNS))
    assert torch.equal(CartesianMRI(LINES.float(), MAPS).forward(x), CartesianMRI(LINES, MAPS).forward(x))


def test_the_description_is_json_and_holds_the_acceleration():
    facts = json.loads(json.dumps(CartesianMRI(LINES, STACK).describe()))
    assert facts["acceleration"] == 2.0 and facts["coils"] == COILS and facts["samples"] == 10 * ROWS


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (LINES * 0.5, r"mask: found the value 0\.5, expected 0 or 1 alone"),
        (torch.full((ROWS, COLUMNS), float("nan")), "mask: found the value nan"),
        (LINES[:1], r"mask: found shape \(1, 20\), expected \(15, 20\)"),
        (torch.zeros(ROWS, COLUMNS), "mask: found no measured sample"),
    ],
)
def test_a_mask_that_is_none_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        CartesianMRI(mask, MAPS)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (MAPS * 0, "maps: found zeros alone"),
        (MAPS * 3, r"maps: found sum \|S\|\^2 up to 9.*normalised_maps"),
        (MAPS * 0.1, r"maps: found sum \|S\|\^2 up to 0\.01"),
        (MAPS * float("nan"), "maps: found values that are not finite"),
        (MAPS.abs(), "maps: found torch.float32"),
        (MAPS[0], r"maps: found torch.complex64 of shape \(15, 20\)"),
    ],
)
def test_maps_that_are_none_are_refused(maps, message):
    with pytest.raises(ValueError, match=message):
        CartesianMRI(LINES, maps)


def test_a_real_image_or_one_of_another_size_is_refused():
    operator = CartesianMRI(LINES, MAPS)
    with pytest.raises(ValueError, match=r"found torch\.float64, expected torch\.complex64"):
        operator.forward(torch.zeros(ROWS, COLUMNS, dtype=torch.float64))
    with pytest.raises(ValueError, match="in its domain"):
        operator.forward(noise((COLUMNS, ROWS)))
