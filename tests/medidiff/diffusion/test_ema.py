"""Averages of the weights: the profile they follow, and the widths they can be turned into afterwards."""

import numpy as np
import pytest
import torch

from medidiff.diffusion.ema import PowerAverage, Snapshot, power_exponent, reconstruct
from medidiff.errors import ConfigError


def test_exponents_of_the_usual_widths_are_those_of_the_paper():
    assert power_exponent(0.05) == pytest.approx(16.97, abs=0.01)
    assert power_exponent(0.10) == pytest.approx(6.94, abs=0.01)


def test_average_weighs_every_step_by_the_power_profile_of_its_width():
    steps, width = 400, 0.10
    average = PowerAverage([width])
    for step in range(1, steps + 1):
        one_hot = torch.zeros(steps, dtype=torch.float64)
        one_hot[step - 1] = 1
        average.update({"w": one_hot}, step)
    shares = average.tracks[width]["w"].numpy()
    times = np.arange(1, steps + 1) / steps
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    mean = (shares * times).sum()
    assert np.sqrt((shares * (times - mean) ** 2).sum()) == pytest.approx(width, rel=0.02)


def test_first_update_copies_the_weights_and_integers_are_always_copied():
    average = PowerAverage([0.05])
    average.update({"w": torch.tensor([2.0]), "n": torch.tensor(1)}, 1)
    average.update({"w": torch.tensor([4.0]), "n": torch.tensor(2)}, 2)
    assert 2 < average.tracks[0.05]["w"].item() <= 4
    assert average.tracks[0.05]["n"].item() == 2


def test_another_width_is_reconstructed_from_stored_copies():
    steps, wanted, widths = 256, 0.07, (0.05, 0.10)
    average = PowerAverage([*widths, wanted])
    rng, snapshots = torch.Generator().manual_seed(0), []
    weight = torch.zeros(32, dtype=torch.float64)
    for step in range(1, steps + 1):
        weight = weight + 0.1 * torch.randn(32, generator=rng, dtype=torch.float64)
        average.update({"w": weight}, step)
        if step % 16 == 0:
            snapshots += [Snapshot(step, width, {"w": average.tracks[width]["w"].clone()}) for width in widths]
    direct = average.tracks[wanted]["w"]
    rebuilt = reconstruct(snapshots, step=steps, width=wanted)["w"]
    nearest = average.tracks[0.05]["w"]
    error = float((rebuilt - direct).norm() / direct.norm())
    assert error < 0.01
    assert error < 0.1 * float((nearest - direct).norm() / direct.norm())


def test_impossible_width_is_refused():
    with pytest.raises(ConfigError, match=r"ema width 0\.3: expected between 0 and"):
        power_exponent(0.3)
