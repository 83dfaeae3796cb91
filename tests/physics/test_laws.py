"""Every operator of the catalogue obeys every law; and the laws notice operators that do not."""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass

import pytest
import torch

import physics
from physics.catalogue import catalogue
from physics.laws import LAWS, TOLERANCE, broken_laws, scale_error
from physics.operator import LinearOperator

CATALOGUE = catalogue()
SINGLE = {False: torch.float32, True: torch.complex64}
DOUBLE = {False: torch.float64, True: torch.complex128}


@pytest.mark.parametrize("precision", [SINGLE, DOUBLE], ids=["single", "double"])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", CATALOGUE)
def test_the_operator_obeys_the_law_to_rounding(name, law, precision):
    operator = CATALOGUE[name].operator
    dtype = precision[operator.is_complex]
    assert LAWS[law](operator, dtype) <= TOLERANCE[dtype]


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_operator_gives_the_measurement_that_a_formula_gives(name):
    example = CATALOGUE[name]
    assert scale_error(example.operator, example.x, example.expected) < example.tolerance


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_known_measurement_would_show_a_wrong_unit(name):
    example = CATALOGUE[name]
    assert scale_error(example.operator, example.x / 0.8, example.expected) > 10 * example.tolerance


def test_every_operator_of_physics_that_can_be_made_is_in_the_catalogue():
    for module in pkgutil.walk_packages(physics.__path__, "physics."):
        importlib.import_module(module.name)
    todo, kinds = [LinearOperator], set()
    while todo:
        todo += (found := todo.pop().__subclasses__())
        kinds.update(kind for kind in found if kind.__module__.startswith("physics.") and not inspect.isabstract(kind))
    examples = [example.operator for example in CATALOGUE.values()]
    assert {kind.__name__ for kind in kinds if not any(isinstance(one, kind) for one in examples)} == set()
    assert len(kinds) >= 8


@dataclass(frozen=True)
class Twice(LinearOperator):
    """x -> 2 x, spoilt on request."""

    spoilt: str = ""

    @property
    def domain(self):
        return 1, 4, 5

    @property
    def range(self):
        return 1, 4, 5

    def _forward(self, x):
        spoilt = {
            "linear": lambda: 2 * x + 0.001,
            "gradient": lambda: 2 * x.detach() + 0.0 * x,
            "batch": lambda: 2 * x + 0.001 * x.mean(dim=tuple(range(x.ndim - 3)), keepdim=True),
            "shape": lambda: (2 * x).to(torch.float64),
        }
        return spoilt.get(self.spoilt, lambda: 2 * x)()

    def _adjoint(self, y):
        return 2.00001 * y if self.spoilt == "adjoint" else 2 * y

    def _normal(self, x):
        return 4.0001 * x if self.spoilt == "normal" else 4 * x


def test_a_sound_operator_breaks_no_law():
    assert broken_laws(Twice(), torch.float32) == {}
    assert broken_laws(Twice(), torch.float64) == {}


@pytest.mark.parametrize("law", ["linear", "gradient", "batch", "shape", "adjoint", "normal"])
def test_an_operator_that_breaks_a_law_is_caught_by_name(law):
    assert law in broken_laws(Twice(spoilt=law), torch.float32)
