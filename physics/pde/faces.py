"""Values at the faces of a uniform row of cells, from both sides, out of cell averages."""

import torch
from torch import Tensor

GHOSTS = 3  # cells added at either end
TINY = 1e-30  # keeps the weights of a constant row finite


def padded(u: Tensor, kind: str) -> Tensor:
    """Cell averages with three ghost cells at either end.

    u         (b, field, x)
    kind      "periodic", "copied" (zero gradient), "even" (mirror) or "odd" (mirror, sign changed: zero at the wall)
    returns   (b, field, x + 6)
    """
    if kind == "periodic":
        return torch.cat([u[..., -GHOSTS:], u, u[..., :GHOSTS]], dim=-1)
    if kind == "copied":
        return torch.cat([u[..., :1].expand(*u.shape[:-1], GHOSTS), u, u[..., -1:].expand(*u.shape[:-1], GHOSTS)], dim=-1)
    sign = 1 if kind == "even" else -1
    return torch.cat([sign * u[..., :GHOSTS].flip(-1), u, sign * u[..., -GHOSTS:].flip(-1)], dim=-1)


def muscl_faces(row: Tensor) -> tuple[Tensor, Tensor]:
    """Values left and right of every face, linear in the cells, slopes by the monotonised-central limiter (van Leer 1977).

    row       (b, field, x + 6)
    returns   (b, field, x + 1) twice
    """
    step = torch.diff(row)
    before, after = step[..., 1:-2], step[..., 2:-1]
    size = torch.minimum(torch.minimum(before.abs(), after.abs()) * 2, (0.5 * (before + after)).abs())
    half = torch.where(before * after > 0, 0.5 * size * torch.sign(before), torch.zeros_like(size))
    cells = row[..., 2:-2]
    return cells[..., :-1] + half[..., :-1], cells[..., 1:] - half[..., 1:]


def weno_faces(row: Tensor) -> tuple[Tensor, Tensor]:
    """Values left and right of every face by WENO5-Z: fifth order where smooth (Borges et al. 2008, eqs. 21, 25, 28).

    row       (b, field, x + 6)
    returns   (b, field, x + 1) twice
    """
    a, b, c, d, e, f = (row[..., start : row.shape[-1] - 5 + start] for start in range(6))
    return _weno(a, b, c, d, e), _weno(f, e, d, c, b)


def _weno(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor) -> Tensor:
    """The value at the face after cell c of five, seen from c."""
    smooth = (
        13 / 12 * (a - 2 * b + c).square() + 0.25 * (a - 4 * b + 3 * c).square(),
        13 / 12 * (b - 2 * c + d).square() + 0.25 * (b - d).square(),
        13 / 12 * (c - 2 * d + e).square() + 0.25 * (3 * c - 4 * d + e).square(),
    )
    spread = (smooth[0] - smooth[2]).abs()
    weights = [share * (1 + (spread / (part + TINY)).square()) for share, part in zip((0.1, 0.6, 0.3), smooth)]
    values = (2 * a - 7 * b + 11 * c, -b + 5 * c + 2 * d, 2 * c + 5 * d - e)
    return sum(weight * value for weight, value in zip(weights, values)) / (6 * sum(weights))


RECONSTRUCTIONS = {"muscl": muscl_faces, "weno": weno_faces}
