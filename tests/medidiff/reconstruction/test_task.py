"""The room's one entry: what it promises of seeds, units, missing priors, wrong priors and the choice by the data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medidiff.diffusion.prior import Prior
from medidiff.errors import ConfigError, DataError
from medidiff.reconstruction.settings import HeldoutSettings, NaddsSettings, ReconstructSettings, TvSettings
from medidiff.reconstruction.task import reconstruct

SETTINGS = ReconstructSettings(samples=2, nadds=NaddsSettings(steps=10), tv=TvSettings(weight=1e-3, iterations=15))


def towards(expected: np.ndarray | float, spread: float):
    """The denoiser of white data of this spread around an expected volume in network units."""

    def denoise(u, sigma):
        mean = torch.as_tensor(expected, dtype=u.dtype)
        share = (spread**2 / (spread**2 + sigma**2)).to(u).reshape(-1, 1, 1, 1)
        return mean + share * (u - mean)

    return denoise


@pytest.fixture
def knowing(card, hu):
    """A prior that knows the volume up to 40 HU."""
    return Prior(card(), towards(hu[:, None] / 1000, 0.04))


@pytest.fixture
def misled(card, hu):
    """A prior that is sure of another volume."""
    return Prior(card(), towards(-hu[:, None, ::-1].copy() / 1000 - 1, 0.01))


def rmse(found, hu) -> float:
    return float(np.sqrt(np.mean((found.volume.array.transpose(2, 1, 0) - hu) ** 2)))


@pytest.mark.parametrize("method", ["fbp", "sirt", "cgls", "tv", "nadds", "dds", "mbir", "reddiff"])
def test_every_method_finds_the_volume_in_hu_on_the_grid_of_the_measurement(measure, hu, knowing, method):
    small = {"dds": {"steps": 10}, "mbir": {"steps": 20}, "reddiff": {"steps": 20}}
    settings = SETTINGS.model_copy(
        update={"samples": 1, **{k: getattr(SETTINGS, k).model_copy(update=v) for k, v in small.items()}}
    )
    measurement = measure(hu, views=24)
    found = reconstruct(measurement, method=method, prior=knowing, settings=settings)
    assert found.volume.array.shape == (16, 16, 3)
    assert found.volume.array.dtype == np.float32
    np.testing.assert_array_equal(found.volume.affine, measurement.affine)
    assert rmse(found, hu) < 120
    assert found.numbers["adjoint_error"] < 1e-6
    assert found.samples is None
    calls = {"nadds": 10, "dds": 10, "mbir": 40, "reddiff": 20}
    assert found.numbers["network_calls"] <= calls.get(method, 0)
    assert (found.numbers["network_calls"] > 0) == (method in calls)


def test_equal_seeds_give_equal_bytes_and_a_sample_does_not_depend_on_their_number(measure, hu, knowing):
    run = lambda **changes: reconstruct(measure(hu), method="nadds", prior=knowing, settings=SETTINGS.model_copy(update=changes))
    two, again, three, other = run(), run(), run(samples=3), run(seed=1)
    assert two.volume.array.tobytes() == again.volume.array.tobytes()
    np.testing.assert_array_equal(two.samples, three.samples[:2])
    np.testing.assert_allclose(two.samples.mean(axis=0), two.volume.array, atol=0.01)
    assert not np.array_equal(two.samples[0], two.samples[1])
    assert not np.array_equal(two.samples[0], other.samples[0])


def test_nothing_outside_the_measurement_reaches_the_solver(measure, hu, knowing):
    """A reference in the provenance is not seen, whatever it holds."""
    measurement = measure(hu)
    leaky = replace(measurement, provenance={"reference": np.random.default_rng(0).normal(size=hu.shape).tolist()})
    plain, beside = (reconstruct(each, method="nadds", prior=knowing, settings=SETTINGS) for each in (measurement, leaky))
    assert plain.volume.array.tobytes() == beside.volume.array.tobytes()


def test_chunks_of_slices_change_nothing(measure, hu, knowing):
    pointwise = Prior(knowing.card, towards(-0.5, 0.3))
    one, all_at_once = (
        reconstruct(measure(hu), method="nadds", prior=pointwise, settings=SETTINGS.model_copy(update={"slices_at_once": n}))
        for n in (1, 16)
    )
    np.testing.assert_allclose(one.volume.array, all_at_once.volume.array, atol=0.02)


@pytest.mark.parametrize("method", ["fbp", "cgls", "tv"])
def test_centimetres_or_millimetres_give_the_same_volume(measure, hu, method):
    millimetres = measure(hu, views=24)
    lengths = {key: millimetres.geometry[key] / 10 for key in ("pixel_mm", "bin_mm")}
    affine = millimetres.affine @ np.diag([0.1, 0.1, 0.1, 1])
    other = replace(millimetres, geometry={**millimetres.geometry, **lengths}, affine=affine, water_per_mm=0.192)
    first, second = (reconstruct(each, method=method, settings=SETTINGS) for each in (millimetres, other))
    np.testing.assert_allclose(first.volume.array, second.volume.array, atol=0.5)


@pytest.mark.parametrize("method", ["fbp", "sirt", "cgls"])
def test_linear_methods_scale_with_the_data(measure, hu, method):
    """Attenuation, HU + 1000, is doubled where the line integrals are."""
    measurement = measure(hu, views=24)
    double = replace(measurement, line_integrals=2 * measurement.line_integrals)
    first, second = (reconstruct(each, method=method, settings=SETTINGS).volume.array + 1000 for each in (measurement, double))
    np.testing.assert_allclose(second, 2 * first, atol=0.5)


def test_auto_takes_the_prior_where_it_predicts_hidden_views_better(measure, hu, knowing):
    measurement = measure(hu, views=8, noise_std=0.01)
    found = reconstruct(measurement, method="auto", prior=knowing, settings=SETTINGS)
    assert found.numbers["chosen"] == "nadds"
    assert found.numbers["heldout_nadds"] == found.numbers["heldout"] < found.numbers["heldout_tv"]
    alone = reconstruct(measurement, method="nadds", prior=knowing, settings=SETTINGS)
    np.testing.assert_array_equal(found.volume.array, alone.volume.array)
    assert not [text for text in found.warnings if "prior" in text]


def test_auto_falls_back_to_total_variation_under_a_wrong_prior_and_says_so(measure, hu, misled):
    measurement = measure(hu, views=8, noise_std=0.01)
    settings = SETTINGS.model_copy(update={"nadds": SETTINGS.nadds.model_copy(update={"anchor": 1000.0})})
    found = reconstruct(measurement, method="auto", prior=misled, settings=settings)
    assert found.numbers["chosen"] == "tv"
    alone = reconstruct(measurement, method="tv", settings=settings)
    np.testing.assert_array_equal(found.volume.array, alone.volume.array)
    assert any(text.startswith("prior not supported by data") for text in found.warnings)


def test_auto_without_a_prior_is_total_variation(measure, hu):
    found = reconstruct(measure(hu), method="auto", settings=SETTINGS)
    assert found.numbers["chosen"] == "tv"
    assert "There is no prior: auto is total variation." in found.warnings


def test_the_weight_of_total_variation_comes_from_hidden_views(measure, hu):
    weights = TvSettings(weights=(1e-4, 1e-1), iterations=20)
    settings = ReconstructSettings(tv=weights, heldout=HeldoutSettings(share=0.2))
    found = reconstruct(measure(hu, views=20), method="tv", settings=settings)
    assert found.numbers["tv_weight"] == 1e-4
    assert 0 < found.numbers["heldout"] < 0.2
    assert "The best weight of total variation, 0.0001, is at the end of tv.weights: widen them." in found.warnings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": (-160.0, 240.0)}, r"trained on \[-160, 240\] HU, the study asks \[-1000, 1000\] HU"),
        ({"units": "1"}, "trained on .* 1, the study asks"),
        ({"channels": 2}, "found 2, expected 1"),
    ],
)
def test_a_prior_of_other_images_is_refused(measure, hu, card, changes, words):
    with pytest.raises(DataError, match=words):
        reconstruct(measure(hu), method="nadds", prior=Prior(card(**changes), towards(0.0, 0.5)), settings=SETTINGS)


def test_patches_that_the_network_cannot_take_are_refused(measure, hu, card):
    prior = Prior(card(multiple=8), towards(0.0, 0.5))
    with pytest.raises(DataError, match=r"patch: found 12, expected a multiple of 8 .* Use 16"):
        reconstruct(measure(hu), method="nadds", prior=prior, settings=SETTINGS.model_copy(update={"patch": 12}))


def test_methods_say_what_they_need(measure, hu):
    with pytest.raises(ConfigError, match="method nadds needs a prior, found none"):
        reconstruct(measure(hu), method="nadds", settings=SETTINGS)
    with pytest.raises(ConfigError, match="method cgsense is not for CT data"):
        reconstruct(measure(hu), method="cgsense", settings=SETTINGS)
    with pytest.raises(DataError, match="fbp: angles_rad: found 3 views with unequal steps"):
        views = [0.0, 0.5, 0.7]
        odd = measure(hu, views=3)
        reconstruct(replace(odd, geometry={**odd.geometry, "angles_rad": views}), method="fbp", settings=SETTINGS)


def test_one_slice_is_not_coupled_and_unequal_distances_are_stated(measure, hu):
    one = reconstruct(measure(hu[:1]), method="tv", settings=SETTINGS)
    assert "There is one slice: the coupling of slices is off." in one.warnings
    several = reconstruct(measure(hu), method="tv", settings=SETTINGS)
    assert any(text.startswith("Slices are 0.625 times as far apart as pixels") for text in several.warnings)


def test_an_object_that_leaves_the_field_of_view_is_noticed(measure):
    found = reconstruct(measure(np.zeros((2, 16, 16)) + 0.0, views=8), method="tv", settings=SETTINGS)
    assert not [text for text in found.warnings if "field of view" in text]
    measurement = measure(np.zeros((2, 16, 16)), views=8)
    cut = replace(
        measurement, line_integrals=measurement.line_integrals[..., 7:17], geometry={**measurement.geometry, "bins": 10}
    )
    assert any("field of view" in text for text in reconstruct(cut, method="tv", settings=SETTINGS).warnings)
