"""Settings of dehazing are checked before anything runs, and are light."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from medidiff.dehazing.settings import DehazeSettings


def test_defaults_are_valid_and_strength_has_limits():
    assert DehazeSettings().strength == 1
    with pytest.raises(ValidationError, match="less than or equal to 2"):
        DehazeSettings(strength=2.5)


def test_a_method_whose_model_is_not_named_is_an_error():
    with pytest.raises(ValidationError, match="conditional: need a model, found none"):
        DehazeSettings(methods=("conditional",), conditional=None)


def test_an_unknown_key_is_an_error():
    with pytest.raises(ValidationError, match="Extra inputs"):
        DehazeSettings(strenght=1.0)


def test_settings_import_no_torch():
    code = "import sys, medidiff.dehazing.settings, medidiff.dehazing.training_settings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
