"""Sampling one mask of a whole volume through windows: the state is one, only the network looks through windows.

At every level the predictions of all windows are blended before the state takes one common step. One noise field, no seams; the
result is that of the undivided volume for a pointwise denoiser, and whenever one window holds the volume.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from medidiff.diffusion.halving import in_halves
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, check_state
from medidiff.io.slab_file import Slabs
from medidiff.segmentation.conditioning import FILL
from medidiff.segmentation.denoiser import SIGMA_MAX, MaskDenoiser, plain_logits
from medidiff.segmentation.windows import Corner, Predict, Windows, blended

ADVICE = "Lower segment.windows.size, or set segment.windows.device to cpu."

Observe = Callable[[int, int, Tensor], None]  # (step, first slice, probabilities of a slab (slices, j, k))


@dataclass(frozen=True, eq=False)
class Scene:
    """A study as the network gets it."""

    condition: Slabs  # (i, c, j, k), slices first
    windows: Windows
    device: str = "cpu"  # where the network looks; everything else stays in main memory


@dataclass(frozen=True)
class Look:
    """Probabilities (n, *space) of windows by a diffusion model: how it sees states u (n, 1, *space) at one level.

    flip   axes of the volume, 0 to 2, along which the network sees it mirrored
    """

    denoiser: MaskDenoiser = field(repr=False)
    flip: tuple[int, ...] = ()

    def __call__(self, u: Tensor, sigma: float, condition: Tensor) -> Tensor:
        axes = [axis + 2 for axis in self.flip]
        level = torch.full((len(u),), sigma, dtype=torch.float64, device=u.device)
        logits = self.denoiser.logits(u.flip(axes), level, condition.flip(axes))
        return torch.sigmoid(logits).flip(axes)[:, 0]


@dataclass(frozen=True)
class PlainLook:
    """The same by a plain network, mean over several mirrored looks; it ignores state and level."""

    network: nn.Module = field(repr=False)
    flips: tuple[tuple[int, ...], ...] = ((),)

    def __call__(self, u: Tensor, sigma: float, condition: Tensor) -> Tensor:
        total = torch.zeros_like(u[:, 0])
        for flip in self.flips:
            axes = [axis + 2 for axis in flip]
            total += torch.sigmoid(plain_logits(self.network, condition.flip(axes))).flip(axes)[:, 0]
        return total / len(self.flips)


@torch.no_grad()
def look_once(scene: Scene, look: Look | PlainLook, sigma: float, *, state: Slabs, observe: Observe, step: int = 0) -> None:
    """Hands the blended probabilities of the whole volume to `observe`, slab by slab in rising order.

    state     (i, j, k) at level sigma; `observe` may overwrite the slices it is given
    """
    size = scene.windows.roi

    def open_layer(start: int) -> Predict:
        u = torch.from_numpy(state.read(start, start + size[0]))
        condition = torch.from_numpy(scene.condition.read(start, start + size[0])).movedim(1, 0)

        def predict(corners: list[Corner]) -> Tensor:
            boxes = [(..., slice(j, j + size[1]), slice(k, k + size[2])) for j, k in corners]
            seen = torch.stack([condition[box] for box in boxes])
            result = torch.zeros(len(corners), *size)
            filled = (seen > FILL).flatten(1).any(1)  # the air outside the study holds no lesion and needs no network
            if bool(filled.any()):
                states, seen = torch.stack([u[box] for box in boxes])[filled][:, None], seen[filled]

                def some(first: int, last: int) -> Tensor:
                    return look(states[first:last].to(scene.device), sigma, seen[first:last].to(scene.device)).cpu()

                result[filled] = in_halves(some, 0, len(states), advice=ADVICE)
            return result

        return predict

    for first, probability in blended(scene.windows, open_layer):
        observe(step, first, probability)


def sample_jointly(
    scene: Scene, look: Look, grid: Tensor, *, state: Slabs, history: Slabs, noise: Callable[[int], Noise], observe: Observe
) -> None:
    """Draws one mask; `observe` sees the probabilities of every step, those of the last step being the sample.

    grid             levels of `level_grid`: one network look at each but the last, which is 0
    state, history   (i, j, k) scratch, overwritten
    noise            (slice) -> where its start comes from, so that it depends neither on windows nor on slabs

    DPM-Solver++(2M), the engine's `pp2m`, slab by slab: it needs of the denoiser only its value at the slab.
    """
    depth, length = scene.windows.roi[0], scene.windows.shape[0]
    for first in range(0, length, depth):
        slices = range(first, min(first + depth, length))
        like = torch.empty(1, *scene.windows.shape[1:])
        state.write(first, SIGMA_MAX * torch.cat([noise(i)(0, like) for i in slices]).numpy())

    def advance(step: int, first: int, probability: Tensor) -> None:
        last, denoised = first + len(probability), 2 * probability - 1
        before = (torch.from_numpy(history.read(first, last)),) if step else ()
        at = State(torch.from_numpy(state.read(first, last)), step, before)
        moved = pp2m(lambda u, sigma: denoised, at, grid, Noise(0))
        check_state(moved, at, grid, look.denoiser.limits)
        state.write(first, moved.u.numpy())
        history.write(first, denoised.numpy())
        observe(step, first, probability)

    for step in range(len(grid) - 1):
        look_once(scene, look, float(grid[step]), state=state, observe=advance, step=step)
