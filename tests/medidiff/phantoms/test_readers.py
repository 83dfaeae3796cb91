import numpy as np
import pytest
from scipy.stats import norm

from medidiff.phantoms.anatomy import Lesion
from medidiff.phantoms.readers import draw_outlines, median_margin, median_outline, outline_probability
from medidiff.phantoms.solids import Ellipsoid


def ball(label="GTVn", *, centre=(0, 0, 0), radius=10.0, probability=1.0):
    return Lesion(label, Ellipsoid(np.array(centre, float), np.full(3, radius), np.eye(3), 70.0, 6.0), probability)


def ray(n=60, reach=20.0):
    return np.column_stack([np.linspace(-reach, reach, n), np.full(n, 0.4), np.full(n, -0.3)])


LESIONS = {
    "one certain": [ball()],
    "one grey": [ball(probability=0.3)],
    "two that overlap": [ball(probability=0.6), ball(centre=(7, 0, 0), radius=8, probability=0.45)],
    "three of two labels": [
        ball("GTVp"),
        ball(centre=(6, 1, 0), probability=0.2),
        ball(centre=(-9, 0, 2), radius=6, probability=0.8),
    ],
}


@pytest.mark.parametrize("name", LESIONS)
def test_probability_is_the_mean_of_twenty_thousand_readers(name):
    points = ray()
    exact = outline_probability(LESIONS[name], points)
    drawn = draw_outlines(LESIONS[name], points, count=20_000, generator=np.random.default_rng(3)) > 0
    error = np.sqrt(np.maximum(exact * (1 - exact), 1e-9) / 20_000)
    assert (np.abs(drawn.mean(axis=0) - exact) <= 4 * error + 1e-6).all()
    assert 0.02 < exact.max() <= 1 and exact.min() < 1e-6


def test_probability_of_one_lesion_is_the_normal_tail_of_its_log_radius():
    points = np.array([[9.0, 0, 0], [10, 0, 0], [11, 0, 0]])
    expected = 0.3 * norm.sf(np.log([0.9, 1.0, 1.1]) / 0.08)
    np.testing.assert_allclose(outline_probability([ball(probability=0.3)], points), expected, rtol=1e-5)


def test_without_lesions_nobody_outlines_anything():
    assert not outline_probability([], ray()).any()
    assert not draw_outlines([], ray(), count=4, generator=np.random.default_rng(1)).any()
    assert not median_outline([], ray()).any()


def test_the_median_reader_outlines_where_the_probability_of_certain_lesions_is_a_half():
    lesions = [ball("GTVp"), ball(centre=(40, 0, 0))]
    points = np.random.default_rng(5).uniform(-15, 55, size=(4000, 3))
    np.testing.assert_array_equal(median_outline(lesions, points) > 0, outline_probability(lesions, points) >= 0.5)


def test_a_node_that_most_readers_doubt_is_no_tumour_to_the_median_reader():
    assert not median_outline([ball(probability=0.49)], ray()).any()
    assert (median_outline([ball(probability=0.51)], ray()) == 2).any()


def test_the_primary_wins_where_two_lesions_touch():
    labels = median_outline([ball("GTVp"), ball(centre=(8, 0, 0))], np.array([[4.0, 0, 0], [15, 0, 0]]))
    assert labels.tolist() == [1, 2]


def test_the_margin_is_positive_exactly_inside_and_measures_millimetres():
    lesions, points = [ball("GTVp"), ball(centre=(30, 0, 0), probability=0.2)], np.array([[0.0, 0, 0], [7, 0, 0], [13, 0, 0]])
    np.testing.assert_allclose(median_margin(lesions, points, label="GTVp"), [10, 3, -3], atol=1e-4)
    assert (median_margin(lesions, points, label="GTVn") == -1000).all()
