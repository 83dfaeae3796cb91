"""What is shown: decibels against one reference."""

import pytest
import torch

from physics.ultrasound.envelope import grey, log_compress, reference_level


def test_a_tenth_of_the_reference_is_twenty_decibels_down():
    level = log_compress(torch.tensor([2.0, 0.2j, 0.0, 9.0]), reference=2.0)
    assert level.tolist() == pytest.approx([0.0, -20.0, -60.0, 0.0], abs=1e-5)
    assert grey(level).tolist() == [255, 170, 0, 255]


def test_the_reference_is_an_order_statistic_of_the_measured_clip():
    clip = torch.arange(1.0, 1001.0).flip(0).reshape(10, 10, 10)
    assert reference_level(clip) == 999.0


def test_an_empty_clip_is_refused():
    with pytest.raises(ValueError, match="empty clip"):
        log_compress(torch.zeros(3), reference=0.0)
