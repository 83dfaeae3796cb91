"""Non-Cartesian k-space: an explicit sum, an exact adjoint, radial sampling that gives the image back."""

import json
import math

import pytest
import torch

from physics.laws import broken_laws
from physics.mri.cartesian import CartesianMRI
from physics.mri.coils import simulated_maps
from physics.mri.nonuniform import NonCartesianMRI
from physics.mri.sense import reconstruct_density_compensated, reconstruct_sense
from physics.mri.trajectory import radial, radial_density

ONE_COIL = torch.ones((1, 32, 32), dtype=torch.complex128)


def noise(shape, *, seed=0):
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def explicit(x, trajectory):
    """The double sum, point by point."""
    rows, columns = (torch.arange(size, dtype=torch.float64) - size // 2 for size in x.shape[-2:])
    waves = torch.exp(-1j * (trajectory[..., 0, None, None] * rows[:, None] + trajectory[..., 1, None, None] * columns))
    return torch.einsum("skmn,mn->sk", waves, x) / math.sqrt(x.numel())


@pytest.mark.parametrize("shape", [(32, 32), (31, 24)])
def test_samples_are_those_of_an_explicit_sum(shape):
    x, trajectory = noise(shape), radial(9, 48, is_golden=True)
    y = NonCartesianMRI(trajectory, torch.ones((1, *shape), dtype=torch.complex128)).forward(x)[0]
    expected = explicit(x, trajectory)
    assert float((y - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("shape", [(16, 18), (15, 11)])
def test_points_on_the_grid_are_samples_of_the_cartesian_operator(shape):
    maps = simulated_maps(*shape, coils=2)
    rows, columns = (2 * math.pi * (torch.arange(size, dtype=torch.float64) - size // 2) / size for size in shape)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
    x = noise((3, *shape))
    y, expected = NonCartesianMRI(grid, maps).forward(x), CartesianMRI(torch.ones(shape), maps).forward(x)
    assert float((y - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("shape", [(12, 14), (13, 11)])
def test_the_operator_obeys_every_law_in_both_precisions(shape, dtype):
    maps = simulated_maps(*shape, coils=3)
    for own in (maps, torch.stack([maps, maps.flip(0)])):
        operator = NonCartesianMRI(radial(6, 20), own)
        assert broken_laws(operator, dtype) == {}
        assert broken_laws(operator.subset((4, 1)), dtype) == {}


def test_chosen_spokes_are_measured_in_the_order_asked_for():
    operator, x = NonCartesianMRI(radial(6, 20), ONE_COIL), noise((32, 32))
    assert torch.allclose(operator.subset((4, 1)).forward(x), operator.forward(x)[:, (4, 1)], atol=1e-5)


def test_spokes_pass_the_centre_at_equal_or_golden_angles():
    spokes = radial(5, 8)
    assert float(spokes[:, 4].abs().max()) == 0
    assert torch.allclose(torch.linalg.vector_norm(spokes[:, 0], dim=-1), torch.full((5,), math.pi, dtype=torch.float64))
    angles = torch.atan2(spokes[:, 6, 0], spokes[:, 6, 1])
    assert torch.allclose(angles, torch.arange(5, dtype=torch.float64) * math.pi / 5)
    golden = radial(3, 8, is_golden=True)
    turn = torch.atan2(golden[1, 6, 0], golden[1, 6, 1])
    assert math.degrees(float(turn)) == pytest.approx(68.7539, abs=1e-3)


def test_the_areas_of_all_samples_are_the_disc_that_they_fill():
    weights = radial_density(40, 64)
    assert float(weights.sum()) == pytest.approx(math.pi / 4, rel=2e-3)


def gaussian():
    """A smooth object whose k-space lies within the disc that spokes cover."""
    axis = torch.arange(32, dtype=torch.float64) - 16
    return torch.exp(-((axis[:, None] - 3) ** 2 + (axis + 4) ** 2) / (2 * 3.0**2)).to(torch.complex128)


@pytest.mark.parametrize(("spokes", "samples", "error"), [(64, 64, 4e-3), (64, 128, 2.5e-4)])
def test_weighted_by_its_density_the_adjoint_image_is_the_object(spokes, samples, error):
    x, operator = gaussian(), NonCartesianMRI(radial(spokes, samples), ONE_COIL)
    image = reconstruct_density_compensated(operator, operator.forward(x), radial_density(spokes, samples))
    assert float((image - x).norm() / x.norm()) < error


def test_least_squares_find_the_object_from_few_spokes_of_several_coils():
    x, maps = gaussian(), simulated_maps(32, 32, coils=8)
    operator = NonCartesianMRI(radial(16, 64), maps)
    image = reconstruct_sense(operator, operator.forward(x), iterations=30, ridge=0.0)
    assert float((image - x).norm() / x.norm()) < 0.01


def test_the_description_is_json():
    facts = json.loads(json.dumps(NonCartesianMRI(radial(6, 20), ONE_COIL).describe()))
    assert facts["spokes"] == 6 and facts["samples_per_spoke"] == 20 and facts["accuracy"] == 1e-6


@pytest.mark.parametrize(
    ("trajectory", "message"),
    [
        (16 * radial(6, 20), r"trajectory: found 50\.27, expected rad per pixel within -pi \.\. pi"),
        (radial(6, 20) * float("nan"), "trajectory: found nan"),
        (radial(6, 20)[0], r"trajectory: found shape \(20, 2\)"),
    ],
)
def test_a_trajectory_that_is_none_is_refused(trajectory, message):
    with pytest.raises(ValueError, match=message):
        NonCartesianMRI(trajectory, ONE_COIL)


def test_a_trajectory_without_spokes_is_refused():
    with pytest.raises(ValueError, match="0 spokes"):
        radial(0, 20)
