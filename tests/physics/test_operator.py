import json

import numpy as np
import pytest
import torch

from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.operator import Composed, Rows, Stacked

GRID = Grid(rows=12, columns=9, pixel_mm=0.7)
BEAM = ParallelBeam(GRID, angles_rad=arc(5), bins=17, bin_mm=0.8)


def image(*batch):
    return torch.rand((*batch, 1, 12, 9), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def dense(operator):
    """The operator as a matrix, column by column."""
    size = int(np.prod(operator.domain))
    columns = operator.forward(torch.eye(size, dtype=torch.float64).reshape(size, *operator.domain))
    return columns.reshape(size, -1).T


def test_the_norm_is_the_largest_singular_value():
    assert BEAM.norm == pytest.approx(float(torch.linalg.matrix_norm(dense(BEAM), ord=2)), rel=1e-6)


def test_the_adjoint_is_the_transposed_matrix():
    y = torch.rand((1, 5, 17), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(BEAM.adjoint(y).flatten(), dense(BEAM).T @ y.flatten(), rtol=1e-12, atol=1e-12)


def test_a_subset_of_views_measures_the_same_rows_whichever_way_it_is_made():
    whole = BEAM.forward(image(3))
    rows = Rows(BEAM.range, -2, (4, 1)) @ BEAM
    torch.testing.assert_close(BEAM.subset((4, 1)).forward(image(3)), whole[..., [4, 1], :], rtol=0, atol=0)
    torch.testing.assert_close(rows.forward(image(3)), whole[..., [4, 1], :], rtol=0, atol=0)


def test_disjoint_subsets_stack_to_the_whole():
    stacked = Stacked((BEAM.subset((0, 1)), BEAM.subset((2, 3, 4))))
    assert stacked.domain == BEAM.domain and stacked.range == BEAM.range
    torch.testing.assert_close(stacked.forward(image(2)), BEAM.forward(image(2)), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(stacked.normal(image(2)), BEAM.normal(image(2)), rtol=1e-13, atol=1e-13)


def test_a_description_survives_json_and_names_the_geometry():
    told = json.loads(json.dumps((Rows(BEAM.range, -2, (0,)) @ BEAM).describe()))
    assert told["operator"] == "Composed" and told["outer"]["indices"] == [0]
    assert told["inner"]["operator"] == "ParallelBeam" and told["inner"]["grid"]["pixel_mm"] == 0.7
    assert told["inner"]["angles_rad"] == list(arc(5))


def test_an_image_of_another_shape_is_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"ParallelBeam: found shape \(3, 12, 8\).*\(\*batch, 1, 12, 9\) in its domain"):
        BEAM.forward(torch.zeros(3, 12, 8))
    with pytest.raises(ValueError, match=r"found shape \(9,\)"):
        BEAM.normal(torch.zeros(9))
    with pytest.raises(ValueError, match="in its range"):
        BEAM.adjoint(torch.zeros(1, 17, 5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.complex64])
def test_a_type_in_which_it_cannot_work_is_refused(dtype):
    with pytest.raises(ValueError, match=r"expected torch\.float32 or torch\.float64. Convert"):
        BEAM.forward(torch.zeros((1, 12, 9), dtype=dtype))


@pytest.mark.parametrize("indices", [(), (5,), (-1,), (1, 1)])
def test_views_that_are_not_there_or_named_twice_are_refused(indices):
    with pytest.raises(ValueError, match="expected distinct ones from 0 to 4"):
        BEAM.subset(indices)
    with pytest.raises(ValueError, match="expected distinct ones from 0 to 4"):
        Rows(BEAM.range, -2, indices)


def test_operators_that_do_not_meet_are_refused():
    with pytest.raises(ValueError, match=r"cannot apply ParallelBeam .* after ParallelBeam"):
        Composed(BEAM, BEAM)
    other = ParallelBeam(GRID, angles_rad=arc(5), bins=18, bin_mm=0.8)
    with pytest.raises(ValueError, match="cannot stack ParallelBeam"):
        Stacked((BEAM, other))
    with pytest.raises(ValueError, match="nothing to stack"):
        Stacked(())
