"""A measured injection profile as one more factor of the transfer function."""

import torch
from torch import Tensor


class SampledProfile:
    """The transform of a measured profile, for `Peaks.filters`: piecewise linear between its samples, of unit area.

        F(s) = ∫ f e^(-s t) dt / ∫ f dt,    over each piece exactly: with z = s dt/2, g the mean and d the half difference,
        dt e^(-s t_mid) (g sinh z/z - d (z cosh z - sinh z)/z^2)

    It replaces the box: give it with `injection=0`.
    """

    def __init__(self, times: Tensor, values: Tensor):
        """times (sample,), s, increasing and not negative, on the clock of the injection; values (sample,), any unit."""
        times, values = torch.as_tensor(times, dtype=torch.float64), torch.as_tensor(values, dtype=torch.float64)
        area = float(torch.trapezoid(values, times)) if times.shape == values.shape and times.ndim == 1 else float("nan")
        if not area > 0 or bool((torch.diff(times) <= 0).any()) or float(times[0]) < 0:
            raise ValueError(
                f"injection profile of shapes {tuple(times.shape)} and {tuple(values.shape)} with area {area:g}: expected two "
                "equal axes, times increasing from 0 or later, and a positive area. Subtract the baseline first."
            )
        self.middle, self.step = 0.5 * (times[1:] + times[:-1]), torch.diff(times)
        self.mean, self.half = 0.5 * (values[1:] + values[:-1]) / area, 0.5 * torch.diff(values) / area

    def __call__(self, s: Tensor) -> Tensor:
        """F at s (..., frequency), complex."""
        middle, step, mean, half = (value.to(s.real) for value in (self.middle, self.step, self.mean, self.half))
        z = 0.5 * s.unsqueeze(-1) * step
        small = z.abs() < 0.05
        safe = torch.where(small, torch.ones_like(z), z)
        even = torch.where(small, 1 + z**2 / 6 + z**4 / 120 + z**6 / 5040, torch.sinh(safe) / safe)
        odd_exact = (safe * torch.cosh(safe) - torch.sinh(safe)) / safe**2
        odd = torch.where(small, z / 3 + z**3 / 30 + z**5 / 840 + z**7 / 45360, odd_exact)
        return (step * torch.exp(-s.unsqueeze(-1) * middle) * (mean * even - half * odd)).sum(dim=-1)
