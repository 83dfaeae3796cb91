"""Face values for upwind finite volumes: third order where smooth, free of new extrema elsewhere."""

import torch
from torch import Tensor


def koren_faces(values: Tensor, inlet: Tensor) -> Tensor:
    """Upwind values at every face of a uniform row of cells, for flow towards larger x.

    values    (..., cell)       cell means
    inlet     (...)             value ahead of the first cell
    returns   (..., cell + 1)   inlet, then the limited extrapolation out of each cell

        face = U + phi(r)/2 · (U - U_before),   r = (U_after - U)/(U - U_before)
        phi(r) = max(0, min(2 r, (1 + 2 r)/3, 2))       (Koren 1993)

    written in differences, so that r needs no division. The inlet acts at the first face, half a cell ahead, so the first
    slope spans twice that difference. The last cell sees no neighbour after it: zero gradient.
    """
    start = inlet.unsqueeze(-1)
    difference = torch.diff(torch.cat([start, values, values[..., -1:]], dim=-1), dim=-1)
    backward = difference[..., :-1]
    size, sign = backward.abs(), torch.sign(backward)
    full = torch.cat([2 * size[..., :1], size[..., 1:]], dim=-1)
    along = 2 * difference[..., 1:] * sign
    limited = torch.minimum(torch.minimum(along, (full + along) / 3), 2 * size).clamp_min(0.0)
    return torch.cat([start, torch.addcmul(values, sign, limited, value=0.5)], dim=-1)
