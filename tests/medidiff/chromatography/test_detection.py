"""Peaks of digital traces with known truth, and of measured ones."""

import numpy as np
import pytest

from medidiff.chromatography.detection import baseline_of, detect_peaks, noise_of
from medidiff.errors import DataError
from medidiff.phantoms.chromatogram import AROMATICS, make_chromatogram, true_peaks
from medidiff.phantoms.trace_settings import ChromatogramPhantom
from physics.chromatography.moments import kinetic_cumulants


def gaussian(times, centre, sigma, height):
    return height * np.exp(-0.5 * ((times - centre) / sigma) ** 2)


@pytest.mark.parametrize("settings", [{}, {"drift": 0.5}, {"noise": 0.001, "tailing_s": 2.0}, {"step_s": 0.1, "seed": 7}])
def test_the_five_aromatics_are_found_at_their_means(settings):
    made = ChromatogramPhantom(**settings)
    trace = make_chromatogram(made)
    found = detect_peaks(trace.times, trace.signal, least_share=0.005)
    peaks, areas = true_peaks(made)
    mean, variance, _ = kinetic_cumulants(peaks)[0].T
    assert len(found.peaks) == len(AROMATICS)
    assert np.abs(np.array([p.mean for p in found.peaks]) - mean.numpy()).max() < 1.0
    np.testing.assert_allclose([p.area for p in found.peaks], areas[0].numpy(), rtol=0.1)
    np.testing.assert_allclose([p.variance for p in found.peaks], variance.numpy(), rtol=0.3)


def test_the_moments_of_a_lone_peak_are_its_own():
    times = np.arange(0.0, 400.0, 0.5)
    rng = np.random.default_rng(4)
    signal = 100 + gaussian(times, 163.3, 6.0, 50.0) + 0.05 * rng.standard_normal(len(times))
    (peak,) = detect_peaks(times, signal).peaks
    assert peak.time == pytest.approx(163.3, abs=0.05)
    assert peak.mean == pytest.approx(163.3, abs=0.05)
    assert peak.height == pytest.approx(50.0, rel=0.02)
    assert peak.area == pytest.approx(50 * 6 * np.sqrt(2 * np.pi), rel=0.01)
    assert peak.variance == pytest.approx(36.0, rel=0.05)
    assert peak.width_half == pytest.approx(2.3548 * 6, rel=0.02)


def test_signal_to_noise_is_twice_the_height_over_the_peak_to_peak_noise():
    times = np.arange(0.0, 400.0, 0.5)
    signal = gaussian(times, 200.0, 5.0, 40.0) + np.where(np.arange(len(times)) % 2, 1.0, -1.0)
    (peak,) = detect_peaks(times, signal, least_signal_to_noise=1.0).peaks
    assert peak.signal_to_noise == pytest.approx(2 * 40 / 2, rel=0.05)


def test_noise_is_that_of_the_samples_whatever_the_peaks_and_the_drift():
    trace = make_chromatogram(ChromatogramPhantom(noise=0.02, drift=1.0, step_s=0.1, until_s=2000.0))
    highest = (trace.signal - trace.signal.min()).max()
    clean = make_chromatogram(ChromatogramPhantom(noise=0.0, drift=1.0, step_s=0.1, until_s=2000.0))
    assert noise_of(trace.signal) == pytest.approx(float(np.std(trace.signal - clean.signal)), rel=0.03)
    assert noise_of(clean.signal) < 1e-4 * highest


def test_the_noise_of_a_trace_full_of_peaks_is_that_of_its_baseline():
    trace, clean = (make_chromatogram(ChromatogramPhantom(noise=noise)) for noise in (0.01, 0.0))
    truth = float(np.std(trace.signal - clean.signal))
    assert noise_of(trace.signal) > 1.1 * truth
    assert detect_peaks(trace.times, trace.signal, least_share=0.005).noise == pytest.approx(truth, rel=0.06)


def test_the_baseline_follows_a_drift_and_passes_under_peaks():
    times = np.arange(0.0, 1000.0, 0.5)
    drift = 20 + 0.01 * times + 3 * np.sin(times / 400)
    signal = drift + gaussian(times, 300, 5, 80) + gaussian(times, 640, 9, 30)
    found = baseline_of(signal, 200, noise=0.05)
    assert np.abs(found - drift).max() < 0.8


def test_detection_does_not_depend_on_the_units_of_signal_or_time():
    trace = make_chromatogram(ChromatogramPhantom())
    plain = detect_peaks(trace.times, trace.signal, least_share=0.005).peaks
    scaled = detect_peaks(trace.times / 60, 1e-6 * trace.signal - 3, least_share=0.005).peaks
    np.testing.assert_allclose([60 * p.mean for p in scaled], [p.mean for p in plain], rtol=1e-9)
    np.testing.assert_allclose([p.area * 60e6 for p in scaled], [p.area for p in plain], rtol=1e-6)


def test_coarse_and_uneven_sampling_are_said():
    times = np.arange(0.0, 200.0, 0.5)
    signal = gaussian(times, 100, 0.8, 10.0) + 1e-3 * np.random.default_rng(0).standard_normal(len(times))
    found = detect_peaks(times, signal)
    assert any("samples at half height; at least 8 are needed" in text for text in found.warnings)
    uneven = times + 0.1 * np.sin(times)
    found = detect_peaks(uneven, gaussian(uneven, 100, 8, 10.0) + 0.01 * np.cos(7 * times))
    assert any("sampling is uneven" in text for text in found.warnings)


def test_noise_alone_holds_no_peak():
    with pytest.raises(DataError, match=r"no peak stands out of the noise.*least_signal_to_noise"):
        detect_peaks(np.arange(2000.0), np.random.default_rng(1).standard_normal(2000))


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["A", "B"])
def test_every_measured_alkane_has_its_apex_at_the_published_time(mirror, name):
    from medidiff.chromatography.measurements import read_measurements
    from medidiff.io.chromatogram.csvfile import read_csv

    trace = read_csv(mirror / "chromatography" / "leppert2020" / f"measured_chromatogram_{name}.csv")
    run = read_measurements("leppert2020").runs[name]
    apexes = np.array([peak.time for peak in detect_peaks(trace.times, trace.signal).peaks])
    nearest = apexes[np.argmin(np.abs(apexes - run.times[:, None]), axis=1)]
    assert np.abs(nearest - run.times).max() < 0.05  # published to a thousandth of a minute


def test_the_phantom_is_the_same_for_the_same_seed_alone():
    a, b = (make_chromatogram(ChromatogramPhantom(seed=3)).signal for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, make_chromatogram(ChromatogramPhantom(seed=4)).signal)
