"""Several masks of one study and what they say together, in memory that does not grow with their number."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medidiff.diffusion.noise import Noise
from medidiff.io.slab_file import Slabs
from medidiff.segmentation.denoiser import MaskDenoiser, level_grid
from medidiff.segmentation.selfcheck import Agreement
from medidiff.segmentation.sliding import Look, Scene, sample_jointly
from medidiff.segmentation.uncertainty import Moments, entropy, mutual_information

FLIPS = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))  # member k sees the study mirrored along FLIPS[k % 8]
SCRATCH_VOLUMES = 9  # state, history, mean, spread, entropy, one step, trajectory and the two of one member's path

log = logging.getLogger("medidiff")

Make = Callable[[tuple[int, ...]], Slabs]


@dataclass(frozen=True)
class Sampling:
    """How many masks are drawn, and how."""

    members: int = 5
    steps: int = 20  # network looks per member
    flips: bool = True  # members see the study mirrored along different axes
    seed: int = 0
    study: str = ""  # with the seed and the member's number decides the noise
    threshold: float = 0.5  # probability from which on a voxel belongs to a member's mask

    def noise(self, member: int, slice_index: int) -> Noise:
        """Of one slice of one member's start: the same in any window, batch, order and on any device."""
        return Noise(self.seed, (f"{self.study}/{member}/{slice_index}",))

    def flip(self, member: int) -> tuple[int, ...]:
        """The axes along which a member sees the study mirrored."""
        return FLIPS[member % len(FLIPS)] if self.flips else ()


@dataclass(eq=False)
class Ensemble:
    """Sums over the members so far; maps (i, j, k) on scratch."""

    sampling: Sampling
    make: Make = field(repr=False)
    shape: tuple[int, int, int]
    masks: list[NDArray[np.uint8]] = field(default_factory=list)  # of each member, 8 voxels of the last axis in one byte

    def __post_init__(self):
        self.moments = Moments(self.make, self.shape)
        self.path = Moments(self.make, self.shape)
        self.entropy, self.one_step, self.trajectory = (self.make(self.shape) for _ in range(3))

    def add_member(self, scene: Scene, denoiser: MaskDenoiser, scratch: tuple[Slabs, Slabs]) -> None:
        """Draws the next member and adds it to every map."""
        member = len(self.masks)
        packed: list[NDArray[np.uint8]] = []

        def observe(step: int, first: int, probability: Tensor) -> None:
            values = probability.numpy()
            if step == 0:
                self._share(self.one_step, first, values)
            late = step - (self.sampling.steps - self.late_steps)
            if late >= 0:
                self.path.add(late + 1, first, values)
            if step == self.sampling.steps - 1:
                self._finish(member, first, values)
                packed.append(np.packbits(values >= self.sampling.threshold, axis=-1))

        sample_jointly(
            scene,
            Look(denoiser, self.sampling.flip(member)),
            level_grid(self.sampling.steps),
            state=scratch[0],
            history=scratch[1],
            noise=lambda slice_index: self.sampling.noise(member, slice_index),
            observe=observe,
        )
        self.masks.append(np.concatenate(packed))

    @property
    def late_steps(self) -> int:
        """Steps over which a member's path is watched: the second half, where lesions have been decided."""
        return min(self.sampling.steps, max(2, -(-self.sampling.steps // 2)))

    def _finish(self, member: int, first: int, values: NDArray) -> None:
        self.moments.add(member + 1, first, values)
        self._share(self.entropy, first, entropy(values))
        if self.late_steps > 1:
            self._share(self.trajectory, first, self.path.variance(self.late_steps, first, first + len(values)))

    def _share(self, total: Slabs, first: int, values: NDArray) -> None:
        # the mean over members, as a sum of equal shares
        total.write(first, total.read(first, first + len(values)) + values / self.sampling.members)

    def slab(self, name: str, first: int, last: int) -> NDArray[np.float32]:
        """Slices of one map.

        name   mean, one_step, entropy (of the mean), trajectory (mean over members of the variance along the late half of the
               path); with two members or more also variance (between them) and mutual_information
        """
        mean = self.moments.mean.read(first, last)
        made = {
            "mean": lambda: mean,
            "one_step": lambda: self.one_step.read(first, last),
            "entropy": lambda: entropy(mean),
            "trajectory": lambda: self.trajectory.read(first, last),
            "variance": lambda: self.moments.variance(len(self.masks), first, last),
            "mutual_information": lambda: mutual_information(mean, self.entropy.read(first, last)),
        }
        return made[name]().astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """The maps that mean something: a single member has no variance, and a map of zeros would look like certainty."""
        single = ("mean", "one_step", "entropy", "trajectory")
        return (*single, "variance", "mutual_information") if len(self.masks) > 1 else single

    def agreement(self, *, depth: int = 32) -> Agreement:
        """Of the ensemble's mean with the one-step answer."""
        found = Agreement()
        for first in range(0, self.shape[0], depth):
            last = min(first + depth, self.shape[0])
            found.add(self.moments.mean.read(first, last), self.one_step.read(first, last))
        return found

    def member(self, index: int) -> NDArray[np.bool_]:
        """The mask of one member, (i, j, k)."""
        return np.unpackbits(self.masks[index], axis=-1, count=self.shape[2]).astype(bool)


def draw_ensemble(scene: Scene, denoiser: MaskDenoiser, sampling: Sampling, make: Make) -> Ensemble:
    """All members of a study, one after the other.

    make   shape -> scratch slabs, zero at first; SCRATCH_VOLUMES of the size of the scene's windows.shape are made
    """
    shape = scene.windows.shape
    ensemble = Ensemble(sampling, make, shape)
    scratch = make(shape), make(shape)
    for member in range(sampling.members):
        log.info("mask %d of %d, %d looks of the network", member + 1, sampling.members, sampling.steps)
        ensemble.add_member(scene, denoiser, scratch)
    return ensemble
