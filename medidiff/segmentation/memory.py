"""How much memory a study needs, before any of it is taken."""

from dataclasses import dataclass

import numpy as np

from medidiff.errors import ConfigError
from medidiff.segmentation.ensemble import SCRATCH_VOLUMES
from medidiff.segmentation.windows import Windows

_FLOAT = 4  # bytes
_LAYERS = 8  # slabs of one window's depth that are alive at once: state, sums, norm, temporaries
_LIVE_FEATURES = 24  # maps of the network's width, at the resolution behind its stem, that are alive in one look; measured


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of one study, beside those of the program and of the input itself."""

    volumes: int  # condition and maps, on disk where they do not fit
    slabs: int  # of one layer of windows
    look: int  # activations of the network in one batch of windows
    in_memory: bool  # where the volumes are


def plan_memory(windows: Windows, *, channels: int, width: int, stem: int, budget_gb: float) -> MemoryPlan:
    """Where the volumes of a study go so that a budget holds.

    channels    of the condition
    width       features of the network behind its stem
    stem        space-to-depth factor of the network
    budget_gb   of volumes, slabs and activations together, 1e9 bytes

    Raises ConfigError with the numbers when even slabs and activations are above the budget.
    """
    voxels, plane = int(np.prod(windows.shape)), int(np.prod(windows.shape[1:]))
    volumes = (SCRATCH_VOLUMES + channels) * voxels * _FLOAT
    slabs = (_LAYERS + channels) * windows.roi[0] * plane * _FLOAT
    look = windows.batch * int(np.prod(windows.roi)) // stem**3 * width * _LIVE_FEATURES * _FLOAT
    if slabs + look > budget_gb * 1e9:
        raise ConfigError(
            f"segment.windows.max_memory_gb is {budget_gb:g}, and windows of {windows.roi} voxels in a volume of {windows.shape}"
            f" need {(slabs + look) / 1e9:.2f} ({slabs / 1e9:.2f} for slices, {look / 1e9:.2f} for the network)."
            " Raise it, or lower segment.windows.size or .batch."
        )
    return MemoryPlan(volumes, slabs, look, in_memory=volumes + slabs + look <= budget_gb * 1e9)
