"""The sampling loops of other toolkits, each around our denoiser `(u, sigma) -> E[x0 | u]`, so that only the loops differ."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.record import version
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.grid import with_zero
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.onestep import euler
from medidiff.diffusion.sample import Step


@dataclass(frozen=True)
class Loop:
    """A peer's loop, the grid it runs on and our method that takes the same steps."""

    peer: str
    step: Step
    grid: Tensor
    run: Callable[[Denoiser, Tensor], Tensor]  # (denoiser, u) -> sample


def k_diffusion_2m(grid: Tensor) -> Loop:
    """k-diffusion's `sample_dpmpp_2m`."""
    from k_diffusion.sampling import sample_dpmpp_2m

    levels = with_zero(grid)

    def run(denoiser: Denoiser, u: Tensor) -> Tensor:
        return sample_dpmpp_2m(lambda x, sigma: denoiser(x, sigma.double()), u, levels.to(u), disable=True)

    return Loop(version("k-diffusion") or "k-diffusion", pp2m, levels, run)


def diffusers_2m(grid: Tensor) -> Loop:
    """diffusers' `DPMSolverMultistepScheduler` of order 2, on the levels of its own table."""
    from diffusers import DPMSolverMultistepScheduler

    def scheduler():
        made = DPMSolverMultistepScheduler(prediction_type="sample", solver_order=2, timestep_spacing="trailing")
        made.set_timesteps(len(grid))
        return made

    levels = scheduler().sigmas.double()

    def run(denoiser: Denoiser, u: Tensor) -> Tensor:
        steps = scheduler()
        x = u / torch.sqrt(1 + levels[0] ** 2).to(u)
        for level, time in zip(levels, steps.timesteps):
            denoised = denoiser(x * torch.sqrt(1 + level**2).to(u), level.expand(len(u)))
            x = steps.step(denoised, time, x).prev_sample
        return x

    return Loop(version("diffusers"), pp2m, levels, run)


def monai_ddim(grid: Tensor) -> Loop:
    """MONAI's `DDIMScheduler`, on the levels of its own table."""
    from monai.networks.schedulers import DDIMScheduler

    scheduler = DDIMScheduler(num_train_timesteps=1000, prediction_type="sample", clip_sample=False)
    scheduler.set_timesteps(len(grid))
    shares = scheduler.alphas_cumprod.double()[scheduler.timesteps]
    levels = with_zero(torch.sqrt((1 - shares) / shares))

    def run(denoiser: Denoiser, u: Tensor) -> Tensor:
        x = u / torch.sqrt(1 + levels[0] ** 2).to(u)
        for level, time in zip(levels, scheduler.timesteps):
            denoised = denoiser(x * torch.sqrt(1 + level**2).to(u), level.expand(len(u)))
            x, _ = scheduler.step(denoised, int(time), x)
        return x

    return Loop(version("monai"), euler, levels, run)


LOOPS = {"k-diffusion": k_diffusion_2m, "diffusers": diffusers_2m, "monai": monai_ddim}


def installed(grid: Tensor) -> dict[str, Loop | None]:
    """The loops by peer; None where a peer cannot be imported."""
    found: dict[str, Loop | None] = {}
    for name, make in LOOPS.items():
        try:
            found[name] = make(grid)
        except ImportError:
            found[name] = None
    return found
