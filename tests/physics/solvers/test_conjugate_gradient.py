import pytest
import torch

from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.solvers.conjugate_gradient import conjugate_gradient

BEAM = ParallelBeam(Grid(13, 11, pixel_mm=0.7), arc(6, start_rad=0.1), bins=21, bin_mm=0.8)


def noise(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def positive(size, dtype):
    """A symmetric or Hermitian matrix with eigenvalues from about 0.1 up."""
    a = noise(size, size, dtype=dtype)
    return a @ a.mH / size + 0.1 * torch.eye(size, dtype=dtype)


def krylov(h, r, steps):
    """Orthonormal basis of span(r, H r, ...), over the reals also where H is complex."""
    columns = [r]
    for _ in range(steps - 1):
        columns.append(h @ columns[-1] / torch.linalg.vector_norm(columns[-1]))
    return columns


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_it_ends_at_the_solution_after_as_many_steps_as_unknowns(dtype):
    h, solution = positive(12, dtype), noise(12, dtype=dtype, seed=1)
    found = conjugate_gradient(lambda x: h @ x, h @ solution, noise(12, dtype=dtype, seed=2), iterations=12)
    torch.testing.assert_close(found, solution, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_every_step_is_the_optimum_over_all_directions_seen_so_far(dtype, steps):
    h, b = positive(12, dtype), noise(12, dtype=dtype, seed=1)
    found = conjugate_gradient(lambda x: h @ x, b, torch.zeros_like(b), iterations=steps)
    directions = krylov(h, b, steps)
    # the energy 1/2 <x, H x> - Re <b, x> cannot fall along any direction of the Krylov space
    slopes = torch.stack([torch.vdot(direction, h @ found - b).real for direction in directions])
    sizes = torch.stack([torch.linalg.vector_norm(direction) for direction in directions])
    assert float((slopes / sizes).abs().max()) < 1e-10 * float(torch.linalg.vector_norm(b))
    assert float(torch.linalg.vector_norm(h @ found - b)) > 1e-6


def test_slices_of_a_volume_share_one_step_length():
    h = positive(12, torch.float64)
    b = noise(3, 12, seed=1) * torch.tensor([[1.0], [5.0], [0.2]], dtype=torch.float64)
    together = conjugate_gradient(lambda x: x @ h, b, torch.zeros_like(b), iterations=3)
    flat = conjugate_gradient(lambda x: torch.block_diag(h, h, h) @ x, b.flatten(), torch.zeros(36, dtype=b.dtype), iterations=3)
    torch.testing.assert_close(together.flatten(), flat, rtol=1e-12, atol=1e-12)
    apart = conjugate_gradient(lambda x: x @ h, b[:1], torch.zeros_like(b[:1]), iterations=3)
    assert float((together[0] - apart[0]).abs().max()) > 1e-3


def test_complex_systems_equal_their_real_form_of_twice_the_size():
    h, b = positive(8, torch.complex128), noise(8, dtype=torch.complex128, seed=1)
    real = torch.cat([torch.cat([h.real, -h.imag], dim=1), torch.cat([h.imag, h.real], dim=1)])
    found = conjugate_gradient(lambda x: h @ x, b, torch.zeros_like(b), iterations=4)
    known = conjugate_gradient(
        lambda x: real @ x, torch.cat([b.real, b.imag]), torch.zeros(16, dtype=torch.float64), iterations=4
    )
    torch.testing.assert_close(torch.cat([found.real, found.imag]), known, rtol=1e-12, atol=1e-12)


def test_solving_for_the_image_equals_solving_for_the_measurement():
    h, y, kappa = noise(2, *BEAM.domain), noise(2, *BEAM.range, seed=1), 3.0
    image = conjugate_gradient(lambda x: BEAM.normal(x) + kappa * x, BEAM.adjoint(y) + kappa * h, h, iterations=200)
    rest = y - BEAM.forward(h)
    dual = conjugate_gradient(lambda p: BEAM.forward(BEAM.adjoint(p)) + kappa * p, rest, torch.zeros_like(rest), iterations=200)
    torch.testing.assert_close(image, h + BEAM.adjoint(dual), rtol=1e-5, atol=1e-8)


def test_a_singular_system_that_has_solutions_gives_the_one_of_least_norm():
    a = noise(4, 9)
    b = a.T @ noise(4, seed=1)
    found = conjugate_gradient(lambda x: a.T @ (a @ x), b, torch.zeros_like(b), iterations=100)
    torch.testing.assert_close(found, torch.linalg.pinv(a.T @ a) @ b, rtol=1e-8, atol=1e-10)


def test_it_stops_at_the_tolerance_and_not_at_once():
    h, b, products = positive(60, torch.float64), noise(60, seed=1), []

    def apply(x):
        products.append(1)
        return h @ x

    found = conjugate_gradient(apply, b, torch.zeros_like(b), iterations=60, tolerance=0.1)
    residual = float(torch.linalg.vector_norm(h @ found - b) / torch.linalg.vector_norm(b))
    assert residual <= 0.1 and 2 < len(products) < 50


def test_the_solution_as_a_start_is_kept_as_it_is():
    h, solution = positive(12, torch.float64), noise(12, seed=1)
    assert torch.equal(conjugate_gradient(lambda x: h @ x, h @ solution, solution, iterations=5), solution)


def test_a_back_projection_that_is_no_adjoint_is_named():
    b = noise(2, *BEAM.domain)
    with pytest.raises(ValueError, match=r"the operator is unmatched .*exact transpose"):
        conjugate_gradient(lambda x: -BEAM.adjoint(BEAM.forward(x)), b, torch.zeros_like(b), iterations=5)


def test_the_adjoint_of_a_turn_in_the_other_sense_is_named_unmatched():
    other = ParallelBeam(BEAM.grid, tuple(-angle for angle in BEAM.angles_rad), BEAM.bins, BEAM.bin_mm)
    b = other.adjoint(BEAM.forward(noise(1, *BEAM.domain)))
    with pytest.raises(ValueError, match="the operator is unmatched"):
        conjugate_gradient(lambda x: other.adjoint(BEAM.forward(x)), b, torch.zeros_like(b), iterations=100)


def test_values_that_are_not_finite_are_refused_instead_of_spread():
    b = noise(12)
    b[3] = torch.nan
    with pytest.raises(ValueError, match=r"found p.H H p = nan.*not finite"):
        conjugate_gradient(lambda x: 2 * x, b, torch.zeros_like(b), iterations=5)
