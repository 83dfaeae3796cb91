"""Settings of the chromatography room: reading, column, injection, analytes, fit, comparison, temperature programmes."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import Settings

RESULT_VERSION = 1  # raise when the same input gives other numbers

GAUGE_PA = 1e3  # an outlet pressure below this is a vacuum or a gauge reading
DISAGREEMENT = 0.03  # most by which a stated velocity may differ from that of the pressures

Solver = Literal["kernel", "double_integral", "finite_differences", "finite_volumes", "transit_grid"]
Shared = Literal["hold_up", "injection", "tailing", "mixing", "delay"]
Corner = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=150, le=1000)]]


class ReadingSettings(Settings):
    """Where time and signal stand in a file; what the file says itself need not be said here."""

    time_column: str = Field("", description="of a text file; empty: the one named time, t or RT")
    time_unit: Literal["", "s", "min"] = Field("", description="s or min; empty: the file must say it, it is never guessed")
    signal_column: str = Field("", description="of a text file; empty: the only other column")
    signal_unit: str = Field("", description="of a text file; empty: arbitrary")
    trace: str = Field("", description="id of an mzML chromatogram, or FILE:LABEL of a vendor's folder; empty: the only one")
    from_s: float | None = Field(None, description="first second used; empty: the whole trace")
    until_s: float | None = Field(None, description="last second used; empty: the whole trace")

    @model_validator(mode="after")
    def _is_a_window(self) -> Self:
        if self.from_s is not None and self.until_s is not None and self.from_s >= self.until_s:
            raise ValueError(f"from_s {self.from_s:g} is not before until_s {self.until_s:g}")
        return self


class DetectionSettings(Settings):
    """Which bumps are peaks."""

    least_signal_to_noise: float = Field(3.0, gt=0, le=1e6, description="2 H/h of a peak's prominence, above 0 to 1e6")
    least_share: float = Field(0.005, ge=0, lt=1, description="of the highest peak's prominence, 0 to 1")
    widest_s: float = Field(0.0, ge=0, description="what is broader belongs to the baseline, s; 0: a fifth of the trace")


class ColumnSettings(Settings):
    """An open tubular column in laminar flow; SI units, absolute pressures. Default: that of Cabrera-Codony et al. (2024)."""

    length_m: float = Field(20.0, gt=0, le=1000, description="L, m")
    radius_m: float = Field(9e-5, gt=0, le=0.01, description="R, inner radius of the open tube, m")
    film_m: float = Field(1e-6, gt=0, le=1e-3, description="delta, thickness of the stationary film, m")
    inlet_pressure_pa: float = Field(4.01e5, gt=0, le=1e8, description="p0, Pa absolute")
    outlet_pressure_pa: float = Field(1.013e5, gt=0, le=1e8, description="pL, Pa absolute")
    has_vacuum_outlet: bool = Field(False, description="say so when the outlet is below 1000 Pa, else it is taken for gauge")
    viscosity_pa_s: float = Field(2.3e-5, gt=0, le=1, description="of the carrier at the column's temperature, Pa s")
    inlet_velocity_m_s: float = Field(0.41, ge=0, le=1e3, description="u0 as measured, m/s; 0: from the pressures (Poiseuille)")
    hold_up_s: float = Field(0.0, ge=0, description="tM of an unretained marker, s; 0: from velocity and pressures")
    detector: Literal["mass", "concentration"] = Field("concentration", description="what it responds to; FID: mass")
    gas_phase: Literal["none", "axial", "golay"] = Field(
        "none", description="dispersion in the gas: none, axial diffusion, or also the radial term of Taylor, Aris and Golay"
    )

    @property
    def poiseuille_velocity_m_s(self) -> float:
        """u0 = R^2 (p0^2 - pL^2)/(16 mu L p0)."""
        drop = self.inlet_pressure_pa**2 - self.outlet_pressure_pa**2
        return self.radius_m**2 * drop / (16 * self.viscosity_pa_s * self.length_m * self.inlet_pressure_pa)

    @model_validator(mode="after")
    def _flows(self) -> Self:
        if self.outlet_pressure_pa >= self.inlet_pressure_pa:
            raise ValueError(
                f"inlet_pressure_pa {self.inlet_pressure_pa:g} is not above outlet_pressure_pa {self.outlet_pressure_pa:g}; "
                "both are absolute: add the ambient pressure (101325 Pa) to gauge readings"
            )
        if self.outlet_pressure_pa < GAUGE_PA and not self.has_vacuum_outlet:
            raise ValueError(
                f"outlet_pressure_pa {self.outlet_pressure_pa:g} looks like a gauge reading; give the absolute pressure, or set "
                "has_vacuum_outlet"
            )
        off = self.inlet_velocity_m_s / self.poiseuille_velocity_m_s - 1
        if self.inlet_velocity_m_s and abs(off) > DISAGREEMENT:
            raise ValueError(
                f"inlet_velocity_m_s {self.inlet_velocity_m_s:g} is {100 * off:+.1f} % off Poiseuille's "
                f"{self.poiseuille_velocity_m_s:.4g}; correct one of velocity, pressures, radius, length and viscosity"
            )
        return self


class InjectionSettings(Settings):
    """What stands before and behind the column."""

    duration_s: float = Field(4.0, ge=0, le=1e4, description="t1, length of the box injection, s; 0: sharp")
    delay_s: float = Field(0.0, ge=-1e5, le=1e5, description="t0, start of the injection on the file's clock, s")
    tailing_s: float = Field(0.0, ge=0, le=1e4, description="time constant of sample that enters late, s")
    mixing_s: float = Field(0.0, ge=0, le=1e4, description="mixing in tubing and detector, s")


class AnalyteSettings(Settings):
    """One substance, in order of elution; what is 0 is taken from the peak, or not used."""

    name: str = Field(min_length=1, description="unique")
    retention: float = Field(0.0, ge=0, le=1e6, description="k to start from; 0: from the peak")
    desorption_per_s: float = Field(0.0, ge=0, le=1e9, description="kd to start from, 1/s; 0: from the peak")
    diffusion_m2_s: float = Field(0.0, ge=0, le=1, description="D0 in the carrier at inlet pressure, m2/s; 0: unknown")
    injected_mol_m3: float = Field(0.0, ge=0, description="c0 in the injected gas, mol/m3; 0: unknown")
    capacity_mol_m3: float = Field(0.0, ge=0, description="qmax of the film, mol/m3; 0: unknown, theta0 is not computed")


class PriorSettings(Settings):
    """Gaussian knowledge of a shared quantity."""

    mean_s: float = Field(description="s")
    deviation_s: float = Field(gt=0, description="standard deviation, s")


class FitSettings(Settings):
    """What moves in the fit; hold-up time and start of the injection are fixed unless named."""

    free: tuple[Shared, ...] = Field((), description="shared quantities fitted beside k, kd and area of every analyte")
    priors: dict[Shared, PriorSettings] = Field({}, description="Gaussian knowledge of free shared quantities")
    baseline_degree: int = Field(1, ge=-1, le=9, description="of the polynomial under the peaks; -1: none")
    loss: Literal["linear", "soft_l1"] = Field("linear", description="soft_l1 bounds the pull of outliers")
    bootstrap: int = Field(0, ge=0, le=10000, description="refits with resampled blocks of the residual, 0 to 10000")
    profile: bool = Field(False, description="95 % intervals by profile likelihood too: each value held, all others refitted")
    force_linear: bool = Field(False, description="accept a film loading theta0 above 0.1")

    @model_validator(mode="after")
    def _priors_are_of_free_quantities(self) -> Self:
        if fixed := sorted(set(self.priors) - set(self.free)):
            raise ValueError(f"priors of {', '.join(fixed)}, which fit.free does not name; add them there")
        return self


class ComparisonSettings(Settings):
    """The paper's own comparison: the Laplace solution against full numerical ones, at the fitted parameters."""

    solvers: tuple[Solver, ...] = Field((), description="compared with the Fourier inversion; empty: no comparison")
    analytes: tuple[str, ...] = Field((), description="for which; empty: all")
    cells: int = Field(300, ge=20, le=20000, description="of the grids along the column")


class ProgrammeSettings(Settings):
    """A temperature programme; times of elution are predicted, none of its peaks is fitted."""

    constants: Literal["leppert2020"] = Field("leppert2020", description="published column and retention parameters")
    published: str = Field("", description="name of a published programme of that source: A or B; its times are compared")
    oven: tuple[Corner, ...] = Field((), description="corners (s, K) of another programme; the last temperature is held")

    @model_validator(mode="after")
    def _one_oven(self) -> Self:
        if bool(self.published) == bool(self.oven):
            raise ValueError("give exactly one of `published` and `oven`")
        times = [time for time, _ in self.oven]
        if times and (times[0] != 0 or any(b <= a for a, b in pairwise(times))):
            raise ValueError(f"oven: times {times} must begin at 0 s and increase")
        return self


class EluteSettings(Settings):
    """What `medidiff elute` predicts and compares."""

    reading: ReadingSettings = Field(ReadingSettings(), description="of the measured trace or table of retention times")
    programmes: dict[str, ProgrammeSettings] = Field({}, description="temperature programmes by study")


class ChromatographSettings(Settings):
    """What `medidiff chromatograph` does with one trace."""

    reading: ReadingSettings = Field(ReadingSettings(), description="where time and signal stand in a file")
    detection: DetectionSettings = Field(DetectionSettings(), description="which bumps are peaks")
    column: ColumnSettings = Field(ColumnSettings(), description="the column at constant temperature")
    injection: InjectionSettings = Field(InjectionSettings(), description="what stands before and behind the column")
    analytes: tuple[AnalyteSettings, ...] = Field((), description="in order of elution; empty: every peak by its number")
    fit: FitSettings = Field(FitSettings(), description="what moves in the fit")
    comparison: ComparisonSettings = Field(ComparisonSettings(), description="other solvers at the fitted parameters")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [analyte.name for analyte in self.analytes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"analytes: {', '.join(twice)} more than once; give every analyte a name of its own")
        return self
