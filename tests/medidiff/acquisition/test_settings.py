"""A scan that cannot be is refused before anything runs."""

import pytest
from pydantic import ValidationError

from medidiff.acquisition.settings import ScanSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give exactly one of `ct` and `mr`"),
        ({"ct": {}, "mr": {}}, "give exactly one of `ct` and `mr`"),
        ({"source": "chest", "mr": {}}, "source 'chest' is measured as CT alone"),
        ({"source": "mni152", "ct": {}}, "source 'mni152' is measured as MRI alone"),
        ({"dataset": "ct-openkbp", "ct": {}}, "source 'chest' needs no dataset"),
        ({"ct": {}, "pixel_mm": 14.0}, "pixel_mm of the chest: Input should be less than or equal to 12, found 14.0"),
        ({"ct": {"views": 1}}, "greater than or equal to 2"),
        ({"ct": {"angles": 9}}, "Extra inputs are not permitted"),
    ],
)
def test_a_scan_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ScanSettings.model_validate(settings)


def test_the_kind_of_the_study_follows_from_the_acquisition():
    assert ScanSettings.model_validate({"ct": {}}).kind == "ct"
    assert ScanSettings.model_validate({"source": "mni152", "mr": {}}).kind == "mr"
