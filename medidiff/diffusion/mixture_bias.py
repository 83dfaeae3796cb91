"""What every posterior rule gets wrong on a mixture, whose posterior is a mixture: by samples, beside the floor they leave."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.bias import END, ODE, SDE, TOP, Matrix, normals
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.exact import Mixture, sliced_wasserstein
from medidiff.diffusion.grid import karras
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.posterior import correction, data_consistent
from medidiff.diffusion.rules import Flat, GradientStep, Isotropic, Literal, MomentMatching, PiGDM, Projection
from medidiff.diffusion.sample import Step, sample
from medidiff.diffusion.steer import DPS, diffpir

SIZE, NOISE_STD = 8, 0.3  # dimensions, noise of the measurement


@dataclass(frozen=True)
class Whole(Noise):
    """Noise of a whole batch from one generator per step and draw: fast for thousands of samples, whose order then matters."""

    items: tuple[int | str, ...] = ("batch",)

    def __call__(self, step: int, like: Tensor, draw: int | str = 0) -> Tensor:
        return super().__call__(step, like[None], draw)[0]

    def uniform(self, step: int, like: Tensor, draw: int | str = 0) -> Tensor:
        return super().uniform(step, like[None], draw)[0]


@dataclass(frozen=True)
class MixtureRow:
    """One line of the table."""

    method: str
    sampler: str
    distance: float  # sliced 2-Wasserstein distance over the posterior's standard deviation
    weights: float  # largest error of a component's share


def mixture_oracle() -> tuple[Mixture, Measurement]:
    """Four components in 8 dimensions that 4 random measurements hardly tell apart, and the measurement of one draw."""
    draw = normals(10)
    matrix, means = draw(4, SIZE) / SIZE**0.5, 1.5 * draw(4, SIZE)
    means = means - 0.9 * means @ torch.linalg.pinv(matrix) @ matrix
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    prior = Mixture(weights, means, 0.5 * draw(4, SIZE, 3), torch.full((4,), 0.05, dtype=torch.float64))
    x = prior.draw(draw(1, SIZE), torch.tensor([0.5], dtype=torch.float64))
    return prior, Measurement(Matrix(matrix), x @ matrix.T + NOISE_STD * draw(1, 4), NOISE_STD)


def mixture_cases(prior: Mixture, seen: Measurement) -> Iterator[tuple[str, str, Step, Denoiser]]:
    """Method, sampler, step and denoiser of every row."""
    covariances, centre = prior.covariances(), prior.weights @ prior.means
    spread = prior.means - centre
    total = torch.einsum("k,kde->de", prior.weights, covariances + spread[:, :, None] * spread[:, None, :])
    std = float((total.trace() / SIZE).sqrt())
    rules = {
        "MMPS": MomentMatching(std),
        "PiGDM": PiGDM(std),
        "DPS, literal": Literal(),
        "DDS": Isotropic(std),
        "DDNM": Projection(),
        "FlowChef": GradientStep(1 / seen.norm_squared(prior.means, 500)),
    }
    for name, step in (("ODE", ODE), ("eta 1", SDE)):
        yield "exact", name, step, prior.posterior(seen.operator.matrix, seen.y[0], NOISE_STD)
        for method, rule in rules.items():
            yield method, name, step, data_consistent(prior, seen, rule, iterations=6, tolerance=1e-10)
    yield "DPS, zeta .3", "eta 1", DPS(SDE, seen, 0.3), prior
    for zeta in (0.3, 1.0):
        yield "DiffPIR lam 1", f"zeta {zeta:g}", diffpir(correction(seen, Flat()), zeta=zeta), prior


def mixture_table(samples: int = 2000, steps: int = 200) -> list[MixtureRow]:
    """The rows, the floor that the number of samples leaves first."""
    prior, seen = mixture_oracle()
    posterior = prior.posterior(seen.operator.matrix, seen.y[0], NOISE_STD)
    like = torch.empty(samples, SIZE, dtype=torch.float64)
    true, again = (posterior.draw(Whole(seed)(0, like), Whole(seed).uniform(0, like[:, 0], "pick")) for seed in (1, 2))
    scale, grid = float(true.std(0).square().mean().sqrt()), karras(steps + 1, smin=END, smax=TOP)

    def row(method: str, sampler: str, x: Tensor) -> MixtureRow:
        shares = prior.responsibilities(x, torch.full((samples,), END, dtype=torch.float64)).mean(0)
        return MixtureRow(method, sampler, sliced_wasserstein(x, true) / scale, float((shares - posterior.weights).abs().max()))

    rows = [row("true samples", "floor", again)]
    for method, sampler, step, denoiser in mixture_cases(prior, seen):
        rows.append(row(method, sampler, sample(denoiser, TOP * Whole(3)(0, like), grid, step, noise=Whole(4))))
    return rows
