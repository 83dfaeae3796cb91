from dataclasses import replace

import pytest
import torch

from physics.chromatography.chromatogram import peak_shapes
from physics.chromatography.injection import SampledProfile
from physics.chromatography.transfer import box


def test_two_equal_samples_are_a_box_and_a_triangle_is_a_box_squared():
    s = torch.complex(torch.tensor(0.01), torch.linspace(0.0, 40.0, 200)).to(torch.complex128)
    plateau = SampledProfile(torch.tensor([0.0, 4.0]), torch.tensor([3.0, 3.0]))
    torch.testing.assert_close(plateau(s), box(4 * s), rtol=1e-11, atol=1e-12)
    triangle = SampledProfile(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0.0, 7.0, 0.0]))
    torch.testing.assert_close(triangle(s), box(2 * s) ** 2, rtol=1e-11, atol=1e-12)


def test_a_sampled_box_gives_the_peak_of_a_box_injection(btex_peaks):
    times = torch.arange(0, 900, 0.5, dtype=torch.float64)
    sampled = SampledProfile(torch.linspace(0.0, 4.0, 9), torch.full((9,), 2.0))
    ours = peak_shapes(times, replace(btex_peaks, injection=0.0, filters=(sampled,)))
    torch.testing.assert_close(ours, peak_shapes(times, btex_peaks), rtol=0, atol=1e-12)


def test_profiles_without_area_or_order_are_refused_with_advice():
    with pytest.raises(ValueError, match="Subtract the baseline first"):
        SampledProfile(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0]))
    with pytest.raises(ValueError, match="times increasing"):
        SampledProfile(torch.tensor([0.0, 1.0, 1.0]), torch.ones(3))
