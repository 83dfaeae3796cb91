"""Where a fit starts: which peak is which analyte, and the rates that its moments say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from medidiff.chromatography.detection import FoundPeak
from medidiff.chromatography.refusals import check_analytes
from medidiff.chromatography.settings import AnalyteSettings, ColumnSettings, InjectionSettings
from medidiff.errors import ConfigError
from physics.chromatography.column import hold_up_factor
from physics.chromatography.peaks import Peaks

LEAST_RETENTION = 1e-3
LEAST_SHARE = 0.25  # of a peak's variance that its kinetics keep, however wide the instrument's part


@dataclass(frozen=True)
class Expected:
    """One peak of the fit: what is known of the substance, and the peak that was found for it."""

    analyte: AnalyteSettings
    found: FoundPeak


def column_times(column: ColumnSettings) -> tuple[float, float]:
    """Hold-up time tM (s) and inlet velocity u0 (m/s) that belong together: u0 = m(P) L/tM."""
    factor = hold_up_factor(column.outlet_pressure_pa / column.inlet_pressure_pa)
    velocity = column.inlet_velocity_m_s or column.poiseuille_velocity_m_s
    hold_up = column.hold_up_s or factor * column.length_m / velocity
    return hold_up, factor * column.length_m / hold_up


def assign(
    found: Sequence[FoundPeak], analytes: Sequence[AnalyteSettings], *, hold_up: float, injection: InjectionSettings
) -> tuple[list[Expected], list[str]]:
    """Every found peak with its analyte, in order of elution, and sentences on those that no analyte claims.

    Analytes with a retention factor take the peaks nearest to where they should be; without, the largest peaks in their
    order. All others are fitted too, under the time of their apex: left out, they would bend their neighbours.

    Raises DataError for fewer peaks than analytes.
    """
    check_analytes([analyte.name for analyte in analytes], len(found), source="the trace")
    times = np.array([peak.mean for peak in found])
    if analytes and all(analyte.retention > 0 for analyte in analytes):
        late = injection.delay_s + injection.duration_s / 2 + injection.tailing_s + injection.mixing_s
        wanted = np.array([late + hold_up * (1 + analyte.retention) for analyte in analytes])
        _, chosen = linear_sum_assignment(np.abs(wanted[:, None] - times))
    else:
        largest = np.argsort([-peak.area for peak in found], kind="stable")[: len(analytes)]
        chosen = np.sort(largest)
    named = dict(zip(chosen.tolist(), analytes))
    expected = [Expected(named.get(i) or _unlisted(peak), peak) for i, peak in enumerate(found)]
    others = [each.analyte.name for i, each in enumerate(expected) if i not in named] if analytes else []
    return expected, [f"no analyte is listed for the {name}; it is fitted too" for name in others]


def first_guess(expected: Sequence[Expected], column: ColumnSettings, *, injection: InjectionSettings) -> Peaks:
    """The peaks (1, component) to start from.

    k = (mean - t0 - t1/2 - tailing - mixing)/tM - 1,   kd = 2 k tM/(variance - t1^2/12 - tailing^2 - mixing^2)

    unless the analyte's settings say them.
    """
    hold_up, velocity = column_times(column)
    late = injection.delay_s + injection.duration_s / 2 + injection.tailing_s + injection.mixing_s
    outside = injection.duration_s**2 / 12 + injection.tailing_s**2 + injection.mixing_s**2
    retention, desorption = [], []
    for each in expected:
        k = each.analyte.retention or max((each.found.mean - late) / hold_up - 1, LEAST_RETENTION)
        kinetic = max(each.found.variance - outside, LEAST_SHARE * each.found.variance)
        retention.append(k)
        desorption.append(each.analyte.desorption_per_s or 2 * k * hold_up / kinetic)
    axial, radial = _dispersion([each.analyte for each in expected], column, velocity=velocity)
    return Peaks(
        torch.tensor([retention], dtype=torch.float64),
        torch.tensor([desorption], dtype=torch.float64),
        hold_up,
        injection.duration_s,
        tailing=injection.tailing_s,
        mixing=injection.mixing_s,
        delay=injection.delay_s,
        dispersion=torch.tensor([axial], dtype=torch.float64),
        radial=torch.tensor([radial], dtype=torch.float64),
        pressure_ratio=column.outlet_pressure_pa / column.inlet_pressure_pa,
    )


def _dispersion(
    analytes: Sequence[AnalyteSettings], column: ColumnSettings, *, velocity: float
) -> tuple[list[float], list[float]]:
    """D0/(u0 L) and R^2 u0/(L D0) of each analyte; 0 where the settings leave them out."""
    if column.gas_phase == "none":
        return [0.0] * len(analytes), [0.0] * len(analytes)
    is_golay = column.gas_phase == "golay"
    unknown = [analyte.name for analyte in analytes if not analyte.diffusion_m2_s]
    if unknown:
        raise ConfigError(
            f"chromatograph.column.gas_phase: {column.gas_phase} needs the diffusion coefficient of {', '.join(unknown)}. Give "
            "diffusion_m2_s, or choose gas_phase: none."
        )
    axial = [analyte.diffusion_m2_s / (velocity * column.length_m) for analyte in analytes]
    radial = [column.radius_m**2 * velocity / (column.length_m * a.diffusion_m2_s) if is_golay else 0.0 for a in analytes]
    return axial, radial


def _unlisted(peak: FoundPeak) -> AnalyteSettings:
    return AnalyteSettings(name=f"peak at {peak.time:.5g} s")
