"""deepinv's solvers under our operator and prior: scaled rightly, counted, repeatable; and what is said where it is missing."""

import sys

import numpy as np
import pytest
import torch

from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.prior import Prior
from medidiff.errors import ConfigError
from medidiff.reconstruction.deepinv_peers import Peer
from medidiff.reconstruction.operators import ct_scan
from medidiff.reconstruction.patches import InChunks
from medidiff.reconstruction.settings import DiffpirSettings, DpsSettings, ReconstructSettings
from medidiff.reconstruction.task import reconstruct

METHODS = ("deepinv-dps", "deepinv-diffpir")
SETTINGS = ReconstructSettings(samples=1, dps=DpsSettings(steps=15), diffpir=DiffpirSettings(steps=15, weight=1.0))


class Towards:
    """The denoiser of white data of this spread around an expected volume, trained up to sigma 30; it remembers its levels."""

    limits = Limits(0.002, 30.0, 0.5)

    def __init__(self, mean: np.ndarray, spread: float):
        self.mean, self.spread, self.levels = torch.as_tensor(mean).float(), spread, []

    def __call__(self, u, sigma):
        self.levels.append(float(sigma[0]))
        share = (self.spread**2 / (self.spread**2 + sigma**2)).to(u).reshape(-1, 1, 1, 1)
        return self.mean + share * (u - self.mean)


@pytest.fixture
def deepinv():
    return pytest.importorskip("deepinv", reason="deepinv is not installed", exc_type=ImportError)


@pytest.fixture
def knowing(card, hu):
    """A prior that knows the volume but for 30 % of its brightness, up to 100 HU."""
    return Prior(card(), Towards(hu[:, None] / 1000 - 0.1, 0.1))


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_package_is_named_with_the_command_that_brings_it(measure, hu, knowing, method, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepinv", None)
    with pytest.raises(ConfigError, match=r"found no package deepinv .* Run `pip install 'deepinv>=0.5'`"):
        reconstruct(measure(hu), method=method, prior=knowing, settings=SETTINGS)


@pytest.mark.parametrize("method", METHODS)
def test_a_peer_comes_nearer_to_the_volume_than_its_prior_and_calls_the_network_as_often_as_asked(
    deepinv, measure, hu, knowing, method
):
    found = reconstruct(measure(hu, views=24), method=method, prior=knowing, settings=SETTINGS)
    error = found.volume.array.transpose(2, 1, 0) - hu
    assert np.sqrt(np.mean(error**2)) < 70  # the prior alone is wrong by 100
    assert found.numbers["network_calls"] == 15
    assert max(knowing.denoiser.levels) <= 30.0 * (1 + 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_bytes_whatever_the_chunks_and_whoever_draws_beside(deepinv, measure, hu, knowing, method):
    def run(**changes):
        settings = SETTINGS.model_copy(update=changes)
        return reconstruct(measure(hu, noise_std=0.01), method=method, prior=knowing, settings=settings).volume.array

    first = run()
    before = torch.random.get_rng_state()
    assert first.tobytes() == run().tobytes()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not np.array_equal(first, run(seed=1))
    one_by_one = Prior(knowing.card, Towards(np.full((1, 1, 16, 16), -0.5), 0.3))
    chunks = [
        reconstruct(
            measure(hu), method=method, prior=one_by_one, settings=SETTINGS.model_copy(update={"slices_at_once": n})
        ).volume.array
        for n in (1, 16)
    ]
    np.testing.assert_allclose(*chunks, atol=0.05)


@pytest.mark.parametrize("solver", ["dps", "diffpir"])
@pytest.mark.parametrize("reach", [1.0, 2.0])
def test_without_information_in_the_data_the_prior_decides_in_its_own_unit(deepinv, measure, hu, solver, reach):
    """With noise far above the data, the result is a sample of the prior, whatever unit deepinv works in."""
    scan = ct_scan(measure(hu, noise_std=50.0), (-1000.0, 1000.0))
    mean = np.full((1, 1, 16, 16), -0.4)
    peer = Peer(InChunks(Towards(mean, 0.05), 16), scan.measurement(), (3, 1, 16, 16), reach, lambda state: None)
    options = {"dps": {"weight": 1.0}, "diffpir": {"weight": 7.0, "zeta": 0.1}}[solver]
    found = getattr(peer, solver)(steps=40, **options, noise=Noise(3))
    assert float(found.mean()) == pytest.approx(-0.4, abs=0.03)
    assert float(found.std()) < 0.12
