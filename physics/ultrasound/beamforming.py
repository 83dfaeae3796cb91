"""Delay and sum: from the channels of a phased array to a sector scan, as a linear operator with its exact adjoint."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from physics.operator import LinearOperator
from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.transmission import Transmission


@dataclass(frozen=True)
class Channels:
    """How the channels were recorded: baseband samples of each element,  RF(t) = Re{ s(t) exp(+i 2 pi demodulation_hz t) }."""

    element_x_m: tuple[float, ...]  # along the face of the probe, z = 0
    samples: int
    sampling_hz: float
    demodulation_hz: float
    first_time_s: float = 0.0  # of the first sample, since the wave passed the middle of the array
    sound_speed: float = 1540.0  # m/s


@dataclass(frozen=True)
class DelayAndSum(LinearOperator):
    """The sector scan (axial, lateral) of channels (transmit, element, sample), complex baseband both.

    grid            of the scan
    channels        how they were recorded
    transmissions   the wave of each transmit; their scans are added
    apodization     weights of the elements: "hann" over the aperture, or "box"
    f_number        depth over aperture, of the elements that are heard at a depth; 0 hears all
    interpolation   between samples: "cubic" (Keys 1981, a = -1/2) or "linear"

        b(p) = sum over transmits and elements of  w_e(p) s_e(tau) exp(i 2 pi demodulation_hz (tau - 2 r / c)),
        tau = (distance of transmission to p + |p - e|) / c

    so that a scatterer at r appears at r with the carrier phase of a scan line. Where no sample was taken, 0 is.
    """

    grid: PolarGrid
    channels: Channels
    transmissions: tuple[Transmission, ...]
    apodization: Literal["hann", "box"] = "hann"
    f_number: float = 0.0
    interpolation: Literal["linear", "cubic"] = "cubic"

    is_complex: ClassVar[bool] = True

    def __post_init__(self):
        if not self.transmissions or len(self.channels.element_x_m) < 2 or self.f_number < 0:
            raise ValueError(
                f"found {len(self.transmissions)} transmissions, {len(self.channels.element_x_m)} elements and an f-number of "
                f"{self.f_number}; expected at least 1, at least 2, and 0 or more. Take them from the recording."
            )

    @property
    def domain(self) -> tuple[int, int, int]:
        return len(self.transmissions), len(self.channels.element_x_m), self.channels.samples

    @property
    def range(self) -> tuple[int, int]:
        return self.grid.shape

    def _forward(self, x: Tensor) -> Tensor:
        scan = x.new_zeros((*x.shape[:-3], self.grid.ranges * self.grid.angles))
        for transmit, element, taps in self._rays(x):
            line = x[..., transmit, element, :]
            scan = scan + sum(line[..., place] * weight for place, weight in taps)
        return scan.reshape(*x.shape[:-3], *self.range)

    def _adjoint(self, y: Tensor) -> Tensor:
        points = y.flatten(-2)
        lines = []
        for _, _, taps in self._rays(y):
            line = y.new_zeros((*y.shape[:-2], self.channels.samples))
            for place, weight in taps:
                line = line.index_add(-1, place, points * weight.conj())
            lines.append(line)
        return torch.stack(lines, dim=-2).reshape(*y.shape[:-2], *self.domain)

    def _rays(self, like: Tensor) -> Iterator[tuple[int, int, list[tuple[Tensor, Tensor]]]]:
        """Transmit, element, and the samples and complex weights of each of its taps, (point,) each, in order."""
        x_m, z_m = (position.flatten().to(like.device) for position in self.grid.points_m())
        r = torch.hypot(x_m, z_m)
        recording = self.channels
        weights = self._apodization(x_m, z_m)
        for transmit, transmission in enumerate(self.transmissions):
            sent = transmission.distance_m(x_m, z_m)
            for element, element_x in enumerate(recording.element_x_m):
                tau = (sent + torch.hypot(x_m - element_x, z_m)) / recording.sound_speed
                turns = (recording.demodulation_hz * (tau - 2 * r / recording.sound_speed)).frac()
                turn = torch.polar(weights[element], 2 * math.pi * turns).to(like.dtype)
                place = (tau - recording.first_time_s) * recording.sampling_hz
                yield transmit, element, [(index, share.to(turn.real) * turn) for index, share in self._taps(place)]

    def _taps(self, place: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Sample numbers and weights that read a line at fractional samples; a weight is 0 where there is no sample."""
        low = place.floor()
        t = place - low
        if self.interpolation == "linear":
            kernel = [(0, 1 - t), (1, t)]
        else:
            kernel = [
                (-1, ((2 - t) * t - 1) * t / 2),
                (0, ((3 * t - 5) * t * t + 2) / 2),
                (1, ((4 - 3 * t) * t + 1) * t / 2),
                (2, (t - 1) * t * t / 2),
            ]
        last = self.channels.samples - 1
        whole = (place >= 0) & (place <= last)
        taps = []
        for step, weight in kernel:
            index = low + step
            taps.append((index.clamp(0, last).long(), weight * (whole & (index >= 0) & (index <= last))))
        return taps

    def _apodization(self, x_m: Tensor, z_m: Tensor) -> Tensor:
        """Weights (element, point) of sum 1 over the elements, double precision."""
        places = torch.tensor(self.channels.element_x_m, dtype=torch.float64, device=x_m.device)[:, None]
        if self.f_number:
            half = (z_m / (2 * self.f_number)).clamp(min=1e-9)
            offset = (places - x_m) / half
        else:
            middle, reach = (places.max() + places.min()) / 2, (places.max() - places.min()) / 2
            pitch = 2 * reach / (len(places) - 1)
            offset = ((places - middle) / (reach + pitch)).expand(-1, len(x_m))
        window = torch.cos(offset.clamp(-1, 1) * math.pi / 2) ** 2 if self.apodization == "hann" else torch.ones_like(offset)
        window = window * (offset.abs() <= 1)
        return window / window.sum(dim=0).clamp(min=1e-12)
