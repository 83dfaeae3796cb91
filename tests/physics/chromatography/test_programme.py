import csv
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from physics.chromatography.broadening import plate_height_terms
from physics.chromatography.gas import CARRIERS, Formula, diffusion_constant
from physics.chromatography.programme import FILM_DIFFUSION, Oven, ProgrammedColumn, calibrate, elute_programmed, retention_times
from physics.chromatography.retention import Retention
from physics.chromatography.travel import Conditions, travel

HYDROGEN = CARRIERS["hydrogen"]


@pytest.fixture(scope="module")
def column():
    """The column of Leppert et al. (2020)."""
    return ProgrammedColumn(
        length=11.18, diameter=0.104e-3, film=0.104e-6, inlet_pressure=411564.0, outlet_pressure=101300.0, carrier=HYDROGEN
    )


@pytest.fixture(scope="module")
def solutes():
    """Three alkanes with the published K-centric parameters: C9, C16, C24 (Leppert et al. 2020)."""
    retention = Retention(np.array([371.19, 488.25, 575.20]), np.array([30.17, 38.46, 42.21]), np.array([89.34, 142.18, 188.53]))
    return retention, diffusion_constant(HYDROGEN, [Formula(n, 2 * n + 2) for n in (9, 16, 24)])


def ramp(minutes):
    """40 C for one minute, then 260 K in the given time."""
    return Oven(np.array([0.0, 60.0, 60.0 * (1 + minutes)]), np.array([313.15, 313.15, 573.15]))


def uniform(column, oven):
    return Conditions(
        column.length,
        column.diameter,
        column.film,
        column.carrier,
        lambda x, t: np.full(np.shape(x), oven.temperature(t)),
        lambda t: column.inlet_pressure,
        column.outlet_pressure,
    )


def test_isothermal_retention_and_width_are_the_closed_forms(column, solutes):
    retention, diffusion = solutes
    elution = elute_programmed(column, Oven(np.array([0.0]), np.array([473.15])), retention=retention, diffusion=diffusion)
    k, P = retention.factor(473.15), column.pressure_ratio
    np.testing.assert_allclose(elution.times, column.hold_up_time(473.15) * (1 + k), rtol=1e-13)
    u0 = column.inlet_velocity(473.15)
    gas = diffusion * 473.15**1.75 / column.inlet_pressure
    height = sum(
        plate_height_terms(k, 3 * FILM_DIFFUSION * gas / column.film**2, velocity=u0, diffusion=gas, radius=column.diameter / 2)
    )
    variance = height * column.length * (1 + k) ** 2 / u0**2 * (1 + P**2) / 2
    np.testing.assert_allclose(elution.widths, np.sqrt(variance), rtol=1e-12)
    assert elution.is_beyond.all()


def test_quadrature_equals_the_equations_of_motion_in_a_ramp(column, solutes):
    retention, diffusion = Retention(*(np.array(v) for v in ([371.19, 488.25], [30.17, 38.46], [89.34, 142.18]))), solutes[1][:2]
    fast = elute_programmed(column, ramp(17.33), retention=retention, diffusion=diffusion)
    slow = travel(uniform(column, ramp(17.33)), retention, diffusion=diffusion, until=1500.0)
    np.testing.assert_allclose(slow.times, fast.times, atol=1e-3)
    np.testing.assert_allclose(slow.widths, fast.widths, rtol=1e-3)
    np.testing.assert_allclose(slow.factors, fast.factors, rtol=1e-5)


def test_retention_is_the_root_of_its_integral_by_brute_force(column, solutes):
    oven, retention = ramp(17.33), solutes[0]
    times = retention_times(column, oven, retention=retention)
    for i, end in enumerate(times):
        clock = np.linspace(0.0, end, 200001)
        temperature = oven.temperature(clock)
        share = 1 / (column.hold_up_time(temperature) * (1 + retention.factor(temperature[None])[i]))
        assert np.trapezoid(share, clock) == pytest.approx(1.0, abs=1e-8)


def test_last_temperature_is_held_and_late_solutes_are_marked(column, solutes):
    retention, diffusion = solutes
    short = Oven(np.array([0.0, 60.0]), np.array([313.15, 373.15]))
    elution = elute_programmed(column, short, retention=retention, diffusion=diffusion)
    padded = Oven(np.array([0.0, 60.0, 1e4]), np.array([313.15, 373.15, 373.15]))
    longer = elute_programmed(column, padded, retention=retention, diffusion=diffusion)
    np.testing.assert_allclose(elution.times, longer.times, rtol=1e-9)
    np.testing.assert_allclose(elution.widths, longer.widths, rtol=1e-6)
    assert elution.is_beyond.tolist() == [False, True, True]


def test_general_path_follows_gradients_and_pressure_ramps_like_the_equation_along_the_column(column, solutes):
    retention, diffusion = (Retention(*(np.array([v]) for v in (488.25, 38.46, 142.18))), solutes[1][1:2])
    conditions = Conditions(
        column.length,
        column.diameter,
        column.film,
        HYDROGEN,
        lambda x, t: 420.0 + 0.5 * t - 20.0 * np.asarray(x) / column.length,
        lambda t: 411564.0 + 300.0 * t,
        101300.0,
    )
    ours = travel(conditions, retention, diffusion=diffusion, until=400.0)

    def residence(x, t):
        pressure, u, temperature = conditions.flow(np.array([x]), t)
        k = retention.factor(temperature)
        gas = diffusion * temperature**1.75 / pressure
        height = sum(
            plate_height_terms(
                k, 3 * FILM_DIFFUSION * gas / column.film**2, velocity=u, diffusion=gas, radius=column.diameter / 2
            )
        )
        return float((1 + k[0]) / u[0]), float(height[0])

    def slope(x, state):
        (r, height), (later, _), (sooner, _) = (residence(x, state[0] + e) for e in (0.0, 1e-3, -1e-3))
        return [r, height * r**2 + 2 * state[1] * (later - sooner) / 2e-3]

    along = solve_ivp(slope, (0.0, column.length), [0.0, 0.0], "LSODA", rtol=1e-8, atol=1e-10)
    assert ours.times[0] == pytest.approx(along.y[0, -1], rel=1e-6)
    assert ours.widths[0] == pytest.approx(np.sqrt(along.y[1, -1]), rel=1e-4)


def test_calibration_recovers_the_corrections_that_made_the_data(column, solutes):
    retention, _ = solutes
    truth = replace(column, temperature_offset=-2.0, hold_up_scale=0.93)
    runs = [(ramp(26), retention_times(truth, ramp(26), retention=retention))]
    runs[0][1][1] = np.nan
    found = calibrate(column, runs, retention=retention)
    assert found.temperature_offset == pytest.approx(-2.0, abs=1e-5)
    assert found.hold_up_scale == pytest.approx(0.93, abs=1e-6)


def test_bad_programmes_and_late_solutes_are_refused_with_advice(column, solutes):
    with pytest.raises(ValueError, match=r"add 273\.15"):
        Oven(np.array([0.0, 60.0]), np.array([40.0, 300.0]))
    with pytest.raises(ValueError, match="must start at 0 s and increase"):
        Oven(np.array([0.0, 60.0, 60.0]), np.array([313.0, 313.0, 400.0]))
    with pytest.raises(ValueError, match="Add the ambient pressure"):
        replace(column, inlet_pressure=1e5)
    with pytest.raises(ValueError, match=r"solutes \[0, 1, 2\] have not left by 90 s"):
        travel(uniform(column, ramp(17.33)), solutes[0], diffusion=solutes[1], until=90.0)


def read_measured(folder, name):
    with open(folder / f"measured_retention_{name}.csv") as file:
        rows = list(csv.DictReader(file))
    return np.array([60 * float(row["RT"]) for row in rows]), np.array([float(row["width"]) for row in rows])


def read_retention(folder):
    with open(folder / "retention_parameters.csv") as file:
        rows = list(csv.DictReader(file))
    columns = (np.array([float(row[name]) for row in rows]) for name in ("Tchar", "thetachar", "DeltaCp"))
    center, slope, capacity = columns
    carbons = [int(row["Name"][1:]) for row in rows]
    return Retention(center + 273.15, slope, capacity), [Formula(n, 2 * n + 2) for n in carbons]


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "minutes", "rms", "median", "largest", "width"),
    [("A", 26.0, 3.16, 0.00125, 0.0485, 0.887), ("B", 17.33, 2.95, 0.00405, 0.0325, 0.923)],
)
def test_measured_programmes_are_predicted_as_well_as_published(mirror, column, name, minutes, rms, median, largest, width):
    folder = mirror / "chromatography" / "leppert2020"
    retention, formulas = read_retention(folder)
    times, widths = read_measured(folder, name)
    elution = elute_programmed(column, ramp(minutes), retention=retention, diffusion=diffusion_constant(HYDROGEN, formulas))
    miss = elution.times - times
    assert np.sqrt(np.mean(miss**2)) < rms
    assert np.median(np.abs(miss) / times) < median
    assert np.max(np.abs(miss) / times) < largest
    assert np.median(elution.widths / widths) == pytest.approx(width, abs=2e-3)


@pytest.mark.realdata
@pytest.mark.parametrize(("fitted", "predicted"), [("A", "B"), ("B", "A")])
def test_two_corrections_fitted_on_one_programme_predict_the_other_within_three_seconds(mirror, column, fitted, predicted):
    folder = mirror / "chromatography" / "leppert2020"
    retention, _ = read_retention(folder)
    ovens = {"A": ramp(26.0), "B": ramp(17.33)}
    corrected = calibrate(column, [(ovens[fitted], read_measured(folder, fitted)[0])], retention=retention)
    miss = retention_times(corrected, ovens[predicted], retention=retention) - read_measured(folder, predicted)[0]
    assert np.sqrt(np.mean(miss**2)) < 3.0


@pytest.mark.slow
def test_finite_volumes_elute_a_programmed_peak_when_the_integral_says(column):
    import torch

    from physics.chromatography.finite_column import programmed_model
    from physics.pde.finite_volume import march

    retention = Retention(np.array([371.19]), np.array([30.17]), np.array([89.34]))
    oven, cells = ramp(17.33), 160
    desorption = torch.tensor([200.0], dtype=torch.float64)
    model = programmed_model(
        lambda time: torch.from_numpy(retention.factor(float(oven.temperature(time)))),
        desorption,
        length=column.length,
        inlet_velocity=lambda time: float(column.inlet_velocity(oven.temperature(time))),
        pressure_ratio=column.pressure_ratio,
        injection=1.0,
    )(cells)
    step = 0.02
    run = march(model, torch.zeros((1, 2, cells), dtype=torch.float64), step=step, steps=int(150 / step))
    share = torch.diff(run.eluted[0, 0])
    share = share / share.sum()
    mean = float((share * (run.times[1:] - 0.5 * step)).sum())
    predicted = retention_times(column, oven, retention=retention)[0]
    assert mean - 0.5 == pytest.approx(predicted, rel=5e-3)
