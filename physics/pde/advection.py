"""Advection with constant speed on a ring, exact for band-limited data."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from physics.pde.frames import check_state, frame_edges, per_member


def advect(u0: Tensor, velocity: float | Tensor, *, times: Sequence[float] | Tensor, length: float = 1.0) -> Tensor:
    """Frames of a profile that is carried round a ring.

    u0         (b, field, x)      n equidistant points of one period
    velocity   float or (b,)      m/s, either sign
    times      (t,)               s, increasing; t = 0 is u0
    length                        of the period, m
    returns    (b, field, t, x)   raises ValueError on other shapes, values or times

        u_t + velocity · u_x = 0,   u_hat(k, t) = u_hat(k, 0) exp(-2 pi i k velocity t / length)

    Even n: the highest mode has no phase; it is multiplied by the cosine, which keeps the result real.
    """
    check_state("u0", u0, u0.shape[1] if u0.ndim > 1 else 1)
    n = u0.shape[-1]
    shift = per_member(velocity, u0).unsqueeze(-1) * u0.new_tensor(frame_edges(times)[1:]).unsqueeze(-1) / length
    turns = shift * torch.arange(n // 2 + 1, dtype=u0.dtype, device=u0.device)
    phase = -2 * math.pi * (turns - turns.detach().round())  # whole turns are taken out before they cost digits
    turn = torch.polar(torch.ones_like(phase), phase)
    if n % 2 == 0:
        turn = torch.cat([turn[..., :-1], turn[..., -1:].real.to(turn.dtype)], dim=-1)
    return torch.fft.irfft(torch.fft.rfft(u0).unsqueeze(2) * turn, n=n)
