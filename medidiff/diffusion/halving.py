"""As many items at once as the memory of the card allows."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from medidiff.errors import ConfigError

log = logging.getLogger("medidiff")


def in_halves(work: Callable[[int, int], Tensor], first: int, last: int, *, advice: str) -> Tensor:
    """work(first, last) (last - first, ...) of items apart from each other; of halves where the card's memory is too small.

    advice   what to lower when not even one item fits

    Halves are halved again until they fit. Raises ConfigError with the card's own message and the advice for a single item that
    does not.
    """
    try:
        return work(first, last)
    except torch.cuda.OutOfMemoryError as error:
        message = str(error).split(". ")[0]
        if last - first <= 1:
            raise ConfigError(f"the card's memory does not hold one item: {message}. {advice}") from error
    # outside of the handler, whose traceback would keep the tensors alive
    torch.cuda.empty_cache()
    middle = (first + last) // 2
    log.warning("the card's memory does not hold %d items at once (%s); going on with halves", last - first, message)
    return torch.cat([in_halves(work, *half, advice=advice) for half in ((first, middle), (middle, last))])
