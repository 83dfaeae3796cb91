import hashlib

import numpy as np
import pytest
from PIL import Image

from medidiff.report import figures
from medidiff.report.scene import Scene, read_scene


@pytest.fixture
def scene(workspace):
    workspace.petct("P-1")
    return read_scene(workspace.study("P-1"))


def panels(figure):
    return [ax for ax in figure.axes if ax.get_title(loc="left")]


def titles(figure):
    return [ax.get_title(loc="left") for ax in panels(figure)]


def test_planes_have_three_panels_with_square_millimetres_and_a_colour_bar_with_its_unit(scene):
    figure = figures.planes_figure(scene)
    assert titles(figure) == ["axial", "coronal", "sagittal"]
    assert all(ax.get_aspect() == 1 for ax in panels(figure))
    assert [ax.get_ylabel() for ax in figure.axes if ax not in panels(figure)] == ["SUVbw (g/ml)"]
    figure.canvas.draw()
    per_mm = [ax.get_window_extent().width / abs(np.diff(ax.get_xlim())[0]) for ax in panels(figure)]
    assert np.ptp(per_mm) < 0.05 * max(per_mm)  # a millimetre is as long in each panel


@pytest.mark.parametrize("draw", [figures.planes_figure, figures.lesion_figure, figures.projection_figure])
def test_the_patients_right_and_front_are_on_the_left(draw, scene):
    for ax in panels(draw(scene)):
        left, right = ax.get_xlim()
        bottom, top = ax.get_ylim()
        assert left > right and top > bottom  # RAS: x grows to the patient's right, y to the front
        letters = {t.get_text(): t.get_position() for t in ax.texts if len(t.get_text()) == 1}
        sides = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}[ax.get_title(loc="left")]
        assert list(letters) == list(sides)
        assert letters[sides[0]][0] < letters[sides[1]][0] and letters[sides[2]][1] > letters[sides[3]][1]


def test_the_ball_lies_where_it_was_put_and_looks_round(scene, workspace):
    figure = figures.lesion_figure(scene)
    for ax, (side, up) in zip(panels(figure), [(0, 1), (0, 2), (1, 2)]):
        truth = next(c for c in ax.collections if tuple(c.get_edgecolor()[0][:3]) == pytest.approx(rgb(figures.TRUTH_COLOUR)))
        points = np.concatenate([path.vertices for path in truth.get_paths()])
        middle = (points.max(axis=0) + points.min(axis=0)) / 2
        assert np.allclose(middle, workspace.centre[[side, up]], atol=3)
        assert np.allclose(np.ptp(points, axis=0), 2 * workspace.radius, atol=5)


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def test_every_contour_has_its_colour_and_its_name_in_the_legend(scene):
    figure = figures.lesion_figure(scene)
    [legend] = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["truth", "suv2", "suv4"]
    assert len({line.get_color() for line in legend.get_lines()}) == 3
    for ax in panels(figure):
        shown = {tuple(np.round(c.get_edgecolor()[0][:3], 3)) for c in ax.collections}
        assert shown >= {tuple(np.round(rgb(line.get_color()), 3)) for line in legend.get_lines()}


def test_projections_show_the_front_and_the_side_with_the_hottest_voxels(scene):
    figure = figures.projection_figure(scene)
    assert titles(figure) == ["coronal", "sagittal"]
    for ax in panels(figure):
        assert ax.images[0].get_array().max() == pytest.approx(8.0, abs=1.0)


def test_a_scene_without_pet_or_without_masks_is_drawn_too(scene):
    ct_only = Scene({"CT": scene.images["CT"]}, {})
    assert len(figures.planes_figure(ct_only).axes) == 3
    pet_only = Scene({"PET": scene.images["PET"]}, {})
    assert len(figures.planes_figure(pet_only).axes) == 4
    assert figures.lesion_figure(pet_only).legends == []


def test_names_that_look_like_formulas_are_drawn_as_they_are(scene, tmp_path):
    odd = Scene(scene.images, {"$\\frac{1}$": scene.masks["truth"]})
    assert figures.save(figures.lesion_figure(odd), tmp_path / "odd.png").stat().st_size > 10_000


def test_the_same_scene_gives_the_same_bytes_without_date_or_program(scene, tmp_path):
    paths = [figures.save(figures.planes_figure(scene), tmp_path / name) for name in ("a.png", "b.png")]
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in paths}) == 1
    with Image.open(paths[0]) as image:
        assert set(image.info) <= {"dpi"}


def test_each_method_keeps_its_colour_beside_the_truths():
    assert figures.colours(["truth", "a", "b"]) == figures.colours(["a", "b"])
    assert len(set(figures.colours([f"m{i}" for i in range(8)]).values())) == 9
