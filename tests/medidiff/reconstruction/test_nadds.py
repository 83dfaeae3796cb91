"""NA-DDS against Gaussian priors, whose posterior is known, and against its own limits."""

import pytest
import torch

from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.reconstruction.nadds import NADDS, na_dds

COUNT, ROWS = 6, 2000  # pixels that are measured together are one row, and each row is a sample
NOWHERE = (-float("inf"), float("inf"))


class Matrix:
    """A matrix on every row of every slice."""

    def __init__(self, matrix):
        self.matrix = matrix

    def forward(self, x):
        return x @ self.matrix.to(x).T

    def adjoint(self, y):
        return y @ self.matrix.to(y)

    def normal(self, x):
        return self.adjoint(self.forward(x))


def normal(*shape, seed):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


MATRIX = normal(3, COUNT, seed=3) / 4
Y = normal(1, 3, seed=4)
MEAN = 0.3 * normal(COUNT, seed=1)
WHITE = Gaussian(MEAN.expand(1, ROWS, COUNT), torch.full((1, ROWS, COUNT), 0.25, dtype=torch.float64))
EXACT = Gaussian.of(MEAN, 0.25 * torch.eye(COUNT, dtype=torch.float64))


def run(matrix=MATRIX, noise_std=0.1, slices=3, y=Y, seed=0, **changes):
    options = NADDS(**{"data_std": 0.5, "steps": 200, "rho": 0.0, "data_steps": 12, "bounds": NOWHERE} | changes)
    measurement = Measurement(Matrix(matrix), y.float().expand(slices, 1, ROWS, -1), noise_std)
    return na_dds(WHITE, measurement, (slices, 1, ROWS, COUNT), options=options, noise=Noise(seed)).double()


def errors(u, posterior):
    """Relative errors of mean and covariance of the samples."""
    rows = u.reshape(-1, COUNT)
    mean, covariance = rows.mean(0), torch.cov(rows.T)
    return tuple(
        float(torch.linalg.vector_norm(found - known) / torch.linalg.vector_norm(known))
        for found, known in ((mean, posterior.mean.flatten()), (covariance, posterior.covariance()))
    )


def test_posterior_samples_of_a_white_gaussian_have_its_mean_and_covariance():
    mean, covariance = errors(run(is_posterior=True), EXACT.posterior(MATRIX, Y[0], 0.1))
    assert mean < 0.03
    assert covariance < 0.10


def test_the_point_mode_draws_no_posterior_samples_and_its_mean_is_off():
    """Known bias: noise is put back that belongs to the denoised image, while the image has moved towards the data."""
    posterior = EXACT.posterior(MATRIX, Y[0], 0.5)
    off, _ = errors(run(noise_std=0.5, eta=0.85, steps=50), posterior)
    right, _ = errors(run(noise_std=0.5, is_posterior=True, steps=50), posterior)
    assert right < 0.05
    assert off > 0.12


def test_without_a_measurement_the_samples_are_the_priors():
    mean, covariance = errors(run(0 * MATRIX, is_posterior=True), EXACT)
    assert mean < 0.05
    assert covariance < 0.10


def test_noise_without_bound_is_no_measurement():
    same = {"is_posterior": True, "slices": 2, "steps": 30}
    torch.testing.assert_close(run(noise_std=1e6, **same), run(0 * MATRIX, **same), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("is_posterior", [True, False])
def test_a_full_measurement_without_noise_is_the_result(is_posterior):
    y = 0.4 * normal(2, 1, ROWS, COUNT, seed=6)
    found = run(torch.eye(COUNT, dtype=torch.float64), 0.0, slices=2, y=y, steps=20, is_posterior=is_posterior)
    torch.testing.assert_close(found, y, rtol=0, atol=1e-3)


def test_equal_seeds_give_equal_bytes_and_other_seeds_other_ones():
    same = {"slices": 3, "steps": 8, "rho": 0.1}
    first, again, other = run(**same), run(**same), run(seed=1, **same)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_weight_of_the_denoised_image_is_the_ratio_of_two_variances():
    kappa = NADDS(data_std=0.5).kappa(0.1)
    for sigma in (0.02, 0.5, 10.0):
        assert kappa(sigma) == pytest.approx(0.1**2 * (0.5**2 + sigma**2) / (0.5**2 * sigma**2), rel=1e-12)
    assert NADDS(data_std=0.5).kappa(0.0)(1.0) == pytest.approx(2e-4**2 / 0.2)


def test_coupling_brings_neighbouring_slices_together():
    y = normal(6, 1, ROWS, 3, seed=8)
    apart = run(slices=6, y=y, steps=30)
    together = run(slices=6, y=y, steps=30, rho=0.5, threshold=0.5, data_steps=40)
    assert float(together.diff(dim=0).abs().mean()) < 0.5 * float(apart.diff(dim=0).abs().mean())
