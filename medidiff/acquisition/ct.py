"""Simulated CT: line integrals of a fine object through bins of finite width, with the noise of counted photons."""

import math

import numpy as np
import torch

from medidiff.acquisition.settings import CtAcquisition, ScanSettings
from medidiff.acquisition.source import FINE, coarse, coarse_affine
from medidiff.io.measurement import Projections
from medidiff.io.volume import Volume
from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, arc
from physics.ct.noise import count_photons, line_integrals, whitening_weights
from physics.ct.parallel import ParallelBeam
from physics.ct.simulation import measure_finely

RAYS_PER_BIN = 4


def measure_ct(fine: Volume, scan: ScanSettings) -> tuple[Projections, Volume]:
    """The measurement of an object, and the object itself in HU on the grid to reconstruct.

    fine      (2 columns, 2 rows, slices)   HU; below air it is air
    scan      with its acquisition `ct`

    Nothing inverts its own discretisation: the object has pixels half as large as the grid, and each bin is the mean
    transmission of several rays. Raises ValueError where source or detector of a fan lie inside the pixels.
    """
    fine = fine.with_array(np.maximum(fine.array, -1000.0).astype(np.float32))
    beam = _beam(scan)
    per_mm = torch.from_numpy(scan.ct.water_per_mm * (1 + fine.array.transpose(2, 1, 0) / 1000))
    clean = measure_finely(per_mm[:, None], beam, fine=FINE, rays_per_bin=RAYS_PER_BIN)
    values, weights = _with_noise(clean, scan.ct, scan.seed)
    measurement = Projections(
        values[:, 0].numpy().astype(np.float32),
        _geometry(beam),
        coarse_affine(fine.affine),
        None if weights is None else weights[:, 0].numpy().astype(np.float32),
        scan.ct.water_per_mm,
        _provenance(scan),
    )
    return measurement, coarse(fine)


def _beam(scan: ScanSettings) -> ParallelBeam | FanBeam:
    ct, grid = scan.ct, Grid(scan.matrix, scan.matrix, scan.pixel_mm)
    angles = arc(ct.views, start_rad=math.radians(ct.start_deg), length_rad=math.radians(ct.arc_deg))
    if ct.beam == "parallel":
        bin_mm = ct.bin_mm or scan.pixel_mm
        return ParallelBeam(grid, angles, ct.bins or _bins(2 * grid.radius_mm, bin_mm), bin_mm)
    bin_mm = ct.bin_mm or scan.pixel_mm * ct.detector_mm / ct.source_mm
    # the outermost ray touches the circle around the pixels
    tangent = grid.radius_mm / math.sqrt(max(ct.source_mm**2 - grid.radius_mm**2, 1e-9))
    bins = ct.bins or _bins(2 * ct.detector_mm * tangent, bin_mm)
    return FanBeam(grid, angles, bins, bin_mm, ct.source_mm, ct.detector_mm)


def _bins(width_mm: float, bin_mm: float) -> int:
    return math.ceil(width_mm / bin_mm) + 1


def _with_noise(clean: torch.Tensor, ct: CtAcquisition, seed: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Line integrals and their weights; no weights without noise."""
    if not ct.photons:
        return clean, None
    generator = torch.Generator().manual_seed(seed)
    counts = count_photons(clean, photons=ct.photons, generator=generator, electronic_std=ct.electronic_std)
    weights = whitening_weights(counts, electronic_std=ct.electronic_std)
    return line_integrals(counts, photons=ct.photons), weights


def _geometry(beam: ParallelBeam | FanBeam) -> dict:
    grid = beam.grid
    geometry = {"rows": grid.rows, "columns": grid.columns, "pixel_mm": grid.pixel_mm, "angles_rad": list(beam.angles_rad)}
    geometry |= {"bins": beam.bins, "bin_mm": beam.bin_mm}
    if isinstance(beam, ParallelBeam):
        return {"beam": "parallel", **geometry}
    return {"beam": "fan", **geometry, "source_mm": beam.source_mm, "detector_mm": beam.detector_mm}


def _provenance(scan: ScanSettings) -> dict:
    return {
        "simulated": True,
        "inverse_crime": False,
        "fine_pixels_per_edge": FINE,
        "rays_per_bin": RAYS_PER_BIN,
        "source": scan.source if not scan.dataset else f"{scan.dataset}: {scan.source}",
        "photons": scan.ct.photons,
        "electronic_std": scan.ct.electronic_std,
        "seed": scan.seed,
    }
