"""The families of generated echocardiograms: what differs between them, and how each patient is drawn."""

from dataclasses import dataclass

from numpy.random import Generator

from physics.ultrasound.haze import HazeStyle, Wall

Interval = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """A scanner and the haze of its patients; intervals are drawn from uniformly."""

    centre_hz: float = 2.5e6
    relative_bandwidth: float = 0.6  # amplitude, full width at half maximum
    sector_rad: float = 1.309  # 75 degrees
    aperture_m: float = 19.2e-3  # 64 elements at a pitch of 0.3 mm
    attenuation_db_cm_mhz: float = 0.5
    density: float = 1.0  # share of scatterers that are there
    has_side_lobes: bool = False
    noise_db: float = -55.0  # of electronics, relative to myocardium, mid-depth
    noise_growth_db: float = 12.0  # from the first to the last sample, by compensation of gain
    walls: int = 1  # that reverberate
    curvature: Interval = (0.0, 0.0)  # of the layers, 1/rad^2
    beam_factor: Interval = (1.8, 3.5)
    band_factor: Interval = (1.2, 1.8)
    sinking: Interval = (0.04, 0.14)
    htr_db: Interval = (-22.0, -6.0)  # haze in the ventricle's blood to tissue in the myocardium


FAMILIES = {
    "g1": Family(),
    "g2": Family(
        centre_hz=2.0e6,
        sector_rad=1.5708,
        attenuation_db_cm_mhz=0.7,
        density=0.1,
        has_side_lobes=True,
        walls=2,
        curvature=(0.1, 0.4),
    ),
    "g3": Family(walls=2, curvature=(0.1, 0.4), beam_factor=(1.1, 1.6), band_factor=(1.0, 1.2), sinking=(0.0, 0.04)),
}


def draw_style(family: Family, rng: Generator) -> HazeStyle:
    """The haze of a random patient."""
    return HazeStyle(
        beam_factor=rng.uniform(*family.beam_factor),
        band_factor=rng.uniform(*family.band_factor),
        sinking=rng.uniform(*family.sinking),
        walls=tuple(_draw_wall(family, rng) for _ in range(family.walls)),
        onset_m=rng.uniform(17e-3, 25e-3),
        floor=rng.uniform(0.1, 0.35),
        decay_m=rng.uniform(25e-3, 70e-3),
        cloud_db=rng.uniform(1, 5),
        renewal=rng.uniform(0.02, 0.15),
        drift_m=rng.uniform(-0.2e-3, 0.2e-3),
    )


def _draw_wall(family: Family, rng: Generator) -> Wall:
    return Wall(
        spacing_m=rng.uniform(6e-3, 14e-3),
        thickness_m=rng.uniform(4e-3, 8e-3),
        reflection=rng.uniform(0.35, 0.65),
        tilt=rng.uniform(-0.08, 0.08),
        curvature=rng.uniform(*family.curvature),
        weight=rng.uniform(0.4, 1.0),
    )
