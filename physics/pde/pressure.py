"""The projection of face velocities onto divergence-free ones, exact to rounding, with or without obstacles."""

import math

import numpy as np
import torch
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from torch import Tensor

from physics.pde.mac import Box, divergence, gradient


class Projection:
    """The orthogonal projection of one box; its Laplacian is factored once, and is its own adjoint.

        L p = div(u, v),  (u, v) <- open · ((u, v) - grad p),  L = div(open · grad)      (Chorin 1968)

    A ring without obstacles is solved by Fourier transform with the eigenvalues of the discrete L, others by sparse LU on
    the CPU. Raises ValueError for a fluid region that no opening reaches.
    """

    def __init__(self, box: Box):
        self.box = box
        self.open = box.open_faces()
        self.is_ring = box.is_periodic and not bool(box.solid.any())
        if self.is_ring:
            waves = [(2 - 2 * torch.cos(2 * math.pi * torch.fft.fftfreq(n, dtype=torch.float64))) for n in box.solid.shape]
            eigenvalues = -(waves[0][:, None] + waves[1][None, :]) / box.width**2
            eigenvalues[0, 0] = math.inf  # the mean pressure is 0
            self.eigenvalues = eigenvalues
        else:
            self.cells = torch.nonzero(~box.solid.reshape(-1).cpu()).reshape(-1)
            self.factors = splu(_laplacian(box, self.open, self.cells), diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def __call__(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Divergence-free face velocities, 0 on closed faces, nearest to the given ones."""
        open_u, open_v = (mask.to(u) for mask in self.open)
        u, v = open_u * u, open_v * v
        by_x, by_y = gradient(self.pressure(divergence(u, v, self.box.width)), self.box)
        return u - open_u * by_x, v - open_v * by_y

    def pressure(self, source: Tensor) -> Tensor:
        """p (b, x, y) with L p = source; 0 in solids."""
        if self.is_ring:
            return torch.fft.ifft2(torch.fft.fft2(source) / self.eigenvalues.to(source)).real
        return _Solve.apply(source, self)

    def solve(self, source: Tensor) -> Tensor:
        """`pressure` of sources (b, x, y) by the sparse factors, without gradient."""
        flat = source.reshape(len(source), -1).cpu()
        right = flat[:, self.cells].to(torch.float64).numpy().T
        pressure = torch.zeros(flat.shape, dtype=torch.float64)
        pressure[:, self.cells] = torch.from_numpy(np.ascontiguousarray(-self.factors.solve(np.asfortranarray(right)).T))
        return pressure.reshape(source.shape).to(source)


class _Solve(torch.autograd.Function):
    """The symmetric solve: its adjoint is the same solve."""

    @staticmethod
    def forward(ctx, source: Tensor, projection: Projection) -> Tensor:
        ctx.projection = projection
        return projection.solve(source)

    @staticmethod
    def backward(ctx, slope: Tensor) -> tuple[Tensor, None]:
        return ctx.projection.solve(slope), None


def _laplacian(box: Box, open_faces: tuple[Tensor, Tensor], cells: Tensor) -> csc_matrix:
    """-L on the fluid cells, one cell's pressure held at 0 if no side is open; raises ValueError for closed-in regions."""
    shape, count = box.solid.shape, len(cells)
    number = np.full(shape, -1)
    number.reshape(-1)[cells.numpy()] = np.arange(count)
    diagonal, edges = np.zeros(shape), []
    for axis, mask in enumerate(face.cpu().numpy() for face in open_faces):
        low, high = np.take(mask, range(shape[axis]), axis), np.take(mask, range(1, shape[axis] + 1), axis)
        diagonal += low + high
        inner = high > 0
        if not box.is_periodic:
            np.moveaxis(inner, axis, 0)[-1] = False
        edges.append((number[inner], np.roll(number, -1, axis)[inner]))
    first, second = (np.concatenate([edge[side] for edge in edges]) for side in (0, 1))
    off = coo_matrix((-np.ones(len(first)), (first, second)), shape=(count, count))
    fluid = diagonal.reshape(-1)[cells.numpy()]
    matrix = (off + off.T + coo_matrix((fluid, (np.arange(count),) * 2))).tocsc()
    _check_openings(box, off, np.asarray(matrix.sum(axis=1)).reshape(-1) > 0.5)
    if not box.open_sides:
        matrix[0, 0] += 1.0
    return (matrix / box.width**2).tocsc()


def _check_openings(box: Box, neighbours: coo_matrix, is_outlet: np.ndarray) -> None:
    """Raises ValueError unless every fluid region reaches an open side, or, without open sides, there is just one region."""
    regions, labels = connected_components(neighbours, directed=False)
    sizes = np.bincount(labels, minlength=regions)
    closed = [size for region, size in enumerate(sizes) if not is_outlet[labels == region].any()]
    if closed and (box.open_sides or regions > 1):
        raise ValueError(
            f"smoke: a fluid region of {min(closed)} cells has no opening; its pressure is undefined. "
            "Mark its cells as solid, or open a way to it."
        )
