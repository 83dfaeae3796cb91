"""Frames that start from the frame before: haze hardly moves, so that a few rounds at a low noise level are enough."""

import statistics
from dataclasses import dataclass, field

import torch
from torch import Tensor

REMEMBERED = 15  # jumps whose median is compared


@dataclass
class Follower:
    """What one clip remembers between frames: the last separation, and how far frames usually lie from the one before.

    reset   a frame whose jump is above this multiple of the running median starts anew, as after a change of the scene
    """

    reset: float
    tissue: Tensor | None = None  # (sample, axial, lateral) complex, in units of the measurement
    haze: Tensor | None = None
    jumps: list[float] = field(default_factory=list)

    def follows(self, y: Tensor, *, gamma: float) -> bool:
        """Whether the last separation is a start for this frame (axial, lateral); its jump is remembered.

        jump = |y - x_last - gamma h_last| / |y|
        """
        if self.tissue is None or self.tissue.shape[1:] != y.shape:
            return False
        last = (self.tissue + gamma * self.haze).mean(0)
        jump = float(torch.linalg.norm(y - last) / torch.linalg.norm(y).clamp(min=torch.finfo(torch.float32).tiny))
        usual = statistics.median(self.jumps) if self.jumps else jump
        if jump > self.reset * usual:
            self.jumps.clear()
            return False
        self.jumps = [*self.jumps, jump][-REMEMBERED:]
        return True

    def remember(self, tissue: Tensor, haze: Tensor) -> None:
        """The separation of the newest frame, (sample, axial, lateral) each."""
        self.tissue, self.haze = tissue, haze
