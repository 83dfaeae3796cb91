"""Published temperature-programmed measurements, transcribed with their citation: column, solutes, ovens, retention times."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import yaml

from physics.chromatography.gas import CARRIERS, ICE_POINT, Formula
from physics.chromatography.programme import Oven, ProgrammedColumn
from physics.chromatography.retention import Retention

MINUTE = 60.0


@dataclass(frozen=True, eq=False)
class Run:
    """One programme and what was measured in it; arrays as the solutes are."""

    oven: Oven
    times: np.ndarray  # (solute,)   retention times, s
    widths: np.ndarray  # (solute,)   standard deviations of the peaks, s


@dataclass(frozen=True, eq=False)
class Measurements:
    """Everything that one publication gives, in SI."""

    citation: str
    column: ProgrammedColumn
    names: tuple[str, ...]  # of the solutes
    retention: Retention
    formulas: tuple[Formula, ...]
    runs: Mapping[str, Run]


def read_measurements(name: str) -> Measurements:
    """The transcribed tables of one publication, minutes and degrees Celsius converted here, once."""
    content = yaml.safe_load((files("medidiff.chromatography.published") / f"{name}.yaml").read_text(encoding="utf-8"))
    plain = content["column"]
    column = ProgrammedColumn(
        plain["length_m"],
        plain["diameter_m"],
        plain["film_m"],
        plain["inlet_pressure_pa"],
        plain["outlet_pressure_pa"],
        CARRIERS[plain["carrier"]],
    )
    solutes = content["solutes"]
    carbons, characteristic, slope, capacity = np.array(list(solutes.values()), dtype=float).T
    ratio = plain["film_m"] / plain["diameter_m"] / content["parameter_phase_ratio"]
    runs = {}
    for programme, measured in content["measured_min_s"].items():
        minutes, celsius = np.array(content["oven_min_c"][programme], dtype=float).T
        retention, widths = np.array([measured[solute] for solute in solutes], dtype=float).T
        runs[programme] = Run(Oven(MINUTE * minutes, celsius + ICE_POINT), MINUTE * retention, widths)
    alkanes = tuple(Formula(int(n), 2 * int(n) + 2) for n in carbons)
    return Measurements(
        content["citation"],
        column,
        tuple(solutes),
        Retention(characteristic + ICE_POINT, slope, capacity, phase_ratio=ratio),
        alkanes,
        runs,
    )
