import pytest
from pydantic import ValidationError

from medidiff.reconstruction.settings import NEED_PRIOR, ONLY_CT, ONLY_MRI, ReconstructSettings


def test_methods_that_need_a_prior_are_refused_without_one():
    with pytest.raises(ValidationError, match="nadds, dds: need a prior, found none"):
        ReconstructSettings(methods=("tv", "nadds", "dds"))
    assert ReconstructSettings(methods=("tv", "nadds", "auto"), prior="models/some").prior == "models/some"


def test_a_window_without_width_is_refused():
    with pytest.raises(ValidationError, match="the first value is not below the second"):
        ReconstructSettings(window_hu=(200.0, 200.0))


def test_every_method_is_for_one_kind_of_measurement_or_for_both():
    assert not ONLY_CT & ONLY_MRI
    assert "auto" not in NEED_PRIOR
