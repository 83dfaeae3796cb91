"""The HLLC flux of an ideal gas: exact for a resting contact, positive with Einfeldt's wave speeds."""

import torch
from torch import Tensor


def hllc_flux(left: Tensor, right: Tensor, gamma: float) -> Tensor:
    """Numerical flux through faces.

    left, right   (b, 3, face)   density, velocity, pressure on either side
    gamma                        ratio of heat capacities
    returns       (b, 3, face)   flux of density, momentum and energy

        S_L = min(u_L - c_L, u~ - c~),  S_R = max(u_R + c_R, u~ + c~)     (Einfeldt 1988; ~ is Roe's mean)
        S* = (p_R - p_L + rho_L u_L (S_L - u_L) - rho_R u_R (S_R - u_R)) / (rho_L (S_L - u_L) - rho_R (S_R - u_R))
        F = F_K + S_K (U*_K - U_K),  K the side that S* points away from      (Toro 2009, eqs. 10.37-10.39)
    """
    slowest, fastest = _wave_speeds(left, right, gamma)
    supply_left, supply_right = left[:, 0] * (slowest - left[:, 1]), right[:, 0] * (fastest - right[:, 1])
    contact = (right[:, 2] - left[:, 2] + left[:, 1] * supply_left - right[:, 1] * supply_right) / (supply_left - supply_right)
    from_left = _side_flux(left, slowest, contact, slowest.clamp_max(0), gamma)
    from_right = _side_flux(right, fastest, contact, fastest.clamp_min(0), gamma)
    return torch.where((contact >= 0).unsqueeze(1), from_left, from_right)


def _wave_speeds(left: Tensor, right: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Bounds (b, face) of the signal speeds."""
    root_left, root_right = left[:, 0].sqrt(), right[:, 0].sqrt()
    share = root_left / (root_left + root_right)
    square_left, square_right = (gamma * side[:, 2] / side[:, 0] for side in (left, right))
    mean = share * left[:, 1] + (1 - share) * right[:, 1]
    jump = 0.5 * (gamma - 1) * share * (1 - share) * (right[:, 1] - left[:, 1]).square()
    sound = (share * square_left + (1 - share) * square_right + jump).sqrt()
    return torch.minimum(left[:, 1] - square_left.sqrt(), mean - sound), torch.maximum(
        right[:, 1] + square_right.sqrt(), mean + sound
    )


def _side_flux(state: Tensor, wave: Tensor, contact: Tensor, acting: Tensor, gamma: float) -> Tensor:
    """Flux of one side plus its wave's jump, times the acting speed, which is 0 where the wave leaves the face."""
    density, velocity, pressure = state.unbind(dim=1)
    energy = pressure / (gamma - 1) + 0.5 * density * velocity.square()
    flux = torch.stack([density * velocity, density * velocity.square() + pressure, velocity * (energy + pressure)], dim=1)
    squeeze = (wave - velocity) / (wave - contact)
    lift = (contact - velocity) * (density * contact + pressure / (wave - velocity))
    star = torch.stack([squeeze * density, squeeze * density * contact, squeeze * (energy + lift)], dim=1)
    outer = torch.stack([density, density * velocity, energy], dim=1)
    return flux + acting.unsqueeze(1) * (star - outer)
