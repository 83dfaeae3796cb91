"""Settings of the segmentation room."""

import pytest
from pydantic import ValidationError

from medidiff.segmentation.settings import SegmentSettings, WatershedSettings


def test_unknown_keys_and_methods_are_refused():
    with pytest.raises(ValidationError, match=r"methodz[\s\S]*Extra inputs"):
        SegmentSettings(methodz=("suv2",))
    for name in ("suv", "suv2.", "percent0", "percent100", "Suv2", "../suv2", "magic"):
        with pytest.raises(ValidationError, match="unknown method"):
            SegmentSettings(methods=(name,))


def test_settings_cannot_be_changed_after_the_check():
    with pytest.raises(ValidationError, match="frozen"):
        SegmentSettings().grid = "ct"


def test_markers_of_the_watershed_are_apart():
    with pytest.raises(ValidationError, match=r"background_suv 3 is not below hot_suv 2"):
        WatershedSettings(background_suv=3.0)


def test_every_setting_says_what_it_is():
    for model in (SegmentSettings, WatershedSettings):
        assert all(field.description for field in model.model_fields.values())
