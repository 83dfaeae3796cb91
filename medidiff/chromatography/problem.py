"""One least-squares problem, or a batch of them: residuals and exact Jacobian of whole chromatograms."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medidiff.chromatography.noise import baseline_noise
from medidiff.chromatography.parameters import LOGARITHMIC, PER_PEAK, Parameters
from medidiff.chromatography.projection import project, projected_jacobian
from medidiff.chromatography.refusals import is_uniform, saturated
from medidiff.chromatography.search import Search
from medidiff.chromatography.slopes import shapes_and_slopes
from physics.chromatography.peaks import Peaks


@dataclass(frozen=True)
class Problem:
    """Whitened data of b chromatograms on one time axis, with Gaussian knowledge of parameters and of coefficients."""

    times: Tensor  # (time,)      s
    signal: Tensor  # (b, time)
    weights: Tensor  # (b, time)    1/noise, 0 for a sample left out
    baseline: Tensor  # (order, time)   functions beside the peaks
    parameters: Parameters
    prior: tuple[Tensor, Tensor]  # (b, p) each: centre and inverse deviation of theta
    known: tuple[Tensor, Tensor]  # (b, m) each: centre and inverse deviation of areas and baseline coefficients

    def rows(self, rows: Tensor) -> "Problem":
        """The problems of some chromatograms, by their numbers."""
        return replace(
            self,
            signal=self.signal[rows],
            weights=self.weights[rows],
            parameters=self.parameters.rows(rows),
            prior=(self.prior[0][rows], self.prior[1][rows]),
            known=(self.known[0][rows], self.known[1][rows]),
        )


@dataclass(frozen=True)
class Evaluation:
    """Everything at one theta, whitened; entries of the residual: samples, known coefficients, priors."""

    peaks: Peaks
    coefficients: Tensor  # (b, m)         areas, then baseline
    residual: Tensor  # (b, n)         data - model
    jacobian: Tensor  # (b, p, n)      of the residual, coefficients eliminated
    basis: Tensor  # (b, m, time)   not whitened
    slopes: Tensor  # (b, p, time)   of the curve at fixed coefficients, not whitened

    @property
    def cost(self) -> Tensor:
        """Half the sum of squares (b,)."""
        return 0.5 * (self.residual**2).sum(dim=-1)

    @property
    def curve(self) -> Tensor:
        """The model (b, time)."""
        return (self.coefficients.unsqueeze(1) @ self.basis).squeeze(1)


def legendre(times: Tensor, order: int) -> Tensor:
    """Legendre polynomials up to `order` over the time axis (order + 1, time); none for -1."""
    x = 2 * (times - times[0]) / (times[-1] - times[0]) - 1
    rows = [torch.ones_like(x), x]
    for n in range(1, order):
        rows.append(((2 * n + 1) * x * rows[n] - n * rows[n - 1]) / (n + 1))
    return torch.stack(rows[: order + 1]) if order >= 0 else times.new_empty((0, len(times)))


def evaluate(problem: Problem, theta: Tensor) -> Evaluation:
    """Residuals and Jacobian at theta (b, p).

    The curve is sum of A_i y_i(theta) + baseline with A >= 0 and the baseline at their best: variable projection.
    """
    parameters = problem.parameters
    peaks = parameters.unpack(theta)
    components, free = peaks.shape[1], parameters.free
    shapes, slopes = shapes_and_slopes(problem.times, peaks, names=free)
    slopes = {
        name: slope * getattr(peaks, name).unsqueeze(-1) if name in LOGARITHMIC else slope for name, slope in slopes.items()
    }
    basis = torch.cat([shapes, problem.baseline.expand(len(theta), -1, -1)], dim=1)
    centre, root = problem.known
    weights = problem.weights.unsqueeze(1)
    whole = torch.cat([basis * weights, torch.diag_embed(root)], dim=2)
    projection = project(whole, torch.cat([problem.signal * problem.weights, centre * root], dim=1), positive=components)
    areas = projection.coefficients[:, :components, None]
    moved = torch.cat([_gathered(areas * slopes[name], name) for name in free], dim=1)
    against = (projection.residual[:, : len(problem.times)] * problem.weights).unsqueeze(-1)
    cross = torch.cat([_spread((slopes[name] @ against).squeeze(-1), name) for name in free], dim=1)
    cross = torch.nn.functional.pad(cross, (0, basis.shape[1] - components))
    padded = torch.nn.functional.pad(moved * weights, (0, root.shape[1]))
    data = projected_jacobian(projection, padded, cross=cross)
    prior_centre, prior_root = problem.prior
    residual = torch.cat([projection.residual, (prior_centre - theta) * prior_root], dim=1)
    jacobian = torch.cat([data, -torch.diag_embed(prior_root)], dim=2)
    return Evaluation(peaks, projection.coefficients, residual, jacobian, basis, moved)


def _gathered(slopes: Tensor, name: str) -> Tensor:
    """Derivatives (b, component, time) of one quantity: one row each, or their sum where the quantity is shared."""
    return slopes if name in PER_PEAK else slopes.sum(dim=1, keepdim=True)


def _spread(values: Tensor, name: str) -> Tensor:
    """Values (b, component) as (b, entries of the quantity, component): diagonal per peak, one full row if shared."""
    return torch.diag_embed(values) if name in PER_PEAK else values.unsqueeze(1)


def pose(times: Tensor, signal: Tensor, start: Peaks, *, free: tuple[str, ...], search: Search) -> Problem:
    """The least-squares problem of chromatograms that share a time axis.

    times     (time,)                 s, increasing
    signal    (b, time)
    start     (b or 1, component)     first guess, and the instrument
    free      names of `parameters.FREE`

    Samples of a saturated detector get no weight; times within 1e-3 of a step of a uniform axis are taken as uniform.
    """
    if is_uniform(times):
        times = torch.linspace(float(times[0]), float(times[-1]), len(times), dtype=torch.float64)
    batch, components = len(signal), start.shape[1]
    base = replace(start, retention=start.retention.detach().double().expand(batch, -1))
    parameters = Parameters(base, free)
    noise = torch.full((batch,), search.noise, dtype=torch.float64) if search.noise else baseline_noise(signal)
    weights = ~saturated(signal) / noise.unsqueeze(1)
    nothing = torch.zeros((batch, components + search.baseline + 1), dtype=torch.float64)
    baseline = legendre(times, search.baseline)
    return Problem(times, signal, weights, baseline, parameters, parameters.priors(search.priors), (nothing, nothing))
