"""What the configuration refuses before anything runs."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from medidiff.chromatography.settings import ChromatographSettings, ColumnSettings, EluteSettings, FitSettings, ProgrammeSettings
from medidiff.config import load, read_config
from medidiff.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"


def test_the_default_column_is_that_of_the_paper_with_its_velocity_within_three_percent():
    column = ColumnSettings()
    assert column.poiseuille_velocity_m_s == pytest.approx(0.413, abs=5e-4)
    assert abs(column.inlet_velocity_m_s / column.poiseuille_velocity_m_s - 1) < 0.01


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inlet_pressure_pa": 1e5}, "not above outlet_pressure_pa .* add the ambient pressure"),
        ({"outlet_pressure_pa": 0.5}, "looks like a gauge reading; give the absolute pressure, or set has_vacuum_outlet"),
        ({"inlet_velocity_m_s": 0.5}, r"is \+21\.\d % off Poiseuille's 0\.413"),
        ({"length_m": -1}, "greater than 0"),
        ({"film_m": 0}, "greater than 0"),
    ],
)
def test_columns_that_cannot_be_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        ColumnSettings(**values)


def test_a_vacuum_outlet_is_accepted_when_it_is_said():
    column = ColumnSettings(outlet_pressure_pa=100.0, has_vacuum_outlet=True, inlet_velocity_m_s=0)
    assert column.poiseuille_velocity_m_s > 0.41


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"analytes": [{"name": "a"}, {"name": "a"}]}, "a more than once; give every analyte a name of its own"),
        ({"analytes": [{"name": "a", "desorption_per_s": -1}]}, "desorption_per_s: Input should be greater than or equal to 0"),
        ({"injection": {"duration_s": -4}}, "injection.duration_s"),
        ({"fit": {"priors": {"hold_up": {"mean_s": 34, "deviation_s": 1}}}}, "priors of hold_up, which fit.free does not name"),
        ({"fit": {"free": ["retention"]}}, "fit.free.0"),
        ({"reading": {"time_unit": "h"}}, "reading.time_unit"),
        ({"reading": {"from_s": 5, "until_s": 5}}, "from_s 5 is not before until_s 5"),
        ({"colum": {}}, "did you mean `column`"),
    ],
)
def test_mistakes_are_named_by_their_key(overlay, message):
    with pytest.raises(ConfigError, match=message):
        load({"studies": {"chromatograms": {"A": {}}}, "chromatograph": overlay})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "exactly one of `published` and `oven`"),
        ({"published": "A", "oven": [[0, 313], [60, 313]]}, "exactly one of `published` and `oven`"),
        ({"oven": [[0, 40], [60, 300]]}, "greater than or equal to 150"),
        ({"oven": [[0, 313], [60, 313], [60, 400]]}, "must begin at 0 s and increase"),
        ({"oven": [[5, 313], [60, 313]]}, "must begin at 0 s and increase"),
    ],
)
def test_programmes_need_one_oven_in_seconds_and_kelvin(values, message):
    with pytest.raises(ValidationError, match=message):
        ProgrammeSettings(**values)


def test_studies_of_programmes_need_their_programme():
    with pytest.raises(ConfigError, match=r"studies\.programmes: X has no published programme in elute\.programmes"):
        load({"studies": {"programmes": ["X"]}})
    with pytest.raises(ConfigError, match="A is named twice among the studies"):
        load({"studies": {"chromatograms": {"A": {}}, "phantoms": {"A": {}}}})


def test_the_ready_configurations_are_in_order():
    demo, real = (read_config(CONFIGS / f"{name}.yaml") for name in ("chromatography", "chromatography-real"))
    assert [analyte.name for analyte in demo.chromatograph.analytes] == [
        "benzene",
        "toluene",
        "ethylbenzene",
        "m/p-xylene",
        "o-xylene",
    ]
    assert demo.chromatograph.column == ColumnSettings()
    assert {programme.published for programme in real.elute.programmes.values()} == {"A", "B"}


def test_settings_survive_the_way_through_the_command_line():
    for settings in (ChromatographSettings(fit=FitSettings(free=("hold_up",))), EluteSettings()):
        assert type(settings).model_validate_json(settings.model_dump_json()) == settings
