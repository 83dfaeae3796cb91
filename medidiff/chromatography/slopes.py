"""Peak shapes with their derivatives by every free quantity, by Fourier inversion or, for few transfer units, the kernel."""

from dataclasses import replace

import torch
from torch import Tensor

from physics.chromatography.chromatogram import peak_gradients, peak_shapes
from physics.chromatography.inversion import needs_kernel
from physics.chromatography.peaks import Peaks


def shapes_and_slopes(times: Tensor, peaks: Peaks, *, names: tuple[str, ...]) -> tuple[Tensor, dict[str, Tensor]]:
    """As `peak_gradients`, and also where the Bessel kernel must serve (36 transfer units or fewer, no dispersion).

    times     (time,)                s
    returns   (b, component, time)   1/s, and name -> the same shape
    """
    if not needs_kernel(peaks):
        return peak_gradients(times, peaks, names)
    few = [i for i in range(peaks.shape[0]) if needs_kernel(peaks.rows(slice(i, i + 1)))]
    if len(few) == peaks.shape[0]:
        return peak_shapes(times, peaks).detach(), {name: _own_slope(times, peaks, name) for name in names}
    many = [i for i in range(peaks.shape[0]) if i not in few]
    parts = [shapes_and_slopes(times, peaks.rows(rows), names=names) for rows in (few, many)]
    order = torch.tensor(few + many).argsort()
    shapes, slopes = torch.cat([part[0] for part in parts]), [part[1] for part in parts]
    return shapes[order], {name: torch.cat([part[name] for part in slopes])[order] for name in names}


def _own_slope(times: Tensor, peaks: Peaks, name: str) -> Tensor:
    """Derivative of each shape by one quantity of the same peak: the gradient of J^T w by w, summed over peaks, is J 1."""
    value = getattr(peaks, name).expand(peaks.shape).clone().requires_grad_(True)
    shapes = peak_shapes(times, replace(peaks, **{name: value}))
    weights = torch.zeros_like(shapes, requires_grad=True)
    (transposed,) = torch.autograd.grad(shapes, value, weights, create_graph=True)
    return torch.autograd.grad(transposed.sum(), weights)[0].detach()
