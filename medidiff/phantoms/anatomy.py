"""A random neck: body, bone, airway, healthy uptake that mimics tumours, and tumours with known annotation odds."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation
from scipy.special import expit

from medidiff.phantoms.solids import Ellipsoid, blurred_ball, paint, sharp_edge

AIR_HU, SOFT_HU, BONE_HU, TUMOUR_HU = -1000.0, 40.0, 700.0, 70.0
CT_EDGE_MM = 0.4  # width of the logistic step of a CT edge
PET_SIGMA_MM = 5.0 / np.sqrt(8 * np.log(2))  # point spread of 5 mm full width at half maximum
BACKGROUND_SUV = 0.9
GREY_SUV, GREY_WIDTH = 3.5, 0.5  # a node at GREY_SUV is called tumour by half of the readers
LABELS = {"GTVp": 1, "GTVn": 2}


@dataclass(frozen=True)
class Contrast:
    """What a difficulty means; uptakes are SUV ranges."""

    tumour_suv: tuple[float, float]  # within 4 to 12
    healthy_suv: tuple[float, float]  # tonsils and glands: hot in PET, invisible in CT
    brain_suv: float
    grey_odds: float  # probability that the last node lies in the grey band
    node_radius_mm: tuple[float, float]


CONTRASTS = {
    "easy": Contrast(tumour_suv=(9, 12), healthy_suv=(1.5, 2.2), brain_suv=1.8, grey_odds=0.0, node_radius_mm=(8, 11)),
    "default": Contrast(tumour_suv=(5, 12), healthy_suv=(2.5, 5), brain_suv=7.0, grey_odds=0.5, node_radius_mm=(6, 11)),
    "hard": Contrast(tumour_suv=(4, 9), healthy_suv=(4, 9), brain_suv=9.0, grey_odds=1.0, node_radius_mm=(5, 9)),
}


@dataclass(frozen=True, eq=False)
class Lesion:
    """A tumour, and the share of readers who call it one."""

    label: str  # GTVp or GTVn
    solid: Ellipsoid
    probability: float  # logistic((SUV - 3.5) / 0.5) in the grey band, else 1


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Everything that is in the patient, outermost first; positions are RAS millimetres."""

    healthy: tuple[Ellipsoid, ...]
    lesions: tuple[Lesion, ...]
    centre: np.ndarray  # (3,) middle of the neck in scanner coordinates

    def hounsfield(self, points: np.ndarray) -> np.ndarray:
        """CT numbers (n,) HU without noise at RAS points (n, 3) mm."""
        layers = [(solid, solid.hu) for solid in self._solids() if solid.hu is not None]
        edge = lambda fraction, solid: sharp_edge(fraction, radius_mm=solid.mean_radius_mm, width_mm=CT_EDGE_MM)
        return paint(points, layers, start=AIR_HU, edge=edge, reach_mm=20 * CT_EDGE_MM)

    def uptake(self, points: np.ndarray) -> np.ndarray:
        """SUV (n,) without noise, after the point spread, at RAS points (n, 3) mm."""
        layers = [(solid, solid.suv) for solid in self._solids() if solid.suv is not None]
        edge = lambda fraction, solid: blurred_ball(fraction, radius_mm=solid.mean_radius_mm, sigma_mm=PET_SIGMA_MM)
        return np.maximum(paint(points, layers, start=0.0, edge=edge, reach_mm=6 * PET_SIGMA_MM), 0)

    def _solids(self) -> tuple[Ellipsoid, ...]:
        return (*self.healthy, *(lesion.solid for lesion in self.lesions))


def draw_anatomy(difficulty: str, *, primaries: tuple[int, int], nodes: tuple[int, int], generator: Generator) -> Anatomy:
    """A random patient.

    difficulty   easy, default or hard
    primaries    fewest and most GTVp
    nodes        fewest and most GTVn; they lie apart from each other and from the primary
    generator    numpy Generator; the same state draws the same patient
    """
    contrast = CONTRASTS[difficulty]
    centre = generator.uniform([-8, -40, -700], [8, 40, 300])
    size = generator.uniform(0.92, 1.08)
    healthy = _healthy(contrast, centre=centre, size=size, generator=generator)
    lesions = []
    if generator.integers(primaries[0], primaries[1], endpoint=True):
        lesions.append(_primary(contrast, centre=centre, size=size, generator=generator))
    count = generator.integers(nodes[0], nodes[1], endpoint=True)
    grey = generator.random() < contrast.grey_odds
    for index, place in enumerate(_node_places(generator)[:count]):
        lesions.append(_node(contrast, centre=centre + size * place, is_grey=grey and index == count - 1, generator=generator))
    return Anatomy(healthy, tuple(lesions), centre)


def _healthy(contrast: Contrast, *, centre: np.ndarray, size: float, generator: Generator) -> tuple[Ellipsoid, ...]:
    def solid(place, radii, hu, suv):
        return Ellipsoid(centre + size * np.array(place, float), size * np.array(radii, float), np.eye(3), hu, suv)

    tonsil, gland = generator.uniform(*contrast.healthy_suv, size=2)
    apart = generator.uniform(-2, 2, size=2)
    body = solid((0, 0, 0), (62, 74, np.inf), SOFT_HU, BACKGROUND_SUV)
    brain = solid((0, 0, 108), (58, 68, 60), SOFT_HU, contrast.brain_suv)
    jaw = solid((0, 34, 8), (34, 26, 9), BONE_HU, None)
    mouth = solid((0, 28, 8), (27, 24, 14), SOFT_HU, None)
    spine = solid((0, -34, 0), (13, 12, np.inf), BONE_HU, BACKGROUND_SUV * 1.4)
    airway = solid((0, 4, -20), (9, 7, 52), AIR_HU, 0.1)
    pairs = [
        solid((side * x, y, z), radii, None, suv)
        for x, y, z, radii, suv in ((19 + apart[0], 10, 14, (5, 6, 8), tonsil), (40 + apart[1], 8, -6, (7, 9, 11), gland))
        for side in (-1, 1)
    ]
    return body, brain, jaw, mouth, spine, airway, *pairs


def _primary(contrast: Contrast, *, centre: np.ndarray, size: float, generator: Generator) -> Lesion:
    place = np.array(
        [generator.choice([-1, 1]) * generator.uniform(18, 24), generator.uniform(14, 22), generator.uniform(-14, 2)]
    )
    radii = generator.uniform(9, 15, size=3)
    axes = Rotation.random(None, generator).as_matrix()
    return Lesion("GTVp", Ellipsoid(centre + size * place, radii, axes, TUMOUR_HU, generator.uniform(*contrast.tumour_suv)), 1.0)


def _node_places(generator: Generator) -> np.ndarray:
    # six stations of the neck, 24 mm or more apart and clear of the primary; shuffled
    stations = np.array([[side * x, y, z] for side in (-1, 1) for x, y, z in ((44, -14, 24), (46, -20, -12), (36, -24, -46))])
    return generator.permutation(stations + generator.uniform(-2, 2, size=stations.shape))


def _node(contrast: Contrast, *, centre: np.ndarray, is_grey: bool, generator: Generator) -> Lesion:
    radii = generator.uniform(*contrast.node_radius_mm) * generator.uniform(0.85, 1.15, size=3)
    axes = Rotation.random(None, generator).as_matrix()
    certain_suv, grey_suv = generator.uniform(*contrast.tumour_suv), generator.uniform(GREY_SUV - 1, GREY_SUV + 1)
    suv = grey_suv if is_grey else certain_suv
    probability = float(expit((suv - GREY_SUV) / GREY_WIDTH)) if is_grey else 1.0
    return Lesion("GTVn", Ellipsoid(centre, radii, axes, TUMOUR_HU, suv), probability)
