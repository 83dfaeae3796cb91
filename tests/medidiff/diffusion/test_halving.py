"""A card that is too small gets half as much at once, and the same comes out."""

import logging

import pytest
import torch

from medidiff.diffusion.halving import in_halves
from medidiff.errors import ConfigError


def card_of(room: int, sizes: list[int]):
    """Squares of the numbers of items, on a card that holds so many at once; notes how many were tried."""

    def work(first: int, last: int) -> torch.Tensor:
        sizes.append(last - first)
        if last - first > room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB. GPU 0 has 4 GiB.")
        return torch.arange(first, last) ** 2

    return work


def test_what_fits_is_done_at_once():
    sizes = []
    assert in_halves(card_of(9, sizes), 3, 12, advice="").tolist() == [i**2 for i in range(3, 12)] and sizes == [9]


def test_what_does_not_fit_is_done_in_halves_of_halves_in_order_and_says_so(caplog):
    sizes = []
    with caplog.at_level(logging.WARNING):
        found = in_halves(card_of(3, sizes), 0, 9, advice="")
    assert found.tolist() == [i**2 for i in range(9)] and sizes == [9, 4, 2, 2, 5, 2, 3]
    assert "does not hold 9 items at once (CUDA out of memory)" in caplog.text


def test_a_single_item_that_does_not_fit_is_one_error_with_advice():
    with pytest.raises(ConfigError, match=r"does not hold one item: CUDA out of memory\. Lower the size"):
        in_halves(card_of(0, []), 0, 4, advice="Lower the size.")


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def work(first: int, last: int) -> torch.Tensor:
        raise RuntimeError("device-side assert")

    with pytest.raises(RuntimeError, match="assert"):
        in_halves(work, 0, 4, advice="")
