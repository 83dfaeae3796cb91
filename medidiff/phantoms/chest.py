"""A digital chest CT of known truth: the same patient on any grid, so that simulation can be finer than reconstruction."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from medidiff.phantoms.chest_anatomy import AIR_HU, Frame, Part, draw_parts
from medidiff.phantoms.chest_settings import ChestPhantom
from medidiff.phantoms.identity import random_stream
from medidiff.phantoms.shapes import Ball, Points, coverage, window
from physics.ct.grid import centred

TEXTURE_WAVES = 10
TEXTURE_MM = (16.0, 90.0)  # shortest and longest wave of the texture
DEEP_MM = 16.0  # least distance of a lesion's middle from the border of a lung


@dataclass(frozen=True, eq=False)
class Lesion:
    """A nodule that was put there."""

    solid: Ball
    hu: float


@dataclass(frozen=True, eq=False)
class Texture:
    """A smooth random field of unit variance:  sqrt(2/n) Σ cos(k · r + phase)."""

    waves_per_mm: np.ndarray  # (n, 3) k, rad/mm
    phases: np.ndarray  # (n,)

    def __call__(self, points: Points) -> np.ndarray:
        x, y, z = (np.exp(1j * np.outer(p.ravel(), k)).astype(np.complex64) for p, k in zip(points, self.waves_per_mm.T))
        plane = (y[:, None] * x[None]).reshape(-1, len(self.phases))
        field = (z * np.exp(1j * self.phases).astype(np.complex64)) @ plane.T
        return np.sqrt(2 / len(self.phases)).astype(np.float32) * field.real.reshape(len(z), len(y), len(x))


@dataclass(frozen=True, eq=False)
class Chest:
    """A patient as a function of position. Volumes are (slice, row, column): up (+z), to the front (+y), to the right (+x)."""

    settings: ChestPhantom
    parts: tuple[Part, ...]  # outermost first
    texture: Texture
    lesions: tuple[Lesion, ...]

    def hounsfield(self, fineness: int = 1) -> np.ndarray:
        """CT numbers (slice, row, column) float32 HU without noise.

        fineness   n: n times finer along every axis, on the same field of view, so that the mean of each n x n x n block stands
                   for one voxel of the plain grid

        A border is a ramp as wide as a pixel of the grid in question.
        """
        points, edge = self._points(fineness), self.settings.pixel_mm / fineness
        texture = self.texture(points)
        values = np.full(texture.shape, AIR_HU, np.float32)
        for part in (*self.parts, *(Part(lesion.solid, lesion.hu) for lesion in self.lesions)):
            _paint(values, part, points, texture, edge)
        return values

    def lesion_mask(self, index: int, fineness: int = 1) -> np.ndarray:
        """Voxels (slice, row, column) bool whose middle lies in lesion `index`."""
        return self.lesions[index].solid.distance(self._points(fineness)) < 0

    def without_lesions(self) -> "Chest":
        """The same patient before the lesions came."""
        return replace(self, lesions=())

    def affine(self) -> np.ndarray:
        """(4, 4) from (column, row, slice) to RAS mm: what `hounsfield().transpose(2, 1, 0)` needs."""
        s = self.settings
        spacing = np.array([s.pixel_mm, s.pixel_mm, s.slice_mm])
        middle = (np.array([s.columns, s.rows, s.slices]) - 1) / 2
        matrix = np.diag([*spacing, 1.0])
        matrix[:3, 3] = -middle * spacing
        return matrix

    def _points(self, fineness: int) -> Points:
        s = self.settings
        counts, steps = (s.columns, s.rows, s.slices), (s.pixel_mm, s.pixel_mm, s.slice_mm)
        x, y, z = (centred(n * fineness, d / fineness).astype(np.float32) for n, d in zip(counts, steps))
        return x[None, None, :], y[None, :, None], z[:, None, None]


def make_chest(settings: ChestPhantom) -> Chest:
    """The random patient of a seed, and its lesions at random places in the lungs."""
    parts, frame = draw_parts(random_stream(settings.seed, "chest"))
    chest = Chest(settings, parts, _draw_texture(random_stream(settings.seed, "texture")), ())
    lesions = _draw_lesions(chest, frame, settings.lesions, random_stream(settings.seed, "lesions"))
    return replace(chest, lesions=lesions)


def make_chests(seeds: Iterable[int], settings: ChestPhantom | None = None) -> np.ndarray:
    """CT numbers (seed, slice, row, column) float32 HU of many patients on one grid."""
    settings = settings or ChestPhantom()
    return np.stack([make_chest(settings.model_copy(update={"seed": seed})).hounsfield() for seed in seeds])


def _paint(values: np.ndarray, part: Part, points: Points, texture: np.ndarray, edge_mm: float) -> None:
    edge = max(edge_mm, part.soft_mm)
    place = window(points, part.shape, edge)
    if place is None:
        return
    z, y, x = place
    near = points[0][:, :, x], points[1][:, y], points[2][z]
    weight = np.float32(part.share) * coverage(part.shape, near, edge)
    hu = np.float32(part.hu) + np.float32(part.texture_hu) * texture[place] - np.float32(part.back_hu / 100) * near[1]
    values[place] += weight * (np.maximum(hu, np.float32(AIR_HU)) - values[place])


def _draw_texture(generator: Generator) -> Texture:
    directions = generator.normal(size=(TEXTURE_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.exp(generator.uniform(*np.log(TEXTURE_MM), TEXTURE_WAVES))
    return Texture(2 * np.pi * directions / lengths[:, None], generator.uniform(0, 2 * np.pi, TEXTURE_WAVES))


def _draw_lesions(chest: Chest, frame: Frame, count: int, generator: Generator) -> tuple[Lesion, ...]:
    """Nodules of 8 to 15 mm radius where the chest is lung, none touching another."""
    points = chest._points(1)
    depth = np.minimum(*(lung.distance(points) for lung in frame.lungs))
    candidates = np.argwhere((depth < -DEEP_MM) & (chest.hounsfield() < -600))
    found: list[Lesion] = []
    for row in generator.permutation(len(candidates)):
        if len(found) == count:
            break
        s, r, c = candidates[row]
        centre = np.array([points[0][0, 0, c], points[1][0, r, 0], points[2][s, 0, 0]], float) + generator.uniform(-2, 2, 3)
        radii = generator.uniform(8, 15) * generator.uniform(0.85, 1.15, 3)
        if all(np.linalg.norm(centre - other.solid.centre) > radii.max() + other.solid.radii.max() + 6 for other in found):
            found.append(Lesion(Ball(centre, radii, np.eye(3)), float(generator.uniform(0, 70))))
    return tuple(found)
