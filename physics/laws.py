"""What a linear operator must obey, as numbers that should be near rounding: for our tests, and for users' own operators."""

import torch
from torch import Tensor

from physics.operator import LinearOperator

PAIRS = 20  # random pairs of image and measurement, in one batch
TOLERANCE = {torch.float32: 1e-6, torch.complex64: 1e-6, torch.float64: 1e-12, torch.complex128: 1e-12}


def probes(shape: tuple[int, ...], dtype: torch.dtype, *, seed: int, count: int = PAIRS) -> Tensor:
    """Fixed Gaussian noise (count, *shape)."""
    return torch.randn((count, *shape), dtype=dtype, generator=torch.Generator().manual_seed(seed))


def adjoint_error(operator: LinearOperator, dtype: torch.dtype) -> float:
    """Largest  |<A x, u> - <x, A^H u>| / (|A x| |u|)  over random pairs.

    operator   the operator to test
    dtype      precision in which it works; inner products are taken in double precision
    returns    at rounding for an exact adjoint. Half of u is A x, so that a wrong scale shows at its full size
    """
    x, noise = probes(operator.domain, dtype, seed=0), probes(operator.range, dtype, seed=1)
    seen = operator.forward(x)
    u = seen / _norms(seen).clamp(min=1e-300).to(seen.real.dtype) + noise / _norms(noise).to(noise.real.dtype)
    size = (_norms(seen) * _norms(u)).flatten().clamp(min=1e-300)
    return float(((_inner(seen, u) - _inner(x, operator.adjoint(u))).abs() / size).max())


def linear_error(operator: LinearOperator, dtype: torch.dtype) -> float:
    """|A (a x + b v) - a A x - b A v|  relative to  |a A x| + |b A v|,  with a = 2, b = -3 (or i b for complex images)."""
    x, v = probes(operator.domain, dtype, seed=2), probes(operator.domain, dtype, seed=3)
    b = -3j if operator.is_complex else -3.0
    seen, other = 2.0 * operator.forward(x), b * operator.forward(v)
    return _largest(operator.forward(2.0 * x + b * v) - seen - other, _norms(seen) + _norms(other))


def gradient_error(operator: LinearOperator, dtype: torch.dtype) -> float:
    """|grad_x Re<A x, u> - A^H u|  relative to  |A^H u|:  what autograd sees is the adjoint."""
    x, u = probes(operator.domain, dtype, seed=4).requires_grad_(), probes(operator.range, dtype, seed=5)
    (gradient,) = torch.autograd.grad((u.conj() * operator.forward(x)).real.sum(), x)
    back = operator.adjoint(u)
    return _largest(gradient - back, _norms(back))


def normal_error(operator: LinearOperator, dtype: torch.dtype) -> float:
    """|normal(x) - adjoint(forward(x))|  relative to the latter."""
    x = probes(operator.domain, dtype, seed=6)
    back = operator.adjoint(operator.forward(x))
    return _largest(operator.normal(x) - back, _norms(back))


def batch_error(operator: LinearOperator, dtype: torch.dtype) -> float:
    """Largest relative difference between a batch and its items one by one, forward and adjoint."""
    x, u = probes(operator.domain, dtype, seed=7, count=3), probes(operator.range, dtype, seed=8, count=3)
    errors = []
    for apply, values in ((operator.forward, x), (operator.adjoint, u)):
        together, apart = apply(values), torch.stack([apply(item) for item in values])
        errors.append(_largest(together - apart, _norms(together)))
    return max(errors)


def shape_error(operator: LinearOperator, dtype: torch.dtype) -> float:
    """0 where shape and precision of A x and A^H y follow the input, for no batch and for two batch axes; else infinity."""
    for batch in ((), (2, 3)):
        seen = operator.forward(torch.zeros(batch + operator.domain, dtype=dtype))
        back = operator.adjoint(torch.zeros(batch + operator.range, dtype=dtype))
        if seen.shape != batch + operator.range or back.shape != batch + operator.domain:
            return float("inf")
        if {seen.dtype, back.dtype} != {dtype}:
            return float("inf")
    return 0.0


LAWS = {
    "adjoint": adjoint_error,
    "linear": linear_error,
    "gradient": gradient_error,
    "normal": normal_error,
    "batch": batch_error,
    "shape": shape_error,
}


def scale_error(operator: LinearOperator, x: Tensor, expected: Tensor) -> float:
    """|A x - expected| / |expected|  for an image whose measurement is known: wrong units and lost pixel sizes show here.

    x          (*domain)   an image
    expected   (*range)    its measurement, from a formula
    """
    return float(torch.linalg.vector_norm(operator.forward(x) - expected) / torch.linalg.vector_norm(expected))


def broken_laws(operator: LinearOperator, dtype: torch.dtype) -> dict[str, float]:
    """Name and error of each law that `operator` breaks in this precision; empty for a sound one."""
    errors = {name: law(operator, dtype) for name, law in LAWS.items()}
    return {name: error for name, error in errors.items() if not error <= TOLERANCE[dtype]}


def _wide(values: Tensor) -> Tensor:
    """`values` in double precision."""
    return values.to(torch.complex128 if values.is_complex() else torch.float64)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """<a, b> = sum conj(a) b  of each item, (count,)."""
    return (_wide(a).conj() * _wide(b)).flatten(1).sum(dim=1)


def _norms(values: Tensor) -> Tensor:
    """Norm of each item, (count, 1, ...), double precision."""
    return torch.linalg.vector_norm(_wide(values), dim=tuple(range(1, values.ndim)), keepdim=True)


def _largest(difference: Tensor, size: Tensor) -> float:
    return float((_norms(difference) / size.clamp(min=1e-300)).max())
