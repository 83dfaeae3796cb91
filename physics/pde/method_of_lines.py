"""The method of lines with scipy's stiff integrators: the slow, independent fallback for one-off runs."""

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import csr_matrix

Slope = Callable[[float, np.ndarray], np.ndarray]  # t, U (component, cell) -> dU/dt


def solve_lines(
    slope: Slope, start: np.ndarray, times: np.ndarray, *, bandwidth: int, relative: float = 1e-8, method: str = "BDF"
) -> np.ndarray:
    """Solution of one semi-discrete row at given times.

    slope       t, U (component, cell) -> dU/dt of the same shape, coupling cells at most `bandwidth` apart
    start       (component, cell)          at times[0]
    times       (time,)                    increasing, s
    bandwidth                              cells a slope reaches to either side
    relative                               error per step, relative to the largest value of `start` and slope
    method                                 "BDF" or "Radau"
    returns     (component, cell, time)    raises ValueError where the integrator gives up

    Unknowns are interleaved cell by cell, and the Jacobian's sparsity is told to the integrator.
    """
    components, cells = start.shape
    size = components * cells

    def flat(time: float, state: np.ndarray) -> np.ndarray:
        return slope(time, state.reshape(cells, components).T).T.reshape(-1)

    cell = np.arange(size) // components
    near = np.abs(cell[:, None] - cell[None, :]) <= bandwidth
    result = solve_ivp(
        flat,
        (float(times[0]), float(times[-1])),
        np.ascontiguousarray(start.T).reshape(-1),
        method=method,
        t_eval=times,
        rtol=relative,
        atol=relative * 1e-2,
        jac_sparsity=csr_matrix(near),
    )
    if not result.success:
        raise ValueError(f"{method} stopped at t = {result.t[-1] if len(result.t) else times[0]:g} s: {result.message}")
    return result.y.reshape(cells, components, -1).transpose(1, 0, 2)
