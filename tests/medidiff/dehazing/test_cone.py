"""The sector of a picture, found again where it was drawn."""

import math

import numpy as np
import pytest

from medidiff.dehazing.cone import Cone, fit_cone, told
from medidiff.errors import DataError

DRAWN = Cone(-12.0, 71.0, math.radians(-38.0), math.radians(43.0), 20.0, 128.0)


def drawn(cone=DRAWN, shape=(130, 150), frames=4, seed=0):
    rows, columns = np.indices(shape)
    down, across = rows - cone.apex_row, columns - cone.apex_column
    r, angle = np.hypot(down, across), np.arctan2(across, down)
    inside = (r >= cone.near) & (r <= cone.far) & (angle >= cone.left_rad) & (angle <= cone.right_rad)
    noise = np.random.default_rng(seed).integers(0, 200, (frames, *shape))
    picture = (noise * inside).astype(np.uint8)
    picture[:, 3:12, 3:30] = 250  # writing stands still
    return picture


def test_a_drawn_sector_is_found_beside_writing_that_stands_still():
    found = fit_cone(drawn())
    assert found.apex_row == pytest.approx(DRAWN.apex_row, abs=4) and found.apex_column == pytest.approx(DRAWN.apex_column, abs=2)
    assert math.degrees(found.left_rad) == pytest.approx(-38, abs=1.5)
    assert math.degrees(found.right_rad) == pytest.approx(43, abs=1.5)
    assert found.far == pytest.approx(128, abs=4) and found.overlap > 0.95
    assert told(found)["right_deg"] == pytest.approx(43, abs=1.5)


def test_a_larger_picture_gives_the_same_sector_larger():
    small, large = fit_cone(drawn()), fit_cone(np.kron(drawn(), np.ones((1, 3, 3), np.uint8)))
    assert large.far == pytest.approx(3 * small.far, rel=0.03)
    assert large.apex_column == pytest.approx(3 * small.apex_column + 1, abs=5)


def test_a_picture_without_echoes_or_of_another_shape_is_refused_with_the_setting_that_helps():
    with pytest.raises(DataError, match=r"found no echoes in 4 frames. State it"):
        fit_cone(np.zeros((4, 60, 60), np.uint8))
    rows, columns = np.indices((60, 90))
    upside_down = np.zeros((4, 60, 90), np.uint8)
    upside_down[::2, (rows > 5) & (np.abs(columns - 45) < 0.7 * (55 - rows))] = 200
    with pytest.raises(DataError, match=r"found an overlap of 0\.\d+, expected 0\.85"):
        fit_cone(upside_down)
