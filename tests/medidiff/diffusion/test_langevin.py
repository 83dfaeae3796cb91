import pytest
import torch

from medidiff.diffusion.exact import DataSet, Gaussian, Mixture, sliced_wasserstein
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.langevin import DenoisingMCMC, exact_classifier, langevin
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import sample
from medidiff.errors import ConfigError


def white(*shape, seed):
    return Noise(seed, ("x",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


def shares(count, seed):
    return Noise(seed, ("x",)).uniform(0, torch.empty(1, count, dtype=torch.float64))[0]


@pytest.fixture(scope="module")
def ring():
    """Eight narrow modes in the plane."""
    means = 3 * white(8, 2, seed=1)
    return Mixture(torch.full((8,), 0.125).double(), means, torch.zeros(8, 2, 1).double(), torch.full((8,), 0.09).double())


def test_langevin_steps_have_the_stationary_law_of_their_level():
    """On a Gaussian the chain is u' = (1 - tau/v) u + sqrt(2 tau) z: variance v / (1 - tau/(2 v)) with v = l + sigma^2."""
    prior, sigma, tau = Gaussian(torch.zeros(1).double(), torch.ones(1).double()), 1.0, 0.5
    u = langevin(prior, torch.zeros(20000, 1).double(), sigma, tau=tau, noise=OneDraw(3), count=15)
    assert float(u.var()) == pytest.approx(2 / (1 - tau / 4), rel=0.03)


class OneDraw(Noise):
    """Noise of a whole batch in one draw: quick where single items do not matter."""

    def stacked(self, sampler, step, like, draw):
        return sampler(like.shape, generator=self.generator(step, "all", draw), dtype=like.dtype)


def test_the_exact_classifier_knows_the_level(ring):
    grid = karras(6, smin=0.05, smax=40.0)
    u = ring.draw(white(500, 2, seed=2), shares(500, 3), float(grid[1]))
    probabilities = torch.softmax(exact_classifier(ring.log_density, grid)(u), 1)
    # Bayes: weighted by the truth, a probability is calibrated; here most of its mass lies at the true level and its neighbours
    assert float(probabilities[:, :3].sum(1).mean()) > 0.95 and float(probabilities[:, 1].mean()) > 0.4


def test_the_chain_keeps_its_joint_law_but_for_the_width_of_its_finite_step(ring):
    """From p(level) p(u; level): shares of levels stay, and u widens by at most 1 / (1 - 1/4), the law of tau = sigma^2 / 2."""
    grid = torch.tensor([8.0, 2.0, 0.5], dtype=torch.float64)
    index = torch.arange(6000) % 3
    chain = DenoisingMCMC(ring, exact_classifier(ring.log_density, grid), grid, OneDraw(5))
    u = torch.empty(6000, 2, dtype=torch.float64)
    for level in range(3):
        u[index == level] = ring.draw(white(2000, 2, seed=10 + level), shares(2000, 20 + level), float(grid[level]))
    before = [float(u[index == level].var()) for level in range(3)]
    for step in range(5):
        u, index = chain.moved(u, index, step)
    assert torch.bincount(index, minlength=3) / 6000 == pytest.approx(torch.full((3,), 1 / 3), abs=0.1)
    assert all(0.85 < float(u[index == level].var()) / before[level] < 1.4 for level in range(3))


@pytest.mark.parametrize("levels", [4, 5, 6])
def test_below_nine_calls_the_chain_needs_fewer_for_a_smaller_distance(levels, ring):
    count, grid = 2000, with_zero(karras(levels, smin=0.05, smax=40.0))
    truth = ring.draw(white(count, 2, seed=2), (torch.arange(count).double() + 0.5) / count)  # every mode with its own share
    from_noise = [sliced_wasserstein(truth, sample(ring, 40 * white(count, 2, seed=40 + k), grid, pp2m)) for k in range(3)]
    chain = DenoisingMCMC(ring, exact_classifier(ring.log_density, grid[:-1]), grid, OneDraw(6))
    u, index = 40 * white(count, 2, seed=5), torch.zeros(count, dtype=torch.long)
    from_chain, calls = [], 0
    for step in range(32):
        u, index = chain.moved(u, index, step)
        if step >= 20 and step % 4 == 3:
            finished, spent = chain.finished(u, index, pp2m)
            from_chain.append(sliced_wasserstein(truth, finished))
            calls += (count + spent) / 3
    assert calls / count < levels + 0.05
    assert sum(from_chain) < 0.9 * sum(from_noise)


def test_langevin_steps_are_refused_for_a_heavy_tailed_kernel():
    heavy = DataSet(torch.zeros(2, 2), extra_dimensions=128.0)
    with pytest.raises(ConfigError, match="no Gaussian kernel"):
        langevin(heavy, torch.zeros(1, 2), 1.0, tau=0.1, noise=Noise(0))
    with pytest.raises(ConfigError, match="no Gaussian kernel"):
        DenoisingMCMC(heavy, lambda u: u, torch.ones(2), Noise(0))


def test_a_finished_state_is_the_sample_from_its_level(ring):
    grid = with_zero(karras(5, smin=0.05, smax=40.0))
    chain = DenoisingMCMC(ring, exact_classifier(ring.log_density, grid[:-1]), grid, Noise(0))
    u, index = white(4, 2, seed=1), torch.tensor([4, 0, 4, 2])
    finished, calls = chain.finished(u, index, pp2m)
    assert calls == 1 + 5 + 1 + 3
    assert torch.equal(finished[1:2], sample(ring, u[1:2], grid, pp2m))
    assert finished[0] == pytest.approx(ring(u[:1], grid[4:5])[0], abs=1e-14)
