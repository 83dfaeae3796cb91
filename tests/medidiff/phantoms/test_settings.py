import sys
from subprocess import run

import pytest
from pydantic import ValidationError

from medidiff.phantoms.settings import PetCtPhantom


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sed": 1}, "Extra inputs"),
        ({"nodes": (3, 1)}, r"nodes is \(3, 1\); expected fewest <= most"),
        ({"primaries": (0, 2)}, r"both within 0 to 1"),
        ({"vendor": "gml", "decay": "none"}, "does not store Bq/ml"),
        ({"tilt_deg": 50}, "less than or equal to 30"),
        ({"pet_spacing_mm": (4, 4, 0)}, "greater than or equal to 0.2"),
        ({"vendor": "toshiba"}, "Input should be"),
    ],
)
def test_settings_that_make_no_patient_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        PetCtPhantom(**changes)


def test_every_setting_has_a_default_and_a_description():
    for name, field in PetCtPhantom.model_fields.items():
        assert not field.is_required() and field.description, name


def test_settings_survive_json():
    settings = PetCtPhantom(seed=3, turn_deg=(1, 2, 3), vendor="ge", decay="admin")
    assert PetCtPhantom.model_validate_json(settings.model_dump_json()) == settings


def test_importing_the_settings_loads_neither_numpy_nor_torch():
    code = "import sys, medidiff.phantoms.settings; print([m for m in ('numpy', 'torch', 'pydicom') if m in sys.modules])"
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
