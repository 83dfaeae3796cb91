"""A measurement reconstructed in slabs is the measurement reconstructed at once, numbers and all."""

from dataclasses import replace

import numpy as np
import pytest
from dask.distributed import Client

from medidiff.acquisition.scan import simulate
from medidiff.acquisition.settings import CtAcquisition, ScanSettings
from medidiff.diffusion.denoiser import edm
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.prior import Prior
from medidiff.errors import ConfigError
from medidiff.io.slab_file import slab_store
from medidiff.reconstruction.settings import ReconstructSettings
from medidiff.reconstruction.slab_task import METHODS, reconstruct_in_slabs
from medidiff.reconstruction.slabs import Plan
from medidiff.reconstruction.task import reconstruct

SETTINGS = ReconstructSettings.model_validate(
    {
        "prior": "small",
        "samples": 2,
        "nadds": {"steps": 4},
        "tv": {"weight": 0.002, "iterations": 12},
        "iterative": {"sirt_iterations": 8},
    }
)


@pytest.fixture(scope="module")
def prior(card) -> Prior:
    network = UNet(UNetShape(width=8, multipliers=(1, 2), blocks=1, stem=2), seed=0).eval().requires_grad_(False)
    trained = card(output="F", multiple=8)
    return Prior(trained, edm(network, trained.sd, trained.limits))


@pytest.fixture(scope="module")
def measured():
    ct = CtAcquisition(views=6, photons=1e5)
    return simulate(ScanSettings(source="chest", seed=4, matrix=24, pixel_mm=12, slices=5, slice_mm=12, ct=ct))[0]


def volume_of(measured, method, prior, slices, client=None, settings=SETTINGS):
    with slab_store(in_memory=False) as store:
        plan = Plan(slices, store, client)
        found = reconstruct_in_slabs(measured, method=method, prior=prior, settings=settings, plan=plan)
        return found.volume.read(0, 5).transpose(2, 1, 0), found.numbers


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_volume_and_the_numbers_that_it_gives_at_once(measured, prior, method):
    whole = reconstruct(measured, method=method, prior=prior, settings=SETTINGS)
    volume, numbers = volume_of(measured, method, prior, 2)
    apart = np.linalg.norm(volume - whole.volume.array) / np.linalg.norm(whole.volume.array + 1000)
    assert apart < 1e-5
    assert numbers["residual"] == pytest.approx(whole.numbers["residual"], rel=1e-4)
    assert numbers["chi2"] == pytest.approx(whole.numbers["chi2"], rel=1e-4)
    assert numbers["network_calls"] == whole.numbers["network_calls"]


def test_dask_workers_give_the_same_bytes(measured, prior):
    few = SETTINGS.model_copy(update={"samples": 1, "nadds": SETTINGS.nadds.model_copy(update={"steps": 2, "data_steps": 2})})
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        volume, _ = volume_of(measured, "nadds", prior, 3, client, few)
    assert np.array_equal(volume, volume_of(measured, "nadds", prior, 3, settings=few)[0])


def test_rays_that_were_not_measured_are_left_out_in_slabs_too(measured):
    weights = measured.weights.copy()
    weights[1:4, 2, 5:9] = 0
    holes = replace(measured, weights=weights)
    whole = reconstruct(holes, method="cgls", settings=SETTINGS)
    volume, numbers = volume_of(holes, "cgls", None, 3)
    assert np.linalg.norm(volume - whole.volume.array) < 1e-5 * np.linalg.norm(whole.volume.array + 1000)
    assert numbers["chi2"] == pytest.approx(whole.numbers["chi2"], rel=1e-4)


def test_methods_that_need_the_whole_volume_and_a_missing_prior_are_refused(measured):
    with pytest.raises(ConfigError, match="method mbir in slabs: expected one of fbp"):
        volume_of(measured, "mbir", None, 2)
    with pytest.raises(ConfigError, match="nadds needs a prior"):
        volume_of(measured, "nadds", None, 2)
