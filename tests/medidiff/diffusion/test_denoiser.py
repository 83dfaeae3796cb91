import pytest
import torch

from medidiff.diffusion import convert
from medidiff.diffusion.denoiser import (
    Limits,
    as_channels,
    as_complex,
    clipped,
    edm,
    from_eps,
    from_residual,
    from_v,
    from_velocity,
    from_x0,
    limits_of,
    predict,
    sliced,
)
from medidiff.diffusion.process import Flow, MeanReverting, ResShift, VPLinear, ddpm, per_item, rddm
from medidiff.errors import ConfigError, DataError

SIGMA = torch.logspace(-2, 2, 32, dtype=torch.float64)
U = torch.randn(32, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * (1 + SIGMA[:, None])


def perfect(prior, process, output):
    """A network in a process's own variable that predicts exactly what the oracle knows."""

    def network(x, time, anchor=None):
        time = time.double()
        sigma = process.sigma(time)
        u = process.to_state(x, sigma, anchor)
        clean = prior(u, sigma)
        return output(process, time).output(clean, (u - clean) / per_item(sigma, u))

    return network


@pytest.mark.parametrize("process", [VPLinear(), ddpm(), Flow(), Flow(3.0)], ids=lambda p: p.name)
@pytest.mark.parametrize(
    ("adapter", "output"),
    [(from_eps, convert.eps), (from_x0, convert.x0), (from_v, convert.v), (from_velocity, convert.velocity)],
    ids=["eps", "x0", "v", "velocity"],
)
def test_every_adapter_gives_back_the_exact_denoiser(adapter, output, process, gaussian):
    denoiser = adapter(perfect(gaussian, process, output), process)
    error = (denoiser(U, SIGMA) - gaussian(U, SIGMA)).abs().max(1).values
    assert (error / SIGMA.clamp(min=1)).max() < 1e-11


def test_the_edm_adapter_gives_back_the_exact_denoiser(gaussian):
    def network(x, c_noise):
        sigma = torch.exp(4 * c_noise)
        u = x * torch.sqrt(sigma**2 + 0.25)[:, None]
        clean = gaussian(u, sigma)
        return convert.edm(sigma, 0.5).output(clean, (u - clean) / sigma[:, None])

    assert edm(network, 0.5)(U, SIGMA) == pytest.approx(gaussian(U, SIGMA), abs=1e-11)


def test_a_silent_edm_network_returns_the_best_linear_guess():
    denoiser = edm(lambda x, c_noise: torch.zeros_like(x), 0.5)
    assert denoiser(U, SIGMA) == pytest.approx(U * (0.25 / (0.25 + SIGMA**2))[:, None])


@pytest.mark.parametrize("process", [MeanReverting(0.2), ResShift()], ids=lambda p: p.name)
def test_restoration_networks_see_the_anchor_in_their_own_variable(process, gaussian):
    anchor = torch.full_like(U, 3.0)
    denoiser = from_x0(perfect(gaussian, process, convert.x0), process)
    assert denoiser(U, SIGMA, anchor=anchor) == pytest.approx(gaussian(U, SIGMA), abs=1e-9)


def test_a_residual_network_gives_back_the_exact_denoiser(gaussian):
    ramp = torch.linspace(1e-3, 1, 100, dtype=torch.float64)
    process, anchor = rddm(0.95 * ramp, 0.5 * ramp), torch.full((4, 8), 3.0, dtype=torch.float64)
    clean = perfect(gaussian, process, convert.x0)
    denoiser = from_residual(lambda x, time, anchor: anchor - clean(x, time, anchor=anchor), process)
    sigma = torch.tensor([0.01, 0.1, 1.0, 9.0], dtype=torch.float64)
    assert denoiser(U[:4], sigma, anchor=anchor) == pytest.approx(gaussian(U[:4], sigma), abs=1e-11)


def test_a_network_of_whole_times_is_told_the_nearest_one_and_its_level():
    table, told = ddpm(), []

    def network(x, time):
        told.append(time)
        return torch.zeros_like(x)

    from_eps(network, table, integer_times=True)(U[:1], table.levels[400:401] * 1.0001)
    assert told[0].dtype == torch.int64 and told[0].tolist() == [400]


def test_an_eps_network_is_refused_beyond_its_table():
    denoiser = from_eps(lambda x, time: x, ddpm())
    with pytest.raises(ConfigError, match=r"sigma 211 is beyond the last level of linear-1000 \(157\.4\)"):
        predict(denoiser, U, 211.0)


def test_times_follow_the_dtype_of_the_state():
    kinds = []

    def network(x, time):
        kinds.append(time.dtype)
        return x

    from_v(network, VPLinear())(U.float(), SIGMA)
    assert kinds == [torch.float32]


def test_a_flow_network_stays_finite_at_the_noise_end(gaussian):
    denoiser = from_velocity(perfect(gaussian, Flow(), convert.velocity), Flow())
    sigma = torch.full((4,), 1e4, dtype=torch.float64)
    u = 1e4 * U[:4]
    assert denoiser(u, sigma) == pytest.approx(gaussian(u, sigma), abs=1e-7)


def test_clipping_is_a_wrapper_that_keeps_the_limits(gaussian):
    limits = Limits(sigma_max=50.0)
    wrapped = clipped(from_v(lambda x, time: x, VPLinear(), limits=limits), -0.5, 0.5)
    assert limits_of(wrapped) == limits
    assert float(clipped(gaussian, -0.5, 0.5)(U, SIGMA).abs().max()) == 0.5


@pytest.mark.parametrize("axis", [2, 3, 4])
@pytest.mark.parametrize("budget", [1, 7 * 3 * 5 * 8 * 4, 2**30])
def test_slices_of_a_volume_do_not_depend_on_the_batch_size(axis, budget):
    u = torch.randn(2, 1, 4, 3, 5, dtype=torch.float64)
    sigma = torch.tensor([0.5, 2.0], dtype=torch.float64)
    guide, label = torch.randn(2, 1, 4, 3, 5, dtype=torch.float64), torch.tensor([1.0, 10.0]).double()

    def denoiser(slices, sigma, guide, label):
        assert slices.ndim == 4 and len(slices) == len(sigma) == len(guide) == len(label)
        return slices * per_item(sigma, slices) + guide.cumsum(-1) * per_item(label, slices)

    whole = sliced(denoiser, axis, budget, copies=1)(u, sigma, guide=guide, label=label)
    moved = [volume.movedim(axis, 1) for volume in (u, guide)]
    expected = moved[0] * sigma.view(2, 1, 1, 1, 1) + moved[1].cumsum(-1) * label.view(2, 1, 1, 1, 1)
    assert torch.equal(whole, expected.movedim(1, axis))


def test_every_call_on_slices_has_one_shape():
    sizes = []

    def denoiser(slices, sigma):
        sizes.append(len(slices))
        return slices

    u = torch.randn(1, 1, 7, 4, 4)
    assert torch.equal(sliced(denoiser, 2, 3 * 64, copies=1)(u, torch.ones(1).double()), u)
    assert sizes == [3, 3, 3]


def test_slices_lie_along_a_spatial_axis():
    with pytest.raises(ConfigError, match="axis 1: slices lie along a spatial axis"):
        sliced(lambda u, sigma: u, 1)


def test_complex_images_are_two_real_channels():
    x = torch.randn(2, 3, 4, 4, dtype=torch.complex64)
    assert as_channels(x).shape == (2, 6, 4, 4) and not as_channels(x).is_complex()
    assert torch.equal(as_complex(as_channels(x)), x)
    with pytest.raises(DataError, match="state has 3 channels; complex data need an even number"):
        as_complex(torch.zeros(1, 3, 2, 2))
