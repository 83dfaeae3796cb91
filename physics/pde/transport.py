"""One time step of convection, alone (SSP-RK3) or together with implicit diffusion (IMEX, second order)."""

import torch
from torch import Tensor

from physics.pde.diffusion import ImplicitDiffusion
from physics.pde.limiter import koren_faces


def convect(values: Tensor, velocity: Tensor, *, inlet: Tensor, number: float) -> tuple[Tensor, Tensor, Tensor]:
    """Cell means after one step of convection, with what entered and left.

    values     (b, component, cell)
    velocity   (..., cell + 1)       at the faces, m/s, constant during the step
    inlet      (b, component)        mean inlet value during the step
    number                           dt/dx, s/m
    returns    (b, component, cell), (b, component), (b, component)   the last two in value · cells

        U1 = U + L(U),  U2 = (3 U + U1 + L(U1))/4,  U_new = (U + 2 U2 + 2 L(U2))/3       (Shu and Osher 1988)
    """
    first, flux_a = _convection(values, velocity, inlet, number)
    second, flux_b = _convection(values + first, velocity, inlet, number)
    third, flux_c = _convection(values + 0.25 * (first + second), velocity, inlet, number)
    mean = (flux_a + flux_b + 4.0 * flux_c) / 6.0
    return values + (first + second + 4.0 * third) / 6.0, mean[..., 0], mean[..., -1]


def convect_and_diffuse(
    values: Tensor, velocity: Tensor, *, inlet: Tensor, number: float, diffusion: ImplicitDiffusion
) -> tuple[Tensor, Tensor, Tensor]:
    """Cell means after one step of convection, explicit, and diffusion, implicit, with what entered and left.

    Arguments and results as `convect`.

        U1 = U + (1/4) K1,  U2 = U + (1/2) N1 + (1/4) K2,  U3 = U + (1/2)(N1 + N2) + (1/3)(K1 + K2 + K3)
        U_new = U + (1/3) sum of (N_i + K_i),     N explicit, K implicit

    IMEX-SSP2(3,3,2) of Pareschi and Russo (2005): the implicit part L-stable, no splitting error at the inlet.
    """
    step = number * diffusion.width
    one, k1 = diffusion.stage(values, inlet, step / 4)
    n1, flux1 = _convection(one, velocity, inlet, number)
    two, k2 = diffusion.stage(values + n1 / 2, inlet, step / 4)
    n2, flux2 = _convection(two, velocity, inlet, number)
    three, k3 = diffusion.stage(values + (n1 + n2) / 2 + step / 3 * (k1 + k2), inlet, step / 3)
    n3, flux3 = _convection(three, velocity, inlet, number)
    new = values + (n1 + n2 + n3 + step * (k1 + k2 + k3)) / 3
    flux = (flux1 + flux2 + flux3) / 3
    diffused = sum(diffusion.inflow(stage, inlet) for stage in (one, two, three)) / 3
    return new, flux[..., 0] + number * diffused, flux[..., -1]


def _convection(values: Tensor, velocity: Tensor, inlet: Tensor, number: float) -> tuple[Tensor, Tensor]:
    """Change of the cell means (..., cell) in an Euler step, and the fluxes (..., cell + 1) times dt/dx."""
    flux = number * velocity * koren_faces(values, inlet)
    return -torch.diff(flux, dim=-1), flux
