"""What a seed of the corpus is: a small valid input, the reader it goes through, and how it may be changed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.robustness.mutation import ANY, Mutation
from tests.robustness.trial import Found


@dataclass(frozen=True)
class Seed:
    """One valid input.

    name         of the reader and the format
    write        makes its files in an empty folder
    read         what the product does with the folder
    named        mutations of its own format
    bytes_give   what must come of damaged bytes: by how much the format repeats or checks itself
    near         by how much a number of the grid may differ and still be the same
    """

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], Found]
    named: tuple[Mutation, ...] = ()
    bytes_give: str = ANY
    near: float = 1e-6
