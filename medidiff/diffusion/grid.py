"""Level grids: falling float64 tensors of noise levels, data, not objects. `n` counts the levels, so a grid has n - 1 steps."""

import torch
from torch import Tensor

from medidiff.diffusion.process import Process, Table
from medidiff.errors import ConfigError


def karras(n: int, *, smin: float, smax: float, rho: float = 7.0) -> Tensor:
    """Levels uniform in sigma^(1/rho), dense near the end (Karras 2022, eq. 5).

    n            number of levels
    smin, smax   last and first level, data unit
    rho          1 = uniform in sigma, 7 = Karras

        sigma_i = (smax^(1/rho) + i/(n-1) (smin^(1/rho) - smax^(1/rho)))^rho
    """
    ramp = torch.linspace(smax ** (1 / rho), smin ** (1 / rho), n, dtype=torch.float64) ** rho
    return pinned(ramp, smin, smax)


def uniform_lambda(n: int, *, smin: float, smax: float) -> Tensor:
    """Levels uniform in lambda = -ln sigma: equal steps h (Lu 2022)."""
    ends = torch.tensor([smax, smin], dtype=torch.float64).log()
    return pinned(torch.exp(torch.linspace(float(ends[0]), float(ends[1]), n, dtype=torch.float64)), smin, smax)


def uniform_sigma(n: int, *, smin: float, smax: float) -> Tensor:
    """Levels uniform in sigma, where fixed-coefficient multistep methods keep their order."""
    return torch.linspace(smax, smin, n, dtype=torch.float64)


def uniform_flow(n: int, *, smin: float, smax: float, shift: float = 1.0) -> Tensor:
    """Levels uniform in rectified-flow time t = sigma / (shift + sigma)."""
    time = torch.linspace(smax / (shift + smax), smin / (shift + smin), n, dtype=torch.float64)
    return pinned(shift * time / (1 - time), smin, smax)


def trailing(n: int, table: Table) -> Tensor:
    """n levels of a DDPM table, evenly spaced indices that include the last one (Lin 2024, `trailing`)."""
    size = len(table.levels)
    index = torch.arange(size, 0, -size / n, dtype=torch.float64).round()[:n].long() - 1
    return table.levels[index].double()


def on_table(grid: Tensor, process: Process) -> Tensor:
    """The grid with every level moved to the nearest integer time, for networks that know no others."""
    return process.sigma(process.time(grid).round()).unique().flip(0)


def with_zero(grid: Tensor) -> Tensor:
    """The grid followed by level 0: the last step then returns the denoised image."""
    return torch.cat([grid, grid.new_zeros(1)])


def pinned(grid: Tensor, smin: float, smax: float) -> Tensor:
    """The grid with its two ends exactly as asked, free of rounding."""
    grid[0], grid[-1] = smax, smin
    return grid


def check_grid(grid: Tensor, *, may_repeat: bool = False) -> None:
    """ConfigError unless the levels are finite, positive and falling; only the last may be 0.

    may_repeat    equal neighbours are allowed, as the re-noising steps use them
    """
    if grid.ndim != 1 or len(grid) < 2:
        raise ConfigError(f"grid has shape {tuple(grid.shape)}; expected at least two levels in one row")
    for index, level in enumerate(grid.tolist()):
        if not (level > 0 or (level == 0 and index == len(grid) - 1)) or level == float("inf"):
            raise ConfigError(f"level {index} is {level:g}; levels must be positive and finite, only the last may be 0")
    for index, (a, b) in enumerate(zip(grid[:-1].tolist(), grid[1:].tolist()), start=1):
        if b > a or (b == a and not may_repeat):
            verb = "rises" if b > a else "stays"
            raise ConfigError(
                f"sigma {verb} from {a:.4g} to {b:.4g} at level {index}; levels must fall (equal ones only with renoise)"
            )
