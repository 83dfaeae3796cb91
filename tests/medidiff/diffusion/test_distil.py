"""Distillation along the teacher's ODE and from finer scales, against the exact flow of a Gaussian."""

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.convert import edm_weight
from medidiff.diffusion.distil import ConsistencyDistillation, ScaleDistillation, SubPath, chord, heun_step
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras, uniform_lambda
from medidiff.diffusion.jump import Consistency, ExactJump, Jump
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.networks.mlp import MLP
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.train import Training, train
from medidiff.diffusion.training_set import Tensors
from medidiff.diffusion.trajectory import Trajectory, TrajectoryNetwork

QUIET = {"first_look": 10**6, "look_every": 10**6, "save_every": 10**6}
VARIANCE = torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=torch.float64)
PRIOR = Gaussian(torch.tensor([0.3, -0.2, 0.0, 1.0], dtype=torch.float64), VARIANCE)


@dataclass(frozen=True)
class OneLevel(Levels):
    sigma: float

    def quantile(self, probability):
        return torch.full_like(probability, self.sigma)


def draws(count: int, size: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def data(count: int) -> dict[str, torch.Tensor]:
    return {"x0": PRIOR.noisy(draws(count), 0.0)}


def flow_to(smin: float):
    """The exact consistency function of PRIOR."""
    return lambda u, sigma: ExactJump(PRIOR)(u, sigma, target=torch.full_like(sigma, smin))


def consistency_fixed_point(levels: int) -> float:
    """Error of the map that makes the loss zero: the product of the teacher's steps, against the exact flow."""
    grid = karras(levels, smin=0.05, smax=10.0)
    u = PRIOR.noisy(draws(64), 10.0)
    state = u
    for a, b in pairwise(grid):
        state = heun_step(PRIOR, state, a.expand(64), b.expand(64))
    return float((state - PRIOR.flow(u, 10.0, 0.05)).square().mean().sqrt())


def test_the_fixed_point_of_consistency_reaches_the_flow_at_the_order_of_the_teacher():
    errors = [consistency_fixed_point(n) for n in (17, 33, 65)]
    assert math.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("objective", [ConsistencyDistillation, SubPath])
def test_the_exact_flow_leaves_a_loss_that_vanishes_with_the_steps(objective):
    losses = [
        float(objective(PRIOR, karras(n, smin=0.05, smax=10.0), 1.0)(data(256), flow_to(0.05), Noise(0))) for n in (11, 21, 41)
    ]
    # squared: a local error of third order (consistency), of second order (chord)
    order = math.log2(losses[1] / losses[2]) / 2
    assert order > (2.6 if objective is ConsistencyDistillation else 1.7)


def test_the_chord_leaves_the_path_of_the_ode_with_the_square_of_the_gap():
    def distance(gap: float) -> float:
        upper = PRIOR.noisy(draws(64), 1 + gap / 2)
        lower, half = PRIOR.flow(upper, 1 + gap / 2, 1 - gap / 2), torch.full((64,), 0.5).double()
        middle = chord(lower, upper, half)
        return float((middle - PRIOR.flow(upper, 1 + gap / 2, 1.0)).square().mean().sqrt())

    assert math.log2(distance(0.4) / distance(0.2)) == pytest.approx(2, abs=0.1)
    assert math.log2(distance(0.2) / distance(0.1)) == pytest.approx(2, abs=0.1)


class Gains(torch.nn.Module):
    """A consistency function of PRIOR with one trained gain per level and element; the identity at the last level."""

    def __init__(self, grid: torch.Tensor):
        super().__init__()
        self.grid = grid
        self.gain = torch.nn.Parameter(torch.ones(len(grid) - 1, 4, dtype=torch.float64))

    def forward(self, u, sigma):
        gains = torch.cat([self.gain, torch.ones(1, 4, dtype=torch.float64)])
        index = (self.grid[:, None] - sigma).abs().argmin(0)
        return PRIOR.mean + gains[index] * (u - PRIOR.mean)


def test_training_by_consistency_finds_the_teachers_steps_and_the_gaussian_flow_map():
    grid = uniform_lambda(5, smin=0.3, smax=3.0)
    network = Gains(grid)
    settings = Training(steps=200, batch=40, learning_rate=0.05, warmup=5, clip=1e9, **QUIET)
    train(
        network,
        Tensors(data(240)),
        objective=ConsistencyDistillation(PRIOR, grid, 1.0),
        adapter=lambda net: net,
        settings=settings,
    )
    exact = torch.sqrt((VARIANCE + 0.3**2) / (VARIANCE + grid[:-1, None] ** 2))
    steps = [heun_step(PRIOR, PRIOR.mean + torch.ones(1, 4), a[None], b[None]) - PRIOR.mean for a, b in pairwise(grid)]
    teacher = torch.cat(steps).flip(0).cumprod(0).flip(0)
    assert (network.gain / teacher - 1).abs().max() < 0.02
    assert (network.gain / exact - 1).abs().max() < 0.06


def test_a_consistency_network_is_the_identity_at_its_last_level_whatever_it_says():
    f = Consistency(lambda x, level: 1e3 * torch.ones_like(x), sd=0.5, smin=0.02)
    u = draws(3)
    assert torch.equal(f(u, torch.full((3,), 0.02, dtype=torch.float64)), u)


def exact_jump() -> Jump:
    """CTM's g of PRIOR, made of the exact flow: (G - (b/a) u) / (1 - b/a), and the denoiser where both levels are equal."""

    def g(u, sigma, *, target):
        kept = (target / sigma)[:, None]
        far = (ExactJump(PRIOR)(u, sigma, target=target) - kept * u) / (1 - kept).clamp(min=1e-12)
        return torch.where(kept == 1, PRIOR(u, sigma), far)

    return Jump(g)


def test_g_goes_to_the_denoiser_linearly_as_the_jump_shrinks():
    u, sigma = PRIOR.noisy(draws(64), 1.0), torch.ones(64, dtype=torch.float64)

    def gap(step: float) -> float:
        g = exact_jump().network(u, sigma, target=sigma - step)
        return float((g - PRIOR(u, sigma)).square().mean().sqrt())

    assert gap(0.1) / gap(0.01) == pytest.approx(10, rel=0.1)
    assert gap(0.01) / gap(0.001) == pytest.approx(10, rel=0.02)


def test_the_exact_jump_leaves_only_the_teacher_error_and_the_denoising_loss():
    jump, losses = exact_jump(), []
    for levels in (11, 21, 41):
        objective = Trajectory(PRIOR, karras(levels, smin=0.05, smax=10.0), 1.0, denoising_share=0.0, longest=1)
        losses.append(float(objective(data(256), jump, Noise(0))))
    assert math.log2(losses[1] / losses[2]) / 2 > 2.5
    grid = karras(21, smin=0.05, smax=10.0)
    both = float(Trajectory(PRIOR, grid, 1.0)(data(256), jump, Noise(0)))
    without = float(Trajectory(PRIOR, grid, 1.0, denoising_share=0.0)(data(256), jump, Noise(0)))
    assert both - without > 10 * without


def test_a_trajectory_network_learns_the_jumps_of_its_teacher():
    grid = karras(8, smin=0.05, smax=5.0)
    prior = Gaussian(torch.zeros(2), torch.tensor([0.04, 0.8]))
    batch = {"x0": prior.noisy(draws(256, 2).float(), 0.0)}
    network = MLP(2, width=32, depth=2, levels=2)
    jump = Jump(TrajectoryNetwork(network, 0.5, 0.05))

    @torch.no_grad()
    def error() -> float:
        u, sigma = prior.noisy(draws(128, 2, seed=5).float(), 2.0), torch.full((128,), 2.0).double()
        target = torch.full_like(sigma, 0.05)
        exact = ExactJump(prior)(u, sigma, target=target)
        return float((jump(u, sigma, target=target) - exact).square().mean().sqrt())

    before = error()
    settings = Training(steps=80, batch=32, learning_rate=1e-2, warmup=5, **QUIET)
    train(network, Tensors(batch), objective=Trajectory(prior, grid, 0.5, longest=2), adapter=lambda net: jump, settings=settings)
    assert error() < 0.5 * before


def block_means(size: int) -> torch.Tensor:
    """The operator (16/size, 16) that averages neighbours."""
    return torch.eye(16 // size, dtype=torch.float64).repeat_interleave(size, dim=1) / size


def test_scale_distillation_has_the_minimiser_of_plain_training_and_a_target_of_less_variance():
    distance = (torch.arange(16.0)[:, None] - torch.arange(16.0)).abs().double()
    prior = Gaussian.of(torch.zeros(16, dtype=torch.float64), torch.exp(-distance / 3))
    level, sd, noise_std, count = 0.8, 1.0, 0.05, 4000
    x0 = prior.noisy(draws(count, 16), 0.0)
    weight = float(edm_weight(torch.tensor(level), sd)) / 16

    def seen(size):
        return x0 @ block_means(size).T + noise_std * draws(count, 16 // size, seed=size)

    def posterior(size):
        """Exact E[x0 | u, condition] for a batch of conditions, and the trace of its covariance."""
        matrix = block_means(size)
        precision = torch.linalg.inv(prior.covariance()) + torch.eye(16) / level**2 + matrix.T @ matrix / noise_std**2
        covariance = torch.linalg.inv(precision)
        return lambda u, _, condition: (u / level**2 + condition @ matrix / noise_std**2) @ covariance, float(covariance.trace())

    student, student_trace = posterior(4)
    batch = {"x0": x0, "condition": seen(4), "fine": seen(2)}

    def both(u, s, condition):
        """The teacher who sees the coarse image as well as the fine one, so that the tower law holds."""
        fine, coarse = block_means(2), block_means(4)
        precision = torch.linalg.inv(prior.covariance()) + torch.eye(16) / level**2
        precision = precision + fine.T @ fine / noise_std**2 + coarse.T @ coarse / noise_std**2
        both.trace = float(torch.linalg.inv(precision).trace())
        return (u / level**2 + condition @ fine / noise_std**2 + batch["condition"] @ coarse / noise_std**2) @ torch.linalg.inv(
            precision
        )

    distilled = float(ScaleDistillation(both, sd, OneLevel(level))(batch, student, Noise(3))) / weight
    plain = float(Denoising(sd, OneLevel(level))({"x0": x0, "condition": batch["condition"]}, student, Noise(3))) / weight
    assert plain == pytest.approx(student_trace, rel=0.04)
    assert distilled == pytest.approx(student_trace - both.trace, rel=0.04)
    assert distilled < 0.7 * plain
    # the same minimiser: moving the student away costs the same in both
    moved = lambda u, s, condition: student(u, s, condition) + 0.1
    assert float(ScaleDistillation(both, sd, OneLevel(level))(batch, moved, Noise(3))) / weight - distilled == pytest.approx(
        0.16, rel=0.1
    )
