"""A digital PET/CT patient on its scanner's grids, with the truth that made it."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from medidiff.io.volume import Grid, Volume
from medidiff.phantoms.anatomy import Anatomy, draw_anatomy
from medidiff.phantoms.identity import random_stream
from medidiff.phantoms.readers import draw_outlines, median_outline, outline_probability
from medidiff.phantoms.settings import PetCtPhantom

CT_NOISE_HU = 15.0
COUNTS_PER_SUV = {"easy": 80.0, "default": 40.0, "hard": 20.0}  # expected counts of a PET voxel of SUV 1
HU_RANGE = (-1024, 3071)  # 12 bits, as CT scanners store it


@dataclass(frozen=True, eq=False)
class Patient:
    """What the scanner saw and what is true; volumes lie on the CT or the PET grid, LPS order of voxels."""

    settings: PetCtPhantom
    anatomy: Anatomy  # continuous truth: `hounsfield`, `uptake` and the lesions
    ct: Volume  # HU, float32
    pet: Volume  # SUV by body weight, float32
    truth_ct: Volume  # labels of the median reader, uint8: 1 GTVp, 2 GTVn
    truth_pet: Volume  # the same on the PET grid
    probability: Volume  # exact P(a reader calls the voxel tumour), PET grid, float32
    annotations: tuple[Volume, ...]  # labels by each reader, PET grid, uint8


def make_patient(settings: PetCtPhantom) -> Patient:
    """The digital patient that the settings describe; the same settings make the same patient, bit for bit."""
    anatomy = draw_anatomy(
        settings.difficulty, primaries=settings.primaries, nodes=settings.nodes, generator=random_stream(settings.seed, "anatomy")
    )
    ct_grid, pet_grid = scanner_grids(settings, anatomy.centre, generator=random_stream(settings.seed, "table"))
    ct_points, pet_points = grid_points(ct_grid), grid_points(pet_grid)
    hu, suv = anatomy.hounsfield(ct_points), anatomy.uptake(pet_points)
    if settings.noise:
        hu = hu + CT_NOISE_HU * random_stream(settings.seed, "ct noise").standard_normal(hu.shape, dtype=np.float32)
        counts = COUNTS_PER_SUV[settings.difficulty]
        suv = (random_stream(settings.seed, "pet noise").poisson(suv * counts) / counts).astype(np.float32)
    outlines = draw_outlines(
        anatomy.lesions, pet_points, count=settings.annotators, generator=random_stream(settings.seed, "readers")
    )
    return Patient(
        settings,
        anatomy,
        ct=_volume(np.clip(hu, *HU_RANGE), ct_grid),
        pet=_volume(suv, pet_grid),
        truth_ct=_volume(median_outline(anatomy.lesions, ct_points), ct_grid),
        truth_pet=_volume(median_outline(anatomy.lesions, pet_points), pet_grid),
        probability=_volume(outline_probability(anatomy.lesions, pet_points).astype(np.float32), pet_grid),
        annotations=tuple(_volume(labels, pet_grid) for labels in outlines),
    )


def scanner_grids(settings: PetCtPhantom, centre: np.ndarray, *, generator: np.random.Generator) -> tuple[Grid, Grid]:
    """The CT and the PET grid around the middle of the neck, the PET shifted by up to 2 mm; index i runs to the left,
    j to the back, k upwards, all turned by `turn_deg`; the CT's slices lean by `tilt_deg` while k still runs straight up."""
    turn = Rotation.from_euler("xyz", settings.turn_deg, degrees=True).as_matrix()
    upright = np.diag([-1.0, -1.0, 1.0])
    tilt = np.deg2rad(settings.tilt_deg)
    leaning = upright.copy()
    leaning[:, 1] = [0, -np.cos(tilt), np.sin(tilt)]
    shift = generator.uniform(-2, 2, size=3)
    ct_shape = (settings.ct_matrix, settings.ct_matrix, settings.ct_slices)
    pet_shape = (settings.pet_matrix, settings.pet_matrix, settings.pet_slices)
    ct = _centred_grid(ct_shape, turn @ leaning * settings.ct_spacing_mm, centre)
    return ct, _centred_grid(pet_shape, turn @ upright * settings.pet_spacing_mm, centre + shift)


def grid_points(grid: Grid) -> np.ndarray:
    """RAS millimetres (n, 3) of all voxel centres, k fastest."""
    i, j, k = (grid.affine[:3, axis] * np.arange(n)[:, None] for axis, n in enumerate(grid.shape))
    return (i[:, None, None] + j[None, :, None] + k[None, None, :] + grid.affine[:3, 3]).reshape(-1, 3)


def _centred_grid(shape: tuple[int, int, int], columns: np.ndarray, centre: np.ndarray) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = centre - columns @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def _volume(values: np.ndarray, grid: Grid) -> Volume:
    return Volume(values.reshape(grid.shape), grid.affine)
