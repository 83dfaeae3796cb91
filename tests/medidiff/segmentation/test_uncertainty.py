"""Doubt between and within members, and the check that needs no truth."""

import numpy as np
import pytest

from medidiff.io.slab_file import SlabArray, SlabFile, slab_store
from medidiff.segmentation.selfcheck import Agreement
from medidiff.segmentation.uncertainty import Moments, entropy, mutual_information

RNG = np.random.default_rng(8)


def test_entropy_of_certainty_is_nothing_and_of_a_coin_is_its_logarithm():
    assert entropy(np.array([0.0, 0.5, 1.0])).tolist() == pytest.approx([0, np.log(2), 0])
    p = RNG.uniform(size=50)
    assert entropy(p) == pytest.approx(entropy(1 - p))


def test_members_that_agree_share_no_information_and_opposite_ones_share_all():
    p = RNG.uniform(size=(1, 50)).repeat(3, 0)
    assert mutual_information(p.mean(0), entropy(p).mean(0)) == pytest.approx(np.zeros(50), abs=1e-12)
    sure = np.array([[0.0], [1.0]])
    assert mutual_information(sure.mean(0), entropy(sure).mean(0)) == pytest.approx([np.log(2)])


@pytest.mark.parametrize("in_memory", [True, False])
def test_running_moments_are_those_of_all_volumes_at_once(in_memory):
    volumes = RNG.uniform(size=(5, 7, 3, 4)).astype(np.float32) + 100
    with slab_store(in_memory=in_memory) as make:
        moments = Moments(make, (7, 3, 4))
        for count, volume in enumerate(volumes, start=1):
            for first in (0, 3, 6):
                moments.add(count, first, volume[first : first + 3])
        assert moments.mean.read(0, 7) == pytest.approx(volumes.mean(0), rel=1e-6)
        assert moments.variance(5, 1, 6) == pytest.approx(volumes.var(0, ddof=1)[1:6], rel=1e-3)


def test_a_second_run_of_moments_starts_anew():
    moments = Moments(SlabArray, (2, 2, 2))
    for value in (5.0, 1.0, 3.0):
        moments.add(1 if value != 3 else 2, 0, np.full((2, 2, 2), value, np.float32))
    assert moments.mean.read(0, 2).flat[0] == 2 and moments.variance(2, 0, 2).flat[0] == 2


def test_gaps_of_known_maps():
    agreement = Agreement()
    agreement.add(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]))
    assert agreement.gap == agreement.volume_gap == 0
    agreement.add(np.array([[0.5, 0.0]]), np.array([[0.0, 0.25]]))
    assert agreement.gap == pytest.approx(0.75 / 1.75)
    assert agreement.volume_gap == pytest.approx(0.25 / 1.25)
    assert agreement.is_trusted(0.2) and not agreement.is_trusted(0.19)


def test_two_empty_maps_agree():
    agreement = Agreement()
    agreement.add(np.zeros((2, 2)), np.zeros((2, 2)))
    assert agreement.gap == 0 and agreement.is_trusted(0.0)


def test_slabs_on_disk_are_zero_at_first_and_keep_what_is_written(tmp_path):
    slabs = SlabFile(tmp_path / "a.raw", (5, 2, 3))
    slabs.write(3, np.full((2, 2, 3), 1.5))
    assert not slabs.read(0, 3).any() and (slabs.read(3, 5) == 1.5).all()
    assert slabs.path.stat().st_size == 5 * 2 * 3 * 4


def test_scratch_files_are_gone_after_the_block():
    with slab_store(in_memory=False) as make:
        path = make((2, 2)).path
        assert path.exists()
    assert not path.exists()
