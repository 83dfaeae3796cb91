import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from medidiff.errors import DataError
from medidiff.reconstruction.operators import Normalised, beam_of, ct_scan
from physics.laws import broken_laws, probes

WINDOW, WATER = (-1000.0, 1000.0), 0.0192


@pytest.mark.parametrize("beam", ["parallel", "fan"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_normalised_operator_keeps_all_laws_and_has_norm_one(beam, dtype, geometry):
    operator = Normalised.of(beam_of(geometry(9, beam=beam)))
    assert broken_laws(operator, dtype) == {}
    assert operator.norm == pytest.approx(1.0, abs=1e-6)
    largest = torch.linalg.svdvals(matrix_of(operator))[0]
    assert float(largest) == pytest.approx(1.0, abs=1e-3)


def matrix_of(operator) -> torch.Tensor:
    basis = torch.eye(math.prod(operator.domain)).reshape(-1, *operator.domain)
    return operator.forward(basis).flatten(1).T


def test_rays_without_a_measurement_are_left_out_of_operator_and_adjoint(geometry):
    beam = beam_of(geometry(9))
    trusted = (torch.rand((3, *beam.range), generator=torch.Generator().manual_seed(0)) > 0.3).float()
    operator = Normalised.of(beam, trusted)
    x, y = probes(beam.domain, torch.float64, seed=1, count=3), probes(beam.range, torch.float64, seed=2, count=3)
    seen, back = operator.forward(x), operator.adjoint(y)
    assert bool((seen[trusted == 0] == 0).all())
    assert float((seen * y).sum()) == pytest.approx(float((x * back).sum()), rel=1e-12)
    torch.testing.assert_close(operator.normal(x), operator.adjoint(seen))


@pytest.mark.parametrize("window", [WINDOW, (-1200.0, 800.0), (-160.0, 240.0)])
def test_the_scan_of_a_volume_is_its_operator_applied_to_the_volume_in_window_units(measure, hu, window, window_units):
    scan = ct_scan(measure(hu), window)
    x = window_units(hu, window)
    torch.testing.assert_close(scan.operator.forward(x), scan.y, rtol=1e-4, atol=1e-4 * float(scan.y.abs().max()))
    torch.testing.assert_close(scan.window.values(x[:, 0]).double(), torch.from_numpy(hu), rtol=0, atol=0.01)
    assert scan.misfit(x) < 1e-4
    assert scan.slice_ratio == pytest.approx(4.0 / 2.5)


def test_network_units_describe_the_same_measurement(measure, hu, window_units):
    scan = ct_scan(measure(hu, noise_std=0.01), WINDOW)
    measurement, x = scan.measurement(), window_units(hu)
    torch.testing.assert_close(measurement.misfit(scan.state(x)), 2 * (scan.y - scan.operator.forward(x)), rtol=1e-3, atol=1e-5)
    assert measurement.noise_std == 2 * scan.noise_std
    torch.testing.assert_close(scan.volume(scan.state(x)), x)


def test_the_noise_of_the_scan_is_that_of_its_weights_and_the_truth_has_chi_square_one(measure, window_units):
    hu = np.repeat(np.full((1, 16, 16), -500.0), 8, axis=0)
    scan = ct_scan(measure(hu, views=30, noise_std=0.02), WINDOW)
    unit = scan.operator.factor / (2 * WATER)
    assert scan.noise_std == pytest.approx(0.02 * unit, rel=1e-5)
    count = scan.y.numel()
    assert abs(scan.chi_square(window_units(hu)) - 1) < 3 * math.sqrt(2 / count)


def test_rays_of_weight_zero_count_neither_in_the_misfit_nor_in_chi_square(measure, hu, window_units):
    measurement = measure(hu, views=20, noise_std=0.02)
    dead = np.array(measurement.weights)
    dead[:, 3, 5:9] = 0
    values = np.array(measurement.line_integrals)
    values[:, 3, 5:9] = 40.0
    scan = ct_scan(replace(measurement, line_integrals=values, weights=dead), WINDOW)
    assert abs(scan.chi_square(window_units(hu)) - 1) < 3 * math.sqrt(2 / (dead > 0).sum())
    assert scan.misfit(window_units(hu)) < 0.1


def test_network_units_hold_where_rays_are_missing(measure, hu, window_units):
    measurement = measure(hu, views=20, noise_std=0.001)
    dead = np.array(measurement.weights)
    dead[1, 3, 5:9] = 0
    scan = ct_scan(replace(measurement, weights=dead), WINDOW)
    misfit = scan.measurement().misfit(scan.state(window_units(hu)))
    assert float(misfit.abs().max()) < 10 * scan.measurement().noise_std
    assert bool((misfit[1, 0, 3, 5:9] == 0).all())


def test_without_weights_there_is_no_chi_square(measure, hu, window_units):
    assert ct_scan(measure(hu), WINDOW).chi_square(window_units(hu)) is None


@pytest.mark.parametrize("noise_std", [0.0, 0.02])
def test_keeping_views_is_measuring_only_those(measure, hu, noise_std, geometry):
    measurement = measure(hu, noise_std=noise_std)
    kept = [0, 2, 5, 7, 11]
    shape = {**geometry(12), "angles_rad": [geometry(12)["angles_rad"][view] for view in kept]}
    weights = None if measurement.weights is None else measurement.weights[:, kept]
    fewer = replace(measurement, line_integrals=measurement.line_integrals[:, kept], geometry=shape, weights=weights)
    part, direct = ct_scan(measurement, WINDOW).keep(kept), ct_scan(fewer, WINDOW)
    torch.testing.assert_close(part.y, direct.y)
    assert part.operator.factor == direct.operator.factor
    assert part.noise_std == pytest.approx(direct.noise_std)
    if noise_std:
        torch.testing.assert_close(part.variance, direct.variance)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"beam": "cone"}, "geometry.beam: found 'cone', expected one of parallel, fan"),
        ({"angles_rad": [0.0, 90.0]}, "at most 4 pi"),
        ({"pixel_mm": 0.0}, "positive, finite edge"),
        ({"bins": 7}, r"found \(12, 24\) \(view, bin\), expected \(12, 7\)"),
        ({"tilt_rad": 0.1}, "tilt_rad"),
    ],
)
def test_a_geometry_that_cannot_be_computed_is_refused(measure, hu, change, words):
    measurement = measure(hu)
    with pytest.raises(DataError, match=words):
        ct_scan(replace(measurement, geometry={**measurement.geometry, **change}), WINDOW)


def test_what_noise_explains_is_not_held_against_an_image(measure, hu, window_units):
    scan, truth = ct_scan(measure(hu, views=40, noise_std=0.02), WINDOW), window_units(hu)
    clean = ct_scan(measure(hu, views=40), WINDOW)
    wrong = truth + 0.05 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    assert scan.unexplained(wrong) == pytest.approx(clean.unexplained(wrong), rel=0.1)
    assert clean.unexplained(wrong) == pytest.approx(clean.misfit(wrong))
    assert scan.unexplained(truth) < 0.5 * scan.misfit(truth)
