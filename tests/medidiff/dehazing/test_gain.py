"""One gain per frame, from the measurement alone."""

import pytest
import torch

from medidiff.dehazing.gain import check_clipping, gain_of, scaled
from medidiff.errors import DataError


def test_quantile_of_the_amplitudes_becomes_the_inverse_of_the_headroom():
    y = (
        torch.randn(2, 100, 50, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
        * torch.tensor([1.0, 300.0])[:, None, None]
    )
    frames = scaled(y, headroom=2.0)
    quantiles = torch.stack([torch.quantile(frame.abs().flatten(), 0.995) for frame in frames.signal])
    torch.testing.assert_close(quantiles, torch.full((2,), 0.5), rtol=1e-4, atol=0)
    torch.testing.assert_close(frames.undone(frames.signal + frames.excess), y)


def test_what_is_above_full_scale_is_cut_with_its_phase_and_kept_apart():
    y = torch.ones(1, 40, 40, dtype=torch.complex64)
    y[0, 0, 0] = 30j
    frames = scaled(y, headroom=2.0)
    assert frames.signal[0, 0, 0] == pytest.approx(1j)
    assert frames.excess[0, 0, 0] == pytest.approx(14j)
    assert float(frames.clipped) == pytest.approx(1 / 1600)


def test_empty_frames_and_frames_of_few_echoes_have_a_gain():
    y = torch.zeros(2, 40, 40, dtype=torch.complex64)
    y[1, 3, 3] = 5.0
    assert gain_of(y, headroom=2.0).tolist() == pytest.approx([1.0, 0.1])


def test_clipping_is_told_and_then_refused():
    shares = torch.tensor([0.0, 0.02])
    assert check_clipping(torch.zeros(2), 0, warn=0.005, stop=0.05) == []
    assert "2.00 % of the samples of frame 8" in check_clipping(shares, 7, warn=0.005, stop=0.05)[0]
    with pytest.raises(DataError, match=r"frame 8: 2.0 % of the samples are above full scale"):
        check_clipping(shares, 7, warn=0.001, stop=0.01)
