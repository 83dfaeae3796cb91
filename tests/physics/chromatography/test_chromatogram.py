from dataclasses import replace

import numpy as np
import pytest
import torch

from physics.chromatography.chromatogram import breakthrough, chromatogram, peak_gradients, peak_shapes
from physics.chromatography.kernel import goldstein_j, pulse_response
from physics.chromatography.moments import kinetic_cumulants
from physics.chromatography.peaks import Peaks
from physics.chromatography.transfer import GRADIENTS


def seconds(start, stop, step):
    return torch.arange(start, stop, step, dtype=torch.float64)


@pytest.fixture
def composed(btex):
    """Every factor at once, two chromatograms: compressible carrier, diffusion, Golay, tailing, mixing, delay."""
    spread = torch.tensor([[1.0], [1.07]], dtype=torch.float64)
    return Peaks(
        btex.retention * spread,
        btex.desorption / spread,
        btex.hold_up,
        btex.injection,
        tailing=0.7,
        mixing=0.3,
        delay=0.2,
        dispersion=3e-5,
        radial=5e-4,
        pressure_ratio=btex.column.pressure_ratio,
    )


def test_fourier_inversion_equals_the_bessel_kernel(btex, btex_peaks):
    times = seconds(0, 900, 0.5)
    ours = peak_shapes(times, btex_peaks)[0] * btex.injection
    hold_up = torch.full((5,), btex.hold_up, dtype=torch.float64)
    kernel = pulse_response(
        times, retention=btex.retention[0], desorption=btex.desorption[0], hold_up=hold_up, injection=btex.injection
    )
    assert (ours - kernel).abs().max() < 5e-14


def test_numerical_moments_of_benzene_equal_the_closed_form(btex_peaks):
    benzene = Peaks(btex_peaks.retention[:, 4:], btex_peaks.desorption[:, 4:], btex_peaks.hold_up, btex_peaks.injection)
    times = seconds(45, 200, 0.01)
    y = peak_shapes(times, benzene)[0, 0].numpy()
    t = times.numpy()
    area = y.sum() * 0.01
    mean = (t * y).sum() * 0.01 / area
    variance, third = (((t - mean) ** n * y).sum() * 0.01 / area for n in (2, 3))
    np.testing.assert_allclose([area, mean, variance, third], [1.0, *kinetic_cumulants(benzene)[0, 0]], rtol=3e-11)


@pytest.mark.realdata
def test_column_with_dispersion_equals_the_131072_cell_reference_and_its_sensitivities(mirror):
    import h5py

    path = mirror / "chromatography" / "cadet_reference" / "ref_LRM_dynLin_1comp_sensbenchmark1_FV_Z131072.h5"
    with h5py.File(path) as file:
        times = torch.tensor(file["output/solution/SOLUTION_TIMES"][:])
        reference = file["output/solution/unit_001/SOLUTION_OUTLET"][:, 0]
        sensitivities = [file[f"output/sensitivity/param_00{i}/unit_001/SENS_OUTLET"][:, 0] for i in range(3)]
    length, velocity, dispersion, porosity, pulse = 1.0, 1 / 30, 1e-4, 0.6, 60.0
    ratio = torch.tensor([[(1 - porosity) / porosity]], dtype=torch.float64)
    peak = Peaks(ratio, torch.ones_like(ratio), length / velocity, pulse, dispersion=dispersion / (velocity * length))
    shape, slope = peak_gradients(times, peak, ("retention", "dispersion"))
    assert np.abs(pulse * shape[0, 0].numpy() - reference).max() < 1e-9
    by_retention = pulse * slope["retention"][0, 0].numpy()
    ours = [
        pulse * slope["dispersion"][0, 0].numpy() / (velocity * length),
        -by_retention / porosity**2,
        by_retention * float(ratio),
    ]
    for mine, theirs in zip(ours, sensitivities):
        assert np.abs(mine - theirs).max() / np.abs(theirs).max() < 2e-8


@pytest.mark.realdata
def test_packed_bed_equals_the_published_pulse_benchmark_in_kinetic_and_equilibrium_form(mirror):
    path = mirror / "chromatography" / "cadet_reference" / "lrm-pulseBenchmark.data"
    raw = path.read_bytes()
    count = int(np.frombuffer(raw, dtype="<i4", count=1)[0])
    t, dynamic, equilibrium = np.frombuffer(raw, dtype="<f8", offset=4, count=3 * count).reshape(3, count)
    porosity, velocity, length, dispersion = 0.4 + 0.6 * 0.333, 0.5 / 6000, 0.017, 0.002 / 6e5
    retention = torch.full((1, 2), 2.5 * (1 - porosity) / porosity, dtype=torch.float64)
    desorption = torch.tensor([[1.0, 1e14]], dtype=torch.float64)
    peaks = Peaks(retention, desorption, length / velocity, 1200.0, dispersion=dispersion / (velocity * length))
    ours = 1200.0 * peak_shapes(torch.tensor(t), peaks)[0].numpy()
    assert np.abs(ours[0] - dynamic).max() < 5e-13
    assert np.abs(ours[1] - equilibrium).max() < 5e-13


@pytest.mark.parametrize("name", GRADIENTS)
def test_closed_gradients_equal_those_of_automatic_differentiation(composed, name):
    times = seconds(0, 900, 1.0)
    value = getattr(composed, name).expand(composed.shape).clone().requires_grad_(True)
    weights = torch.cos(0.01 * times) + torch.arange(5.0, dtype=torch.float64)[:, None]
    shapes = peak_shapes(times, replace(composed, **{name: value}))
    (automatic,) = torch.autograd.grad((shapes * weights).sum(), value)
    closed = peak_gradients(times, composed, (name,))[1][name] * weights
    assert ((closed.sum(dim=-1) - automatic).abs() / closed.abs().sum(dim=-1)).max() < 1e-12


def test_gradient_by_dispersion_holds_where_there_is_none(btex_peaks):
    times = seconds(0, 900, 1.0)
    shapes, slopes = peak_gradients(times, btex_peaks, ("dispersion",))
    ahead = peak_shapes(times, replace(btex_peaks, dispersion=1e-9))
    torch.testing.assert_close(
        slopes["dispersion"], (ahead - shapes) / 1e-9, rtol=0, atol=1e-4 * float(slopes["dispersion"].abs().max())
    )


def test_mean_moves_by_the_hold_up_time_per_unit_of_retention(btex, btex_peaks):
    times = seconds(0, 900, 0.5)
    slope = peak_gradients(times, btex_peaks, ("retention",))[1]["retention"][0]
    np.testing.assert_allclose((slope * times).sum(dim=-1).numpy() * 0.5, btex.hold_up, rtol=2e-10)


def test_chromatogram_is_the_area_weighted_sum_of_peaks(composed):
    times = seconds(-0.79, 1000, 0.37)
    areas = torch.arange(1.0, 11.0, dtype=torch.float64).reshape(2, 5)
    total = chromatogram(times, composed, areas)
    torch.testing.assert_close(total, (peak_shapes(times, composed) * areas[..., None]).sum(dim=1), rtol=0, atol=1e-13)
    assert total[:, times < 20].abs().max() < 1e-12


def test_arbitrary_times_give_the_same_curve_as_uniform_ones(composed):
    times = seconds(30.25, 700, 0.5)
    chosen = torch.sort(torch.randperm(len(times), generator=torch.Generator().manual_seed(0))[:200]).values
    torch.testing.assert_close(
        peak_shapes(times[chosen], composed), peak_shapes(times, composed)[..., chosen], rtol=0, atol=1e-13
    )


def test_coarse_sampling_gives_the_samples_of_the_fine_curve(btex_peaks):
    fine = peak_shapes(seconds(0, 900, 0.5), btex_peaks)
    torch.testing.assert_close(peak_shapes(seconds(0, 900, 20.0), btex_peaks), fine[..., ::40], rtol=0, atol=1e-13)


def test_each_chromatogram_of_a_batch_is_independent_of_the_others(composed):
    times = seconds(0, 900, 0.5)
    together = peak_shapes(times, composed)
    for row in (0, 1):
        alone = peak_shapes(times, composed.rows(slice(row, row + 1)))
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-13)


def test_single_precision_keeps_five_digits_of_peak_height(btex_peaks):
    single = Peaks(btex_peaks.retention.float(), btex_peaks.desorption.float(), float(btex_peaks.hold_up), 4.0)
    times = seconds(0, 900, 0.5)
    error = (peak_shapes(times.float(), single).double() - peak_shapes(times, btex_peaks)).abs().amax(dim=-1)
    assert (error / peak_shapes(times, btex_peaks).amax(dim=-1)).max() < 1e-5


def test_a_filter_multiplies_the_other_factors(btex_peaks):
    times = seconds(0, 900, 0.5)
    sharp = replace(btex_peaks, injection=0.0, filters=(lambda s: 1 / (1 + 0.4 * s),))
    torch.testing.assert_close(peak_shapes(times, sharp), peak_shapes(times, replace(btex_peaks, injection=0.0, mixing=0.4)))


def test_few_transfer_units_without_diffusion_go_through_the_kernel():
    peaks = Peaks(torch.tensor([[0.5, 0.0, 9.0]], dtype=torch.float64), 1.0, 20.0, 4.0, delay=1.0)
    times = seconds(0, 260, 0.25)
    shapes = peak_shapes(times, peaks)
    np.testing.assert_allclose(torch.trapezoid(shapes, times)[0], 1.0, atol=2e-2)
    plug = ((times >= 21) & (times < 25)).double() / 4
    torch.testing.assert_close(shapes[0, 1], plug)
    diffusing = peak_shapes(times, replace(peaks, dispersion=1e-5))
    assert (shapes - diffusing)[:, :, (times - 21).abs().minimum((times - 25).abs()) > 1].abs().max() < 1e-3
    torch.testing.assert_close(chromatogram(times, peaks, torch.ones(1, 3)), shapes.sum(dim=1))


def test_edges_that_neither_way_resolves_are_refused_with_advice():
    peaks = Peaks(torch.tensor([[0.5]], dtype=torch.float64), 1.0, 20.0, 4.0, mixing=0.5)
    with pytest.raises(ValueError, match=r"knows only a box injection\. Give its dispersion"):
        peak_shapes(seconds(0, 100, 0.5), peaks)
    with pytest.raises(ValueError, match="10 transfer units"):
        peak_gradients(seconds(0, 100, 0.5), peaks, ("retention",))


def test_breakthrough_is_the_step_response(btex_peaks):
    times = seconds(0, 900, 0.5)
    fed = replace(btex_peaks, injection=0.0)
    curve = breakthrough(times, fed)[0].numpy()
    units = (fed.retention * fed.desorption * fed.hold_up)[0].numpy()[:, None]
    elapsed = fed.desorption[0].numpy()[:, None] * (times.numpy() - float(fed.hold_up))
    np.testing.assert_allclose(curve, np.where(elapsed > 0, goldstein_j(units, elapsed), 0.0), atol=2e-12)
    with pytest.raises(ValueError, match="injection=0"):
        breakthrough(times, btex_peaks)


def test_bad_inputs_are_named():
    one = torch.ones((1, 1), dtype=torch.float64)
    with pytest.raises(ValueError, match=r"Peaks\.desorption is 0\.0 somewhere"):
        Peaks(one, 0.0, 30.0)
    with pytest.raises(ValueError, match=r"Peaks\.retention is -1\.0 somewhere"):
        Peaks(-one, 1.0, 30.0)
    with pytest.raises(ValueError, match=r"Peaks\.hold_up has shape \(2, 1\)"):
        Peaks(one, 1.0, torch.ones(2, 1))
    with pytest.raises(ValueError, match="outlet / inlet"):
        Peaks(one, 1.0, 30.0, pressure_ratio=4.0)
    with pytest.raises(ValueError, match="do not increase after sample 1"):
        peak_shapes(torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64), Peaks(one * 9, 9.0, 30.0))
    with pytest.raises(ValueError, match="areas have shape"):
        chromatogram(seconds(0, 10, 1), Peaks(one * 9, 9.0, 30.0), torch.ones(3, 1))
    with pytest.raises(ValueError, match="no gradient for width"):
        peak_gradients(seconds(0, 10, 1), Peaks(one * 9, 9.0, 30.0), ("width",))
