"""Which samples of Cartesian k-space are measured: masks of the literature, from a seed, with the acceleration they reach."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

REACH = 15 / 128  # standard deviation of the lines of a Gaussian mask, in sizes of k-space (Chung 2023, released code)
SURPLUS = 1.2  # lines drawn per line wanted, since some fall on each other or outside
VARIANCE = 1.5 / 128  # of the samples of a 2-D Gaussian mask, in squared sizes of k-space
TOLERANCE = 0.1  # how far a Poisson-disc mask may be from the acceleration asked for


@dataclass(frozen=True, eq=False)
class Sampling:
    """A mask and what became of the acceleration that was asked for."""

    mask: np.ndarray  # (row, column) bool, the same in every row for masks of lines

    @property
    def acceleration(self) -> float:
        """Samples of k-space over measured samples."""
        return self.mask.size / int(self.mask.sum())


def uniform1d(shape: tuple[int, int], *, acceleration: float, calibration_lines: int, seed: int) -> Sampling:
    """Exactly round(N / acceleration) distinct lines: a central block, the others at random outside it.

    shape               (row, column) of k-space; the N columns are lines
    acceleration        N over number of lines, at least 1
    calibration_lines   width of the central block
    seed                of the random lines

    ValueError for an acceleration below 1 or a block that is wider than all lines that may be measured.
    """
    columns = _check(shape, acceleration, calibration_lines)
    count = round(columns / acceleration)
    lines = _central(columns, calibration_lines)
    if calibration_lines > count or count == 0:
        raise ValueError(
            f"found {calibration_lines} calibration lines of {count} lines at acceleration {acceleration:g}, expected no more "
            f"than all and at least one line. Lower the acceleration or the number of calibration lines."
        )
    others = np.flatnonzero(~lines)
    lines[np.random.default_rng(seed).choice(others, count - calibration_lines, replace=False)] = True
    return _of_lines(lines, shape)


def uniform1d_dds(shape: tuple[int, int], *, acceleration: float, centre_fraction: float, seed: int) -> Sampling:
    """Lines as the released code of DDS draws them: with replacement over the whole axis, so fewer than asked. For replay only.

    floor(N centre_fraction) central lines, and floor(N / acceleration) minus as many draws.
    """
    columns = _check(shape, acceleration, math.floor(shape[1] * centre_fraction))
    width = math.floor(columns * centre_fraction)
    lines = _central(columns, width)
    lines[np.random.default_rng(seed).integers(columns, size=max(math.floor(columns / acceleration) - width, 0))] = True
    return _of_lines(lines, shape)


def random_fastmri(shape: tuple[int, int], *, acceleration: float, centre_fraction: float, seed: int) -> Sampling:
    """Each line outside the centre by a coin, so that N / acceleration are expected (Zbontar 2018).

    Probability  (N / acceleration - n) / (N - n)  with  n = round(N centre_fraction)  central lines. Usual pairs of acceleration
    and centre_fraction: (4, 0.08) and (8, 0.04).
    """
    columns, lines, width = _fastmri_centre(shape, acceleration, centre_fraction)
    probability = (columns / acceleration - width) / (columns - width) if width < columns else 1.0
    lines |= np.random.default_rng(seed).uniform(size=columns) < probability
    return _of_lines(lines, shape)


def equispaced_fastmri(shape: tuple[int, int], *, acceleration: float, centre_fraction: float, seed: int) -> Sampling:
    """Equally spaced lines from a random first one, the centre besides; the spacing makes up for the centre (Zbontar 2018).

    Spacing  acceleration (n - N) / (n acceleration - N)  with  n = round(N centre_fraction)  central lines.
    """
    columns, lines, width = _fastmri_centre(shape, acceleration, centre_fraction)
    if width * acceleration >= columns:
        raise ValueError(
            f"found {width} central lines of {columns} at acceleration {acceleration:g}, expected less than "
            f"{columns / acceleration:g}: they alone are all lines. Lower centre_fraction or the acceleration."
        )
    spacing = acceleration * (width - columns) / (width * acceleration - columns)
    first = np.random.default_rng(seed).integers(max(round(spacing), 1))
    lines[np.around(np.arange(first, columns - 1, spacing)).astype(int)] = True
    return _of_lines(lines, shape)


def gaussian1d(shape: tuple[int, int], *, acceleration: float, calibration_lines: int, seed: int) -> Sampling:
    """Lines from a normal distribution of standard deviation 15 N / 128 around the centre, 1.2 N / acceleration draws."""
    columns = _check(shape, acceleration, calibration_lines)
    lines = _central(columns, calibration_lines)
    draws = np.random.default_rng(seed).normal(columns / 2, columns * REACH, size=int(SURPLUS * columns / acceleration))
    lines[_inside(draws, columns)] = True
    return _of_lines(lines, shape)


def gaussian2d(shape: tuple[int, int], *, acceleration: float, calibration_lines: int, seed: int) -> Sampling:
    """Samples from a normal distribution of variance 1.5 N^2 / 128 along each axis, size / acceleration draws, and the centre."""
    _check(shape, acceleration, calibration_lines)
    mask = _central_square(shape, calibration_lines)
    sizes = np.array(shape)
    count = int(mask.size / acceleration)
    draws = np.floor(np.random.default_rng(seed).normal(sizes / 2, sizes * math.sqrt(VARIANCE), size=(count, 2))).astype(int)
    inside = ((draws >= 0) & (draws < sizes)).all(axis=1)
    mask[tuple(draws[inside].T)] = True
    return Sampling(mask)


def vd_poisson(shape: tuple[int, int], *, acceleration: float, calibration_lines: int, seed: int) -> Sampling:
    """Poisson-disc samples, denser towards a measured central square, within 0.1 of the acceleration (Bridson 2007, sigpy).

    ValueError where no density reaches the acceleration.
    """
    from sigpy.mri import poisson  # compiles on import

    _check(shape, acceleration, calibration_lines)
    try:
        mask = poisson(shape, acceleration, calib=(calibration_lines,) * 2, dtype=bool, seed=seed, tol=TOLERANCE)
    except ValueError as error:
        raise ValueError(
            f"Poisson-disc mask of {shape[0]} x {shape[1]}: found none of acceleration {acceleration:g}, expected one within "
            f"{TOLERANCE:g} above 1. Ask for another acceleration or fewer calibration lines."
        ) from error
    return Sampling(mask | _central_square(shape, calibration_lines))


MASKS: dict[str, Callable[..., Sampling]] = {
    "uniform": uniform1d,
    "uniform-dds": uniform1d_dds,
    "random": random_fastmri,
    "equispaced": equispaced_fastmri,
    "gaussian": gaussian1d,
    "gaussian2d": gaussian2d,
    "poisson": vd_poisson,
}


def calibration_width(mask: np.ndarray) -> int:
    """Edge of the largest central square of k-space that is measured throughout; 0 where the centre is missing.

    Of a mask of lines it is the number of central lines, as far as there are rows. The centre of N samples is N // 2.
    """
    width = 0
    while width < min(mask.shape) and mask[_central_square(mask.shape, width + 1)].all():
        width += 1
    return width


def _fastmri_centre(shape: tuple[int, int], acceleration: float, centre_fraction: float) -> tuple[int, np.ndarray, int]:
    """Number of lines, the central block where fastMRI puts it, and its width."""
    width = round(shape[1] * centre_fraction)
    columns = _check(shape, acceleration, width)
    first = (columns - width + 1) // 2
    lines = np.zeros(columns, dtype=bool)
    lines[first : first + width] = True
    return columns, lines, width


def _central(size: int, width: int) -> np.ndarray:
    lines = np.zeros(size, dtype=bool)
    first = size // 2 - width // 2
    lines[first : first + width] = True
    return lines


def _central_square(shape: tuple[int, int], width: int) -> np.ndarray:
    return _central(shape[0], min(width, shape[0]))[:, None] & _central(shape[1], min(width, shape[1]))[None, :]


def _inside(draws: np.ndarray, size: int) -> np.ndarray:
    places = np.floor(draws).astype(int)
    return places[(places >= 0) & (places < size)]


def _of_lines(lines: np.ndarray, shape: tuple[int, int]) -> Sampling:
    return Sampling(np.tile(lines, (shape[0], 1)))


def _check(shape: tuple[int, int], acceleration: float, width: int) -> int:
    """The number of lines. ValueError for sizes, an acceleration or a width of the centre that cannot be."""
    if min(shape) < 1 or not 1 <= acceleration < math.inf or not 0 <= width <= shape[1]:
        raise ValueError(
            f"found shape {tuple(shape)}, acceleration {acceleration:g} and {width} central lines, expected at least one sample, "
            f"an acceleration of 1 or more and from 0 to {shape[1]} lines. Acceleration is all samples over measured ones."
        )
    return shape[1]
