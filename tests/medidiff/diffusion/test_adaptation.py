"""Fine-tuning and adaptation: discrepancy of samples, smoothness, latent priors, translation, ensembles."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.denoiser import edm
from medidiff.diffusion.ensemble import Ensemble
from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.latent import Codes, PrincipalComponents, Reconstruction, Scaled
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.mmd import SampleDiscrepancy, discrepancy, gaussian_kernel_mean
from medidiff.diffusion.networks.autoencoder import Autoencoder
from medidiff.diffusion.networks.mlp import MLP
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.onestep import euler, heun
from medidiff.diffusion.smoothness import Smooth, interpolation_spread, pulled_length
from medidiff.diffusion.train import Session, Training, train
from medidiff.diffusion.training_set import Tensors
from medidiff.diffusion.translation import decode, encode, translate
from medidiff.errors import DataError

QUIET = {"first_look": 10**6, "look_every": 10**6, "save_every": 10**6}
VARIANCE = torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=torch.float64)
PRIOR = Gaussian(torch.tensor([0.3, -0.2, 0.0, 1.0], dtype=torch.float64), VARIANCE)


@dataclass(frozen=True)
class OneLevel(Levels):
    sigma: float

    def quantile(self, probability):
        return torch.full_like(probability, self.sigma)


def draws(count: int, size: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def data(count: int) -> dict[str, torch.Tensor]:
    return {"x0": PRIOR.noisy(draws(count), 0.0)}


def mixture() -> Mixture:
    generator = torch.Generator().manual_seed(3)
    return Mixture(
        torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64),
        2 * torch.randn(3, 4, generator=generator, dtype=torch.float64),
        0.6 * torch.randn(3, 4, 2, generator=generator, dtype=torch.float64),
        torch.full((3,), 0.05, dtype=torch.float64),
    )


def test_the_discrepancy_of_gaussians_is_the_closed_form():
    size = 3
    factor = draws(size, size, seed=4)
    first, second = factor @ factor.T / 3 + 0.2 * torch.eye(size), torch.eye(size, dtype=torch.float64)
    offset, length = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64), 1.5
    zero = torch.zeros(size, dtype=torch.float64)
    within = gaussian_kernel_mean(zero, 2 * first, length) + gaussian_kernel_mean(zero, 2 * second, length)
    truth = float(within - 2 * gaussian_kernel_mean(offset, first + second, length))
    x = draws(2000, size, seed=5) @ torch.linalg.cholesky(first).T + offset
    y = draws(2000, size, seed=6)
    assert float(discrepancy(x, y, length)) == pytest.approx(truth, rel=0.12)
    assert abs(float(discrepancy(draws(2000, size, seed=7), y, length))) < 0.001


class ScaledAtLevels(torch.nn.Module):
    """The exact denoiser with one trained factor per level."""

    def __init__(self, grid: torch.Tensor):
        super().__init__()
        self.grid = grid
        self.factor = torch.nn.Parameter(torch.ones(len(grid), dtype=torch.float64))

    def forward(self, u, sigma):
        factor = self.factor[(self.grid[:, None] - sigma).abs().argmin(0)][:, None]
        return PRIOR.mean + factor * (PRIOR(u, sigma) - PRIOR.mean)


def test_a_short_sampler_is_tuned_to_the_distribution_of_the_data():
    grid = karras(5, smin=0.1, smax=20.0)
    network, objective = ScaledAtLevels(grid), SampleDiscrepancy(grid, euler, (1.0, 3.0))
    check = {"x0": PRIOR.noisy(draws(1000, seed=8), 0.0)}
    with torch.no_grad():
        before = float(objective(check, network, Noise(77)))
    settings = Training(steps=60, batch=200, learning_rate=0.05, warmup=5, **QUIET)
    train(network, Tensors(data(2000)), objective=objective, adapter=lambda net: net, settings=settings)
    with torch.no_grad():
        after = float(objective(check, network, Noise(77)))
    assert before > 0.01
    assert after < before / 10


def test_an_isotropic_prior_is_perfectly_smooth_and_an_anisotropic_one_is_not():
    isotropic = Gaussian(torch.zeros(4, dtype=torch.float64), torch.full((4,), 0.7, dtype=torch.float64))
    u = draws(64).requires_grad_()
    sigma = torch.full((64,), 0.8, dtype=torch.float64)
    lengths = pulled_length(isotropic(u, sigma), u, draws(64, seed=2))
    assert lengths.std() < 1e-15
    assert float(lengths[0].detach()) == pytest.approx(0.7 / (0.7 + 0.64))
    with_penalty, without = Smooth(1.0, share=1.0, levels=OneLevel(0.8)), Smooth(1.0, share=0.0, levels=OneLevel(0.8))
    assert torch.equal(with_penalty(data(64), isotropic, Noise(0)), without(data(64), isotropic, Noise(0)))
    assert float((with_penalty(data(64), PRIOR, Noise(0)) - without(data(64), PRIOR, Noise(0))).detach()) > 0.01


def test_images_on_a_path_are_evenly_spaced_for_an_isotropic_prior_only():
    z = torch.nn.functional.normalize(draws(2, seed=12), dim=1)
    isotropic = Gaussian(torch.zeros(4, dtype=torch.float64), torch.full((4,), 0.7, dtype=torch.float64))
    assert interpolation_spread(lambda noise: isotropic.flow(50 * noise, 50.0, 0.01), z) < 1e-13
    assert interpolation_spread(lambda noise: PRIOR.flow(50 * noise, 50.0, 0.01), z) > 0.05


def test_smoothness_has_a_gradient_for_the_network():
    network = MLP(4, width=8)
    torch.nn.init.normal_(network.leave.weight)
    loss = Smooth(1.0, levels=OneLevel(0.8))({"x0": draws(16).float()}, edm(network, 1.0), Noise(0))
    loss.backward()
    assert float(network.hidden[0].weight.grad.abs().max()) > 0


def test_the_decoded_prior_of_principal_components_has_the_projected_covariance():
    basis = torch.linalg.qr(draws(6, 6)).Q
    x = (draws(4000, 6, seed=1) * torch.tensor([3.0, 2, 1, 0.3, 0.2, 0.1]).double()) @ basis.T + 0.5
    components = PrincipalComponents.of(x, 3)
    latent = Scaled.of(components, x)
    codes = latent.encode(x)
    assert codes.mean(0).abs().max() < 1e-12
    assert (codes.std(0) - 1).abs().max() < 1e-12
    prior = Gaussian(torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    ends = prior.flow(torch.eye(3, dtype=torch.float64) * 50.0, 50.0, 0.0)  # the linear flow, column by column
    root = latent.decode(ends) - latent.decode(torch.zeros(1, 3, dtype=torch.float64))
    projected = components.directions @ components.directions.T
    covariance = torch.cov(x.T)
    assert ((root.T @ root) * (1 + 1 / 2500) - projected @ covariance @ projected).abs().max() < 1e-2
    with pytest.raises(DataError, match="7 components of 4000 items with 6 values"):
        PrincipalComponents.of(x, 7)


def test_an_autoencoder_learns_to_reconstruct_and_its_codes_are_a_training_set():
    x = torch.nn.functional.avg_pool2d(torch.randn(32, 1, 12, 12, generator=torch.Generator().manual_seed(0)), 5, stride=1)
    x = 3 * x
    network, losses = Autoencoder(dims=2, channels=1, codes=2, width=8, halvings=1), []
    settings = Training(steps=60, batch=16, learning_rate=1e-2, warmup=5, **QUIET)
    session = Session(on_step=lambda p: losses.append(p.loss))
    train(network, Tensors({"x0": x}), objective=Reconstruction(), adapter=lambda net: net, settings=settings, session=session)
    assert losses[-1] < 0.6 * losses[1]
    latent = Scaled.of(network, x)
    codes = Codes(Tensors({"x0": x}), latent)
    assert codes[torch.arange(4)]["x0"].shape == (4, 2, 4, 4)
    assert len(codes) == 32


@pytest.mark.parametrize(("model", "rounding"), [(PRIOR, 2e-15), (mixture(), 1e-12)], ids=["Gaussian", "mixture"])
def test_an_image_encoded_and_decoded_by_the_same_model_comes_back(model, rounding):
    grid = with_zero(karras(12, smin=0.1, smax=20.0))
    x0 = PRIOR.noisy(draws(16), 0.0)
    assert (decode(model, encode(model, x0, grid, Noise(5)), grid) - x0).abs().max() < rounding


def test_codes_of_a_model_on_its_own_data_have_the_variance_that_finite_steps_leave():
    grid = karras(6, smin=0.2, smax=20.0)
    code = encode(PRIOR, PRIOR.noisy(draws(2000), 0.0), grid, Noise(1))
    for z, (a, b) in zip(code.fresh, pairwise(grid.tolist())):
        # x0 varies around D by its posterior, which one step of the sampler does not know
        spread = (1 - (b / a) ** 2) ** 2 * VARIANCE * a**2 / (VARIANCE + a**2)
        predicted = 1 + spread / (b**2 * (1 - (b / a) ** 2))
        assert (z.var(0) / predicted - 1).abs().max() < 0.12
        assert z.mean(0).abs().max() < 0.1 * float(predicted.max().sqrt())


def test_translation_by_two_flows_is_the_map_between_gaussians():
    other = Gaussian(torch.tensor([1.0, 1.0, -1.0, 0.0], dtype=torch.float64), VARIANCE.flip(0))
    x = PRIOR.noisy(draws(32), 0.02)
    found = translate(PRIOR, other, x, karras(300, smin=0.02, smax=60.0), heun)
    ratio = torch.sqrt((other.variance + 0.02**2) / (VARIANCE + 0.02**2))
    up = torch.sqrt((VARIANCE + 3600) / (VARIANCE + 0.02**2))
    exact = other.flow(PRIOR.mean + up * (x - PRIOR.mean), 60.0, 0.02)
    assert (found - exact).abs().max() < 2e-3
    assert (found - (other.mean + ratio * (x - PRIOR.mean))).abs().max() < 0.1  # the start at a finite level


def test_an_ensemble_gated_by_responsibilities_is_the_mixture():
    whole = mixture()
    members = [Gaussian.of(mean, covariance) for mean, covariance in zip(whole.means, whole.covariances())]
    ensemble = Ensemble(members, lambda u, sigma: whole.log_components(u, sigma))
    for level in (0.1, 1.0, 10.0):
        u, sigma = draws(64) * (1 + level), torch.full((64,), level, dtype=torch.float64)
        assert (ensemble(u, sigma) - whole(u, sigma)).abs().max() < 1e-13


def test_an_ensemble_weighs_each_place_by_itself():
    def gate(u, sigma):
        return torch.stack([torch.full_like(u[:, 0], 50.0), torch.zeros_like(u[:, 0])], 1).where(u[:, :1] > 0, torch.tensor(0.0))

    ensemble = Ensemble([lambda u, s: torch.ones_like(u), lambda u, s: -torch.ones_like(u)], gate)
    u = torch.tensor([[[[1.0, -1.0]]]])
    assert torch.allclose(ensemble(u, torch.ones(1).double()), torch.tensor([[[[1.0, 0.0]]]]))


class LinearGate(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2).double()

    def forward(self, u, sigma):
        return self.layer(u)


def test_training_moves_the_gate_alone():
    member, gate = MLP(4, width=8), LinearGate()
    ensemble = Ensemble([PRIOR, lambda u, s: member(u.float(), s.float()).double()], gate)
    assert {id(p) for p in ensemble.parameters()} == {id(p) for p in gate.parameters()}
    Denoising(1.0)(data(16), ensemble, Noise(0)).backward()
    assert float(gate.layer.weight.grad.abs().max()) > 0
