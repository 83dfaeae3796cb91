"""A tiny example of every linear operator, with a measurement known from a formula: what the tests of the laws run on."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physics.ct.cone import ConeBeam
from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.mri.cartesian import CartesianMRI
from physics.mri.masks import uniform1d
from physics.mri.nonuniform import NonCartesianMRI
from physics.mri.trajectory import radial
from physics.operator import LinearOperator, Rows, Stacked
from physics.ultrasound.beamforming import Channels, DelayAndSum
from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.scan_conversion import CartesianGrid, ScanConversion, SectorSampling
from physics.ultrasound.transmission import DivergingWave, FocusedWave, PlaneWave


@dataclass(frozen=True)
class Example:
    """An operator and a case whose answer is known.

    operator    small enough for a test
    x           (*domain)   an image, double precision
    expected    (*range)    its measurement by a formula that shares no code with the operator
    tolerance   largest |A x - expected| / |expected| that its discretisation explains
    """

    operator: LinearOperator
    x: Tensor
    expected: Tensor
    tolerance: float


def catalogue() -> dict[str, Example]:
    """One example per operator, by name. A new operator adds its line here; the laws then run on it unasked."""
    return {
        "parallel beam": _parallel_beam(),
        "fan beam": _fan_beam(),
        "cone beam": _cone_beam(),
        "cone beam views": _cone_beam_views(),
        "cartesian MRI": _cartesian_mri(),
        "cartesian MRI of slices": _cartesian_mri_of_slices(),
        "cartesian MRI lines": _cartesian_mri_lines(),
        "non-cartesian MRI": _noncartesian_mri(),
        "delay and sum": _delay_and_sum(),
        "scan conversion": _scan_conversion(),
        "sector sampling": _sector_sampling(),
        "rows": _rows(),
        "rows of a beam": _rows_of_a_beam(),
        "composed": _composed(),
        "stacked": _stacked(),
    }


GRID = Grid(rows=40, columns=37, pixel_mm=0.8)
CENTRE_MM = (2.3, -1.7)
WIDTH_MM = 3.0
PEAK_PER_MM = 0.02


def _blob() -> Tensor:
    """A Gaussian of attenuation, PEAK exp(-|r - CENTRE|^2 / (2 WIDTH^2)), on the pixels of GRID: (1, row, column), 1/mm."""
    x = (torch.arange(37, dtype=torch.float64) - 18.0) * 0.8
    y = (19.5 - torch.arange(40, dtype=torch.float64)) * 0.8
    squared = (x[None, :] - CENTRE_MM[0]) ** 2 + (y[:, None] - CENTRE_MM[1]) ** 2
    return PEAK_PER_MM * torch.exp(-squared / (2 * WIDTH_MM**2))[None]


def _blob_integral(distance_mm: Tensor) -> Tensor:
    """Its integral along a line that passes the centre at this distance:  PEAK WIDTH sqrt(2 pi) exp(-d^2 / (2 WIDTH^2))."""
    return PEAK_PER_MM * WIDTH_MM * math.sqrt(2 * math.pi) * torch.exp(-(distance_mm**2) / (2 * WIDTH_MM**2))


def _parallel_beam() -> Example:
    beam = ParallelBeam(GRID, angles_rad=arc(7, start_rad=0.1), bins=61, bin_mm=0.9)
    angle = torch.tensor(beam.angles_rad, dtype=torch.float64)[:, None]
    offset_mm = (torch.arange(61, dtype=torch.float64) - 30) * 0.9
    distance_mm = CENTRE_MM[0] * torch.cos(angle) + CENTRE_MM[1] * torch.sin(angle) - offset_mm
    return Example(beam, _blob(), _blob_integral(distance_mm)[None], tolerance=0.005)


def _fan_beam() -> Example:
    beam = FanBeam(GRID, arc(7, start_rad=0.1, length_rad=2 * math.pi), bins=71, bin_mm=1.3, source_mm=50.0, detector_mm=80.0)
    angle = torch.tensor(beam.angles_rad, dtype=torch.float64)[:, None]
    along_mm = (torch.arange(71, dtype=torch.float64) - 35) * 1.3
    across_mm = CENTRE_MM[0] * torch.cos(angle) + CENTRE_MM[1] * torch.sin(angle)
    depth_mm = 50.0 - CENTRE_MM[0] * torch.sin(angle) + CENTRE_MM[1] * torch.cos(angle)
    distance_mm = (across_mm * 80.0 - depth_mm * along_mm) / torch.sqrt(along_mm**2 + 80.0**2)
    return Example(beam, _blob(), _blob_integral(distance_mm)[None], tolerance=0.005)


def _cone_beam() -> Example:
    angles_rad = arc(3, start_rad=0.1, length_rad=2 * math.pi)
    beam = ConeBeam(Grid(28, 26, 1.0), 20, 1.0, angles_rad, panel_rows=13, bins=15, bin_mm=2.6, source_mm=50.0, detector_mm=80.0)
    centre_mm = torch.tensor([*CENTRE_MM, 0.9], dtype=torch.float64)
    z, y, x = ((torch.arange(size, dtype=torch.float64) - (size - 1) / 2) for size in (20, 28, 26))
    places_mm = torch.stack(torch.meshgrid(z, -y, x, indexing="ij")[::-1], dim=-1)
    blob = PEAK_PER_MM * torch.exp(-(places_mm - centre_mm).square().sum(dim=-1) / (2 * WIDTH_MM**2))
    t = torch.tensor(angles_rad, dtype=torch.float64)[None, :, None]
    v = ((torch.arange(13, dtype=torch.float64) - 6) * 2.6)[:, None, None]
    u = (torch.arange(15, dtype=torch.float64) - 7) * 2.6
    source = _points(50.0 * torch.sin(t), -50.0 * torch.cos(t), 0 * t)
    bins = _points(-30.0 * torch.sin(t) + u * torch.cos(t), 30.0 * torch.cos(t) + u * torch.sin(t), v + 0 * t * u)
    ray = (bins - source) / torch.linalg.vector_norm(bins - source, dim=-1, keepdim=True)
    distance_mm = torch.linalg.vector_norm(torch.linalg.cross((centre_mm - source).expand_as(ray), ray), dim=-1)
    return Example(beam, blob, _blob_integral(distance_mm), tolerance=0.02)


def _cone_beam_views() -> Example:
    whole = _cone_beam()
    return Example(whole.operator.subset((2, 0)), whole.x, whole.expected[:, [2, 0]], whole.tolerance)


def _points(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Points (..., 3) of coordinates that broadcast."""
    return torch.stack(torch.broadcast_tensors(x, y, z), dim=-1)


def _rows() -> Example:
    """The 4th, 0th and 5th of rows that hold their number, and their column over ten."""
    image = torch.arange(7, dtype=torch.float64)[:, None] + torch.arange(3, dtype=torch.float64) / 10
    expected = torch.tensor([[4.0, 4.1, 4.2], [0.0, 0.1, 0.2], [5.0, 5.1, 5.2]], dtype=torch.float64)
    return Example(Rows((1, 7, 3), -2, (4, 0, 5)), image[None], expected[None], tolerance=1e-12)


def _rows_of_a_beam() -> Example:
    whole = _parallel_beam()
    chosen = LinearOperator.subset(whole.operator, (4, 0, 5))
    return Example(chosen, whole.x, whole.expected[:, [4, 0, 5]], whole.tolerance)


def _composed() -> Example:
    whole = _parallel_beam()
    twice = LinearOperator.subset(whole.operator.subset((6, 2, 1)), (2, 0))
    return Example(twice, whole.x, whole.expected[:, [1, 6]], whole.tolerance)


def _stacked() -> Example:
    whole = _parallel_beam()
    parts = Stacked((whole.operator.subset((3, 1)), whole.operator.subset((5,))))
    return Example(parts, whole.x, whole.expected[:, [3, 1, 5]], whole.tolerance)


SLICE = (21, 24)
SHIFTS = (-2, 1)  # of the k-space of each coil, samples
GAINS = (0.6, 0.8j)
PLACE = (1.3, -2.2)  # of the object, pixels from the centre along rows and columns
SIZE = 1.9  # standard deviation of the object, pixels


def _object() -> Tensor:
    """exp(-|r - PLACE|^2 / (2 SIZE^2)) on the pixels of SLICE: (row, column)."""
    row, column = (torch.arange(size, dtype=torch.float64) - size // 2 for size in SLICE)
    squared = (row[:, None] - PLACE[0]) ** 2 + (column - PLACE[1]) ** 2
    return torch.exp(-squared / (2 * SIZE**2)).to(torch.complex128)


def _waves() -> Tensor:
    """Maps GAINS exp(2 pi i SHIFTS n' / N) along the columns: (coil, row, column); each moves k-space by whole samples."""
    column = (torch.arange(SLICE[1], dtype=torch.float64) - SLICE[1] // 2) / SLICE[1]
    waves = [gain * torch.exp(2j * math.pi * shift * column) for gain, shift in zip(GAINS, SHIFTS)]
    return torch.stack(waves)[:, None, :].expand(-1, SLICE[0], -1)


def _object_kspace(row_rad: Tensor, column_rad: Tensor) -> Tensor:
    """Its transform at points in rad per pixel:  2 pi SIZE^2 / sqrt(M N) exp(-SIZE^2 |k|^2 / 2 - i k PLACE)."""
    decay = torch.exp(-(SIZE**2) * (row_rad**2 + column_rad**2) / 2)
    turn = torch.exp(-1j * (row_rad * PLACE[0] + column_rad * PLACE[1]))
    return 2 * math.pi * SIZE**2 / math.sqrt(math.prod(SLICE)) * decay * turn


def _cartesian_mri() -> Example:
    mask = torch.from_numpy(uniform1d(SLICE, acceleration=2, calibration_lines=6, seed=0).mask)
    row, column = (torch.arange(size, dtype=torch.float64) - size // 2 for size in SLICE)
    row_rad = 2 * math.pi * row[:, None] / SLICE[0]
    coils = [gain * _object_kspace(row_rad, 2 * math.pi * (column - shift) / SLICE[1]) for gain, shift in zip(GAINS, SHIFTS)]
    return Example(CartesianMRI(mask, _waves()), _object(), mask * torch.stack(coils), tolerance=1e-5)


def _cartesian_mri_of_slices() -> Example:
    one = _cartesian_mri()
    stack = CartesianMRI(one.operator.mask, torch.stack([_waves(), _waves().flip(0)]))
    return Example(stack, torch.stack([one.x, 2j * one.x]), torch.stack([one.expected, 2j * one.expected.flip(0)]), one.tolerance)


def _cartesian_mri_lines() -> Example:
    whole = _cartesian_mri()
    return Example(whole.operator.subset((13, 2, 11)), whole.x, whole.expected[..., [13, 2, 11]], whole.tolerance)


def _noncartesian_mri() -> Example:
    spokes = radial(7, 20)
    shifts = torch.tensor(SHIFTS, dtype=torch.float64)[:, None, None] * 2 * math.pi / SLICE[1]
    gains = torch.tensor(GAINS, dtype=torch.complex128)[:, None, None]
    expected = gains * _object_kspace(spokes[..., 0], spokes[..., 1] - shifts)
    return Example(NonCartesianMRI(spokes, _waves()), _object(), expected, tolerance=1e-5)


SECTOR = PolarGrid(first_range_m=0.02, range_step_m=1.1e-3, ranges=14, first_angle_rad=-0.4, angle_step_rad=0.05, angles=13)
PICTURE = CartesianGrid(rows=23, columns=21, pixel_m=0.9e-3, left_m=-8e-3, top_m=0.015)


def _delay_and_sum() -> Example:
    """Channels that grow linearly with time, which interpolation reads exactly:  s_e(t) = (1 + e) + (0.3 - 0.2 i) t / us."""
    speed, element_x = 1540.0, [(e - 3.5) * 0.3e-3 for e in range(8)]
    recording = Channels(
        tuple(element_x), samples=200, sampling_hz=4e6, demodulation_hz=2.5e6, first_time_s=8e-6, sound_speed=speed
    )
    beams = DelayAndSum(
        SECTOR, recording, (PlaneWave(0.1), DivergingWave(1e-3, -8e-3), FocusedWave(2e-3, 0.03)), apodization="box"
    )
    slope = (0.3 - 0.2j) * 1e6
    t = 8e-6 + torch.arange(200, dtype=torch.float64) / 4e6
    lines = torch.stack([1 + e + slope * t for e in range(8)])
    r, angle = 0.02 + 1.1e-3 * torch.arange(14, dtype=torch.float64)[:, None], -0.4 + 0.05 * torch.arange(13, dtype=torch.float64)
    x, z = r * torch.sin(angle), r * torch.cos(angle)
    focus = math.sqrt(2e-3**2 + 0.03**2)
    side = torch.where((x - 2e-3) * 2e-3 + (z - 0.03) * 0.03 < 0, -1.0, 1.0)
    sent_m = (
        x * math.sin(0.1) + z * math.cos(0.1),
        torch.sqrt((x - 1e-3) ** 2 + (z + 8e-3) ** 2) - math.sqrt(1e-6 + 64e-6),
        focus + side * torch.sqrt((x - 2e-3) ** 2 + (z - 0.03) ** 2),
    )
    expected = torch.zeros(14, 13, dtype=torch.complex128)
    for sent in sent_m:
        for e, place in enumerate(element_x):
            tau = (sent + torch.sqrt((x - place) ** 2 + z**2)) / speed
            expected += (1 + e + slope * tau) * torch.exp(2j * math.pi * 2.5e6 * (tau - 2 * r / speed)) / 8
    return Example(beams, lines.expand(3, -1, -1).clone(), expected, tolerance=1e-8)


def _scan_conversion() -> Example:
    """A scan that is linear in range and angle:  1 + 30 r / m - 0.7 angle."""
    r, angle = 0.02 + 1.1e-3 * torch.arange(14, dtype=torch.float64)[:, None], -0.4 + 0.05 * torch.arange(13, dtype=torch.float64)
    z, x = 0.015 + 0.9e-3 * torch.arange(23, dtype=torch.float64)[:, None], -8e-3 + 0.9e-3 * torch.arange(21, dtype=torch.float64)
    distance, direction = torch.sqrt(x**2 + z**2), torch.atan(x / z)
    inside = (distance >= 0.02) & (distance <= 0.02 + 13 * 1.1e-3) & (direction.abs() <= 0.4) & (direction <= 0.2)
    expected = (1 + 30 * distance - 0.7 * direction) * inside
    return Example(ScanConversion(SECTOR, PICTURE), 1 + 30 * r - 0.7 * angle, expected, tolerance=1e-8)


def _sector_sampling() -> Example:
    """A picture that is linear in both directions:  1 + 30 x / m - 20 z / m."""
    r, angle = 0.02 + 1.1e-3 * torch.arange(14, dtype=torch.float64)[:, None], -0.4 + 0.05 * torch.arange(13, dtype=torch.float64)
    z, x = 0.015 + 0.9e-3 * torch.arange(23, dtype=torch.float64)[:, None], -8e-3 + 0.9e-3 * torch.arange(21, dtype=torch.float64)
    at_x, at_z = r * torch.sin(angle), r * torch.cos(angle)
    inside = (at_x >= -8e-3) & (at_x <= -8e-3 + 20 * 0.9e-3) & (at_z >= 0.015) & (at_z <= 0.015 + 22 * 0.9e-3)
    return Example(SectorSampling(PICTURE, SECTOR), 1 + 30 * x - 20 * z, (1 + 30 * at_x - 20 * at_z) * inside, tolerance=1e-8)
