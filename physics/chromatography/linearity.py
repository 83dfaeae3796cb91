"""The criterion for a linear column: how far the injected sample loads the film."""

import torch
from torch import Tensor

WARN_ABOVE = 1e-2
REFUSE_ABOVE = 1e-1


def loading(equilibrium: Tensor, *, concentration: Tensor, capacity: Tensor) -> Tensor:
    """Fraction of the film that the injected mixture would occupy at equilibrium, to first order.

    equilibrium     (..., component)   K = ka/kd, no unit
    concentration   (..., component)   c0 in the injected gas, mol/m^3
    capacity        (..., component)   qmax, mol/m^3 of film
    returns         (...)              theta0, no unit

        theta0 = sum over j of K_j c0_j/qmax_j

    Below 1e-2 retention moves by less than 0.06 of a peak's width; above 1e-1 the linear model misplaces peaks.
    """
    equilibrium, concentration, capacity = (torch.as_tensor(each) for each in (equilibrium, concentration, capacity))
    if bool((capacity <= 0).any()):
        raise ValueError(f"capacity is {capacity.min().item():g} mol/m^3 somewhere, expected positive values.")
    return (equilibrium * concentration / capacity).sum(dim=-1)


def verdict(theta0: float) -> str:
    """`linear`, `warn` or `refuse` for one theta0: up to 1e-2, up to 1e-1, above."""
    return "linear" if theta0 <= WARN_ABOVE else "warn" if theta0 <= REFUSE_ABOVE else "refuse"
