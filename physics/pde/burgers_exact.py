"""Closed form of Burgers' equation without force, by the transform of Cole and Hopf: the oracle of its solvers."""

from collections.abc import Callable

import torch
from torch import Tensor

REACH = 12.0  # half-width of the integration window in standard deviations of the heat kernel
CHUNK = 256  # positions integrated at once


def cole_hopf(
    x: Tensor, t: float, *, viscosity: float, antiderivative: Callable[[Tensor], Tensor], span: float = 1.0, points: int = 8001
) -> Tensor:
    """Velocity at time t on the whole line.

    x                (n,)            m
    t                                s, > 0
    viscosity                        m^2/s, > 0; from 5e-4 at max|u| = 1 the default points give rounding errors
    antiderivative   y -> Phi0(y)    integral of u(y, 0)
    span                             bound on the spread of Phi0, m^2/s: widens the window by what convection can move
    points                           of the trapezoid rule
    returns          (n,)

        G(y) = -(x - y)^2/(4 viscosity t) - Phi0(y)/(2 viscosity)
        u = sum (x - y)/t e^(G - max G) / sum e^(G - max G)      (Hopf 1950, eqs. 4-5; Cole 1951)

    The largest exponent is taken out, so that nothing overflows; the Fourier series cancels for small viscosity.
    """
    if not (t > 0 and viscosity > 0):
        raise ValueError(f"cole_hopf: t = {t:g} and viscosity = {viscosity:g}; expected positive numbers.")
    reach = (4 * viscosity * t * (0.5 * REACH**2 + span / viscosity)) ** 0.5
    offset = torch.linspace(-reach, reach, points, dtype=x.dtype, device=x.device)
    return torch.cat([_integral(part, offset, t, viscosity, antiderivative) for part in x.split(CHUNK)])


def _integral(x: Tensor, offset: Tensor, t: float, viscosity: float, antiderivative: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean of offset/t under the weight e^G, y = x - offset."""
    exponent = -offset.square() / (4 * viscosity * t) - antiderivative(x.unsqueeze(-1) - offset) / (2 * viscosity)
    weight = torch.softmax(exponent, dim=-1)
    return (weight * offset).sum(dim=-1) / t
