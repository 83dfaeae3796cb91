import math

import numpy as np
import pytest

from physics.chromatography.breakthrough import bohart_adams, stoichiometric_time, thomas
from physics.chromatography.kernel import goldstein_j


def test_thomas_without_loading_is_the_linear_breakthrough():
    elapsed = np.linspace(0.0, 30.0, 200)
    np.testing.assert_allclose(
        thomas(elapsed, units=55.0, desorption=5.0, loading=0.0), goldstein_j(55.0, 5.0 * elapsed), atol=1e-13
    )


@pytest.mark.parametrize("loading", [0.1, 1.0, 5.0])
def test_area_ahead_of_the_breakthrough_is_the_stoichiometric_time(loading):
    units, kd, hold_up = 300.0, 4.0, 10.0
    retention = units / (kd * hold_up)
    end = hold_up * (1 + retention) * 3
    times = np.linspace(0.0, end, 40001)
    curve = thomas(times - hold_up, units=units, desorption=kd, loading=loading)
    assert np.trapezoid(1 - curve, times) == pytest.approx(
        stoichiometric_time(hold_up, retention=retention, loading=loading), rel=2e-5
    )


def test_irreversible_limit_of_thomas_is_bohart_and_adams():
    sites, uptake = 40.0, 2.0
    elapsed = np.linspace(0.5, 45.0, 120)
    loading = 1e5
    desorption = uptake / loading
    curve = thomas(elapsed, units=sites * (1 + 0 * loading), desorption=desorption, loading=loading)
    np.testing.assert_allclose(curve, bohart_adams(elapsed, uptake=uptake, sites=sites), atol=3e-4)


def test_breakthrough_curves_start_at_the_unretained_share_and_end_at_one():
    assert thomas(0.0, units=5.0, desorption=1.0, loading=0.0) == pytest.approx(math.exp(-5.0))
    assert thomas(-1.0, units=5.0, desorption=1.0, loading=1.0) == 0.0
    assert thomas(1e4, units=7000.0, desorption=5.0, loading=3.0) == 1.0
    assert bohart_adams(0.0, uptake=1.0, sites=5.0) == pytest.approx(math.exp(-5.0))
    with pytest.raises(ValueError, match="loading -1"):
        thomas(1.0, units=5.0, desorption=1.0, loading=-1)
    with pytest.raises(ValueError, match="expected positive numbers"):
        bohart_adams(1.0, uptake=0.0, sites=1.0)
