"""The PET scan around a digital patient: injection, bed positions, clock, and what decay leaves of the activity."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from medidiff.phantoms.identity import Study, random_stream
from medidiff.phantoms.settings import PetCtPhantom

HALF_LIFE_S = 6586.2  # F-18
FRAME_S = 150.0
MOVE_S = 3.5  # between two bed positions
SLICES_PER_BED = 12


@dataclass(frozen=True)
class Scan:
    """One injection and one pass over the bed positions, from below upwards."""

    study: Study
    dose_bq: float  # at the time of injection
    injected: datetime
    reference: datetime  # to which decay correction START refers
    first_frame: datetime

    def frame_start(self, k: int) -> datetime:
        """When the bed position of slice k began."""
        return self.first_frame + timedelta(seconds=(k // SLICES_PER_BED) * (FRAME_S + MOVE_S))

    def seconds_after_injection(self, moment: datetime) -> float:
        """Seconds, to the microsecond."""
        return (moment - self.injected).total_seconds()


def draw_scan(settings: PetCtPhantom, *, lag_s: float) -> Scan:
    """A plausible scan: 3 to 5 MBq/kg, 55 to 75 minutes of uptake; numbers are drawn as the header can hold them.

    lag_s   seconds from the reference time to the first frame
    """
    draw = random_stream(settings.seed, "scan")
    weight = round(draw.uniform(48, 110), 1)
    dose = round(weight * draw.uniform(3e6, 5e6))
    day = datetime(2001, 1, 1) + timedelta(days=int(draw.integers(3650)))
    minutes = 23 * 60 + 20 + draw.uniform(0, 15) if settings.crosses_midnight else draw.uniform(9 * 60, 14 * 60)
    injected = day + timedelta(seconds=round(minutes * 60))
    reference = injected + timedelta(seconds=round(draw.uniform(55, 75) * 60))
    sex = str(draw.choice(["F", "M"]))
    study = Study(f"petct/{settings.model_dump_json()}", injected, weight, round(draw.uniform(1.5, 1.95), 2), sex)
    return Scan(study, dose, injected, reference, reference + timedelta(seconds=lag_s))


def decay_constant() -> float:
    """λ = ln 2 / half-life, 1/s."""
    return float(np.log(2) / HALF_LIFE_S)


def mean_activity_factor() -> float:
    """Mean activity during a frame over activity at its start: (1 - exp(-λT)) / λT."""
    exponent = decay_constant() * FRAME_S
    return float(-np.expm1(-exponent) / exponent)


def mean_activity_delay_s() -> float:
    """Seconds after a frame's start at which the activity equals its mean over the frame: -ln(mean_activity_factor) / λ."""
    return float(-np.log(mean_activity_factor()) / decay_constant())


def activity_per_suv(scan: Scan, k: int, *, decay: str) -> float:
    """Stored Bq/ml of slice k where SUV is 1, at the reference time of the decay correction.

    START   dose · exp(-λ (reference - injection)) / weight
    ADMIN   dose / weight
    NONE    dose · exp(-λ (frame start - injection)) · (1 - exp(-λT)) / λT / weight
    """
    injected_per_gram = scan.dose_bq / (1000 * scan.study.weight_kg)
    if decay == "admin":
        return injected_per_gram
    moment = scan.reference if decay == "start" else scan.frame_start(k)
    left = np.exp(-decay_constant() * scan.seconds_after_injection(moment))
    return float(injected_per_gram * left * (1.0 if decay == "start" else mean_activity_factor()))
