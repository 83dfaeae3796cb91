import math

import pytest
import torch

from medidiff.diffusion import convert
from medidiff.diffusion.process import VE, Flow, Trigonometric, VPCosine, VPLinear

SIGMA = torch.logspace(-3, math.log10(150), 60, dtype=torch.float64)
OUTPUTS = {"eps": convert.eps, "x0": convert.x0, "v": convert.v, "velocity": convert.velocity, "score": convert.score}


@pytest.mark.parametrize("process", [VE(), VPLinear(), VPCosine(), Flow(), Flow(3.0), Trigonometric()], ids=lambda p: p.name)
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_output_gives_back_image_and_noise(name, process):
    clean, noise = torch.randn(60, 5, dtype=torch.float64), torch.randn(60, 5, dtype=torch.float64)
    mix = OUTPUTS[name](process, process.time(SIGMA))
    x = mix.scale[:, None] * clean + mix.spread[:, None] * noise
    output = mix.output(clean, noise)
    # an eps network loses sigma times the rounding of its input in x0, an x0 network 1/sigma of it in e
    size = torch.maximum(SIGMA, 1 / SIGMA)[:, None]
    assert ((mix.denoised(output, x) - clean).abs() / size).max() < 1e-13
    assert ((mix.predicted_noise(output, x) - noise).abs() / size).max() < 1e-13


def test_v_velocity_and_f_lose_nothing_at_either_end():
    clean, noise = torch.randn(60, 5, dtype=torch.float64), torch.randn(60, 5, dtype=torch.float64)
    for mix in (
        convert.v(VPLinear(), VPLinear().time(SIGMA)),
        convert.velocity(Flow(), Flow().time(SIGMA)),
        convert.edm(SIGMA, 1.0),
    ):
        x = mix.scale[:, None] * clean + mix.spread[:, None] * noise
        # the input of F is u, whose rounding is sigma; c_skip brings it down again
        assert (mix.denoised(mix.output(clean, noise), x) - clean).abs().max() < 5e-15


def test_linear_velocity_is_noise_minus_image():
    mix = convert.velocity(Flow(), torch.tensor([0.1, 0.9], dtype=torch.float64))
    assert mix.output(torch.tensor([[2.0], [2.0]]).double(), torch.tensor([[5.0], [5.0]]).double()).tolist() == [[3.0], [3.0]]


def test_f_of_unit_data_is_minus_v():
    clean, noise = torch.randn(60, 5, dtype=torch.float64), torch.randn(60, 5, dtype=torch.float64)
    f = convert.edm(SIGMA, 1.0).output(clean, noise)
    v = convert.v(VPLinear(), VPLinear().time(SIGMA)).output(clean, noise)
    assert (f + v).abs().max() < 1e-13


def test_the_target_of_f_has_unit_variance_at_every_level():
    mix = convert.edm(SIGMA, 0.3)
    assert 0.3**2 * mix.clean**2 + mix.noise**2 == pytest.approx(torch.ones(60).double(), rel=1e-13)
    factors = convert.edm_factors(SIGMA, 0.3)
    assert convert.edm_weight(SIGMA, 0.3) * factors.c_out**2 == pytest.approx(torch.ones(60).double(), rel=1e-13)
    u, f = torch.randn(60, 1, dtype=torch.float64), torch.randn(60, 1, dtype=torch.float64)
    assert mix.denoised(f, u) == pytest.approx(factors.c_skip[:, None] * u + factors.c_out[:, None] * f, rel=1e-12)


def test_output_errors_reach_the_image_with_the_known_factor():
    time, sigma = VPLinear().time(SIGMA), SIGMA
    factor = {
        "eps": sigma,
        "x0": torch.ones_like(sigma),
        "v": sigma / torch.sqrt(1 + sigma**2),
    }
    for name, expected in factor.items():
        mix = OUTPUTS[name](VPLinear(), time)
        x, output = torch.zeros(60, 1, dtype=torch.float64), torch.full((60, 1), 1e-3, dtype=torch.float64)
        assert mix.denoised(output, x).abs()[:, 0] == pytest.approx(1e-3 * expected, rel=1e-9)
    flow = convert.velocity(Flow(), Flow().time(SIGMA))
    error = flow.denoised(torch.ones(60, 1).double(), torch.zeros(60, 1).double()).abs()[:, 0]
    assert error == pytest.approx(Flow().time(SIGMA), rel=1e-12)


@pytest.mark.parametrize("k", [0, 1, 2, 3, 4])
def test_exponential_integrals_agree_on_both_sides_of_the_switch(k):
    for x in (-1.5, -1.0, -0.999, -1e-4, 0.0, 1e-9, 0.5, 1.0, 2.0):
        nodes, weights = torch.linspace(0, 1, 20001, dtype=torch.float64), 1 / 20000
        if k == 0:
            expected = math.exp(x)
        else:  # phi_k(x) = integral of exp((1 - s) x) s^(k-1) / (k-1)!
            f = torch.exp((1 - nodes) * x) * nodes ** (k - 1) / math.factorial(k - 1)
            expected = float((f[1:-1].sum() + (f[0] + f[-1]) / 2) * weights)
        assert convert.phi(k, x) == pytest.approx(expected, rel=1e-8)
