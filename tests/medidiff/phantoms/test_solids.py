from math import erf

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from medidiff.phantoms.solids import Ellipsoid, blurred_ball, paint, sharp_edge


def oblique_ellipsoid(**changes) -> Ellipsoid:
    axes = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    return Ellipsoid(
        **{"centre": np.array([3.0, -7, 11]), "radii": np.array([4.0, 6, 9]), "axes": axes, "hu": 70.0, "suv": 5.0, **changes}
    )


def test_radius_fraction_is_one_on_the_surface_and_linear_along_a_ray():
    solid, way = oblique_ellipsoid(), np.random.default_rng(1).standard_normal((50, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    surface = way * solid.radii @ solid.axes.T
    for scale in (0.3, 1.0, 1.7):
        np.testing.assert_allclose(solid.radius_fraction(solid.centre + scale * surface), scale, rtol=1e-5)


def test_volume_of_an_ellipsoid_equals_the_count_of_its_points():
    solid = oblique_ellipsoid()
    points = np.random.default_rng(2).uniform(-10, 10, size=(200_000, 3)) + solid.centre
    share = (solid.radius_fraction(points) <= 1).mean()
    assert abs(share * 8.0 - solid.volume_ml) < 4 * 8.0 * np.sqrt(share * (1 - share) / 200_000)


def test_an_infinite_radius_makes_a_cylinder():
    solid = oblique_ellipsoid(radii=np.array([4.0, 6, np.inf]), axes=np.eye(3))
    points = solid.centre + np.array([[4.0, 0, -500], [0, 6, 0], [0, 0, 300]])
    np.testing.assert_allclose(solid.radius_fraction(points), [1, 1, 0], atol=1e-6)
    assert solid.mean_radius_mm == np.sqrt(24)


def test_blurred_ball_equals_a_numerical_blur_of_a_ball():
    step, radius, sigma = 0.25, 5.0, 2.1233
    axis = np.arange(-60, 61) * step
    r = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    sharp = np.clip((radius - r) / step + 0.5, 0, 1)  # partial volume of the edge voxels
    numeric = gaussian_filter(sharp, sigma / step, truncate=6)[60, 60]
    exact = blurred_ball(np.abs(axis) / radius, radius_mm=radius, sigma_mm=sigma)
    np.testing.assert_allclose(exact, numeric, atol=2e-3)


def test_blur_keeps_the_integral_of_a_ball():
    r = np.linspace(0, 40, 40_001)
    profile = blurred_ball(r / 6, radius_mm=6.0, sigma_mm=2.5)
    assert np.isclose(np.trapezoid(4 * np.pi * r**2 * profile, r), 4 / 3 * np.pi * 6**3, rtol=1e-5)


def test_blurred_ball_has_the_closed_form_limit_at_its_centre():
    radius, sigma = 4.0, 2.0
    chi = np.exp(-(radius**2) / (2 * sigma**2)) * np.sqrt(2 / np.pi) * radius / sigma
    expected = erf(radius / (np.sqrt(2) * sigma)) - chi
    assert np.isclose(blurred_ball(np.zeros(1), radius_mm=radius, sigma_mm=sigma)[0], expected, atol=1e-6)


def test_inner_layers_replace_outer_ones_and_edges_pass_the_middle_value():
    outer, inner = oblique_ellipsoid(radii=np.full(3, 20.0)), oblique_ellipsoid(radii=np.full(3, 5.0))
    points = outer.centre + np.array([[0.0, 0, 0], [0, 12, 0], [0, 0, 20], [40, 0, 0]])
    edge = lambda fraction, solid: sharp_edge(fraction, radius_mm=solid.mean_radius_mm, width_mm=0.2)
    values = paint(points, [(outer, 40.0), (inner, 70.0)], start=-1000.0, edge=edge, reach_mm=5.0)
    np.testing.assert_allclose(values, [70, 40, -480, -1000], atol=1e-2)
