"""One method on a few scaled frames: tissue and haze, as samples where the method draws them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.dehazing.amortised import conditional_levels, conditional_samples, regressed
from medidiff.dehazing.baselines import black_fill, dark_region, high_pass, nlm, wiener
from medidiff.dehazing.domain import Domain, MuLaw, joined
from medidiff.dehazing.guided import DPS, Measured, PiGDM
from medidiff.dehazing.model import EchoModel
from medidiff.dehazing.projection import Projection, paper_levels, paper_start, separated
from medidiff.dehazing.settings import DehazeSettings
from medidiff.dehazing.split_gibbs import SplitGibbs, cold_start, repeated_levels
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.joint import ClassPair
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import Step, sample
from medidiff.errors import ConfigError
from physics.ultrasound.slow_time import without_strongest

Start = tuple[Tensor, Tensor]  # tissue and haze to start from, (sample, axial, lateral) each, scaled


@dataclass(frozen=True, eq=False)
class Frames:
    """What one call works on."""

    y: Tensor  # (b, axial, lateral) complex, amplitudes of at most 1, padded to what the network needs
    depth: Tensor  # (1, 1, axial, lateral)
    numbers: tuple[int, ...]  # of the frames in their clip; with the seed they name the noise
    seed: int

    def noise(self, samples: int) -> Noise:
        """Noise of its own for each sample of each frame, in any batch."""
        return Noise(self.seed, tuple(f"{number}/{one}" for one in range(samples) for number in self.numbers))

    def depths(self, samples: int) -> Tensor:
        """The depth of every item, (samples b, 1, axial, lateral)."""
        return self.depth.expand(samples * len(self.y), -1, -1, -1)


@dataclass(frozen=True, eq=False)
class Separation:
    """Tissue and haze (sample, b, axial, lateral), scaled as the frames, and what they cost."""

    tissue: Tensor
    haze: Tensor
    network_calls: int  # of one frame; both priors at once are two


def classical(method: str, frames: Frames, settings: DehazeSettings) -> Separation:
    """A method without a model. The haze is what it takes away, in the share `strength`."""
    y, options = frames.y, settings.classical
    tissue = {
        "identity": lambda: y,
        "black_fill": lambda: black_fill(y, dark_region(y, window=options.window)),
        "high_pass": lambda: high_pass(y, cutoff=options.cutoff),
        "wiener": lambda: wiener(y, window=options.window),
        "svd": lambda: _without_strongest(y, options.svd_removed),
        "nlm": lambda: nlm(y, MuLaw(settings.signal.mu), strength=options.nlm_strength),
    }[method]()
    return taken_away(y, tissue[None], settings.strength, 0)


def amortised(method: str, frames: Frames, model: EchoModel, settings: DehazeSettings) -> Separation:
    """A model of mixtures. It was trained with haze of amplitude 1, of which it takes away the share `strength`."""
    domain = MuLaw(settings.signal.mu)
    if method == "regress":
        tissue = regressed(model.denoiser, frames.y, domain, frames.depths(1))
        return taken_away(frames.y, tissue[None], settings.strength, 1)
    options = settings.conditional_sampler
    count = options.samples
    tissue = conditional_samples(
        model.denoiser,
        frames.y.repeat(count, 1, 1),
        domain,
        frames.depths(count),
        grid=conditional_levels(options.steps, sigma_min=options.sigma_min, sigma_max=options.sigma_max),
        noise=frames.noise(count),
    )
    return taken_away(frames.y, tissue.unflatten(0, (count, -1)), settings.strength, count * options.steps)


def split_gibbs(frames: Frames, model: EchoModel, settings: DehazeSettings, start: Start | None) -> Separation:
    """The joint sampler: cold, or from a separation of the frame before at a lower level with fewer rounds."""
    options, warm = settings.split_gibbs, settings.warm_start
    count, noise = options.samples, frames.noise(options.samples)
    step = SplitGibbs(frames.y.repeat(count, 1, 1), MuLaw(settings.signal.mu), settings.strength, options.eta)
    top, levels, repeats = options.sigma_max, options.levels, options.repeats
    if start is not None:
        top, levels, repeats = warm.sigma, warm.levels, warm.repeats
    grid = repeated_levels(levels, repeats, sigma_min=options.sigma_min, sigma_max=top)
    if start is None:
        first = cold_start(step, top, noise)
    else:
        known = step.compressed(*start)
        first = known + top * noise(0, known)
    u = sample(ClassPair(model.denoiser), first, grid, step, noise=noise, condition=frames.depths(count))
    x, h = (part.unflatten(0, (count, -1)) for part in step.separated(u))
    return Separation(x, h, 2 * levels * repeats * count)


def compared(method: str, frames: Frames, model: EchoModel, settings: DehazeSettings) -> Separation:
    """The paper's projection, DPS or PiGDM; their sources need not add up to the measurement."""
    domain = MuLaw(settings.signal.mu)
    noise = frames.noise(1)
    if method == "projection":
        options = settings.projection
        grid = paper_levels(options.steps, start=options.start)
        step = Projection(frames.y, domain, settings.strength, options.tissue_weight, options.haze_weight)
        first, calls = paper_start(frames.y, domain, float(grid[0]), noise), options.steps
    else:
        guided = settings.guided
        grid = with_zero(karras(guided.steps, smin=guided.sigma_min, smax=guided.sigma_max))
        step = guidance(method, frames.y, domain, model, settings)
        zero = joined(torch.zeros_like(frames.y), torch.zeros_like(frames.y))
        first, calls = float(grid[0]) * noise(0, zero), guided.steps
    u = sample(ClassPair(model.denoiser), first, grid, step, noise=noise, condition=frames.depths(1))
    x, h = separated(u, domain)
    return Separation(x[None], h[None], 2 * calls)


def guidance(method: str, y: Tensor, domain: Domain, model: EchoModel, settings: DehazeSettings) -> Step:
    """The step of dps or pigdm."""
    measured = Measured(y, domain, settings.strength)
    if method == "dps":
        return DPS(measured, settings.guided.dps_weight)
    return PiGDM(measured, (model.card.sd[0], model.card.sd[1]))


def taken_away(y: Tensor, tissue: Tensor, strength: float, calls: int) -> Separation:
    """Tissue (sample, b, axial, lateral) and the haze that it leaves: y = tissue + strength haze."""
    haze = y - tissue
    return Separation(y - strength * haze, haze, calls)


def _without_strongest(y: Tensor, removed: int) -> Tensor:
    """Method svd; ConfigError where the clip has too few frames."""
    if len(y) <= removed:
        raise ConfigError(f"method svd: found {len(y)} frames and svd_removed {removed}; expected more frames, or another method")
    return without_strongest(y, removed)
