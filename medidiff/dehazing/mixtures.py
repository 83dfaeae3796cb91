"""What models of echoes are trained on: mixtures of one echo's tissue and another's haze, made anew for every batch."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.dehazing.denoiser import HAZE, TISSUE
from medidiff.dehazing.domain import MuLaw, channels, cut
from medidiff.dehazing.gain import gain_of
from medidiff.dehazing.settings import Kind


@dataclass(frozen=True, eq=False)
class Mixtures:
    """A training set of named tensors: `x0` companded signals (b, 2, axial, lateral), and what the kind of model is told.

    tissue, haze, noise   (n, axial, lateral) complex64
    htr_db                (n,)                     haze over tissue of each echo as it is stored
    depth                 (1, 1, axial, lateral)
    kind                  joint: `label` and `condition` (depth); regress: `measured` and `condition` (depth);
                          conditional: `condition` (companded mixture, then depth)
    wanted_db             smallest and largest haze over tissue of the mixtures
    gain_db               largest error of the gain
    crop                  samples and lines of an item

    Tissue and haze are independent, so any tissue goes with any haze, under any phase and from either side. Random numbers are
    torch's global ones, which the training loop seeds for every step.
    """

    tissue: Tensor
    haze: Tensor
    noise: Tensor
    htr_db: Tensor
    depth: Tensor
    kind: Kind
    wanted_db: tuple[float, float]
    gain_db: float
    crop: tuple[int, int]
    headroom: float
    domain: MuLaw

    def __len__(self) -> int:
        return len(self.tissue)

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        x, h = self._mixed(indices)
        places = [self._place(x.shape[1:]) for _ in indices]
        x, h = (torch.stack([one[place] for one, place in zip(whole, places, strict=True)]) for whole in (x, h))
        depth = torch.cat([self.depth[(..., *place)] for place in places])
        if self.kind == "joint":
            label = torch.arange(len(x)) % 2  # every other item: levels are spread over the batch
            signal = torch.where((label == TISSUE)[:, None, None], x, h)
            return {"x0": self._companded(signal), "condition": depth, "label": label}
        measured, clean = self._companded(x + h), self._companded(x)
        if self.kind == "regress":
            return {"x0": clean, "measured": measured, "condition": depth}
        return {"x0": clean, "condition": torch.cat([measured, depth], dim=1)}

    def _mixed(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Tissue and haze with noise of whole frames, scaled by the gain of their sum."""
        count = len(indices)
        others = torch.randint(len(self), (count,))
        low, high = self.wanted_db
        change = low + (high - low) * torch.rand(count) - self.htr_db[others]
        x = _turned(self.tissue[indices])
        h = _turned(self.haze[others]) * _factor(change) + self.noise[indices]
        gain = gain_of(x + h, headroom=self.headroom)[:, None, None] * _factor(self.gain_db * (2 * torch.rand(count) - 1))
        return x * gain, h * gain

    def _place(self, shape: torch.Size) -> tuple[slice, slice]:
        corners = [int(torch.randint(whole - part + 1, ())) for whole, part in zip(shape, self.crop, strict=True)]
        return tuple(slice(corner, corner + part) for corner, part in zip(corners, self.crop, strict=True))

    def _companded(self, signal: Tensor) -> Tensor:
        return channels(self.domain.compress(cut(signal)))


def measured_sd(items: dict[str, Tensor]) -> tuple[float, ...]:
    """Standard deviation per channel of the companded signals of each class, or of all where there are no classes."""
    x0, label = items["x0"], items.get("label")
    groups = [x0] if label is None else [x0[label == kind] for kind in (TISSUE, HAZE)]
    return tuple(round(float(group.square().mean().sqrt()), 4) for group in groups)


def _turned(signal: Tensor) -> Tensor:
    """Each frame under a random phase, left and right exchanged in half of them."""
    phase = 2 * math.pi * torch.rand(len(signal), 1, 1)
    flipped = torch.rand(len(signal), 1, 1) < 0.5
    return torch.where(flipped, signal.flip(-1), signal) * torch.polar(torch.ones_like(phase), phase)


def _factor(change_db: Tensor) -> Tensor:
    return (10 ** (change_db / 20))[:, None, None]
