import pytest
import torch

from medidiff.diffusion.noise import Noise

LIKE = torch.empty(4, 2, 5)


def test_noise_is_the_same_whenever_it_is_asked_for():
    first = Noise(3)(7, LIKE)
    Noise(4)(0, LIKE)
    assert torch.equal(Noise(3)(7, LIKE), first)


def test_an_item_gets_the_same_noise_in_any_batch():
    whole = Noise(3, ("a", "b", 17, "d"))(7, LIKE)
    assert torch.equal(Noise(3, (17,))(7, LIKE[:1])[0], whole[2])
    assert torch.equal(Noise(3).of("d", "a")(7, LIKE[:2]), whole[[3, 0]])


def test_seed_item_step_and_draw_each_change_it():
    base = Noise(3, (0,))(7, LIKE[:1])
    others = [
        Noise(4, (0,))(7, LIKE[:1]),
        Noise(3, (1,))(7, LIKE[:1]),
        Noise(3, (0,))(8, LIKE[:1]),
        Noise(3, (0,))(7, LIKE[:1], 1),
    ]
    others.append(Noise(3, ("0",))(7, LIKE[:1]))  # a study named "0" is not slice 0
    assert all((other - base).abs().max() > 1e-3 for other in others)


def test_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Noise(1)(0, LIKE)
    assert torch.equal(torch.rand(3), expected)


def test_values_are_standard_normal_and_uniform():
    like = torch.empty(50, 2000, dtype=torch.float64)
    z, p = Noise(0)(0, like), Noise(0).uniform(0, like)
    assert abs(float(z.mean())) < 0.01 and float(z.std()) == pytest.approx(1, abs=0.01)
    assert float((z**4).mean()) == pytest.approx(3, abs=0.1)
    assert float(p.min()) >= 0 and float(p.max()) < 1 and float(p.var()) == pytest.approx(1 / 12, abs=1e-3)
    assert abs(float((z[0] * z[1]).mean())) < 0.08  # neighbours are independent


def test_dtype_follows_the_state():
    assert Noise(0)(0, LIKE.double()).dtype == torch.float64 and Noise(0)(0, LIKE).dtype == torch.float32


def test_items_must_fit_the_batch():
    with pytest.raises(ValueError, match="noise has 2 items, the batch 4"):
        Noise(0, (1, 2))(0, LIKE)
