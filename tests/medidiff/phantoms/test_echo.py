"""A generated echocardiogram is what its truth says: levels, haze, regions, motion, and targets."""

import json

import numpy as np
import pytest
import torch

from medidiff.metrics.contrast import contrast_db, eroded, gcnr
from medidiff.metrics.dehazing_truth import nmse_db
from medidiff.metrics.detectability import kept_share, local_detectability
from medidiff.phantoms.echo import draw_echo, insert_target
from medidiff.phantoms.echo_anatomy import MYOCARDIUM, VENTRICLE, draw_heart


def _regions(echo):
    return tuple(eroded((echo.labels == label).numpy()) for label in (MYOCARDIUM, VENTRICLE))


def _rms(values):
    return float(values.abs().square().mean().sqrt())


@pytest.mark.parametrize("family", ["g1", "g2", "g3"])
def test_tissue_and_haze_have_the_stated_levels(family):
    echo = draw_echo(3, family=family, htr_db=-13.0)
    assert _rms(echo.x[echo.labels == MYOCARDIUM]) == pytest.approx(1, rel=1e-5)
    assert 20 * np.log10(_rms(echo.h[echo.labels == VENTRICLE])) == pytest.approx(-13.0, abs=1e-4)
    assert 20 * np.log10(_rms(echo.n[:, 120:136])) == pytest.approx(-55, abs=0.3)
    assert echo.x.dtype == echo.h.dtype == echo.n.dtype == torch.complex64 and echo.labels.dtype == torch.uint8
    assert echo.x.shape == echo.labels.shape == (1, *echo.grid.shape) == (1, 256, 128)


def test_the_third_family_differs_from_the_first_in_its_haze_alone():
    first, third = (draw_echo(4, family=family, htr_db=-10.0) for family in ("g1", "g3"))
    assert torch.equal(first.x, third.x) and torch.equal(first.labels, third.labels) and torch.equal(first.n, third.n)
    lateral = lambda h: float((h[..., 1:] * h[..., :-1].conj()).mean().abs() / h.abs().square().mean())
    assert lateral(first.x) < lateral(third.h) < lateral(first.h) - 0.02  # its grain lies between those of tissue and haze


def test_the_same_seed_gives_the_same_clip_and_another_seed_another():
    one, same, other = (draw_echo(seed, shape=(64, 32)) for seed in (7, 7, 8))
    assert torch.equal(one.y, same.y) and one.parameters == same.parameters
    assert float((one.y - other.y).abs().max()) > 0.1


def test_only_the_scale_of_haze_follows_the_asked_level():
    weak, strong = (draw_echo(7, htr_db=level, shape=(64, 32)) for level in (-20.0, 0.0))
    assert torch.equal(weak.x, strong.x) and torch.allclose(10 * weak.h, strong.h, rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_the_contrast_of_the_hazy_image_is_that_of_the_powers_of_its_parts(seed):
    echo = draw_echo(20000 + seed)
    a, b = _regions(echo)
    power = lambda part, region: float(np.square(np.abs(part.numpy()[region])).mean())
    total = [sum(power(part, region) for part in (echo.x, echo.h, echo.n)) for region in (a, b)]
    assert contrast_db(echo.y.numpy()[a], echo.y.numpy()[b]) == pytest.approx(10 * np.log10(total[0] / total[1]), abs=0.3)


@pytest.mark.parametrize("seed", range(5))
def test_every_patient_has_myocardium_and_blood_to_measure_and_blood_is_dark(seed):
    echo = draw_echo(seed)
    a, b = _regions(echo)
    assert a.sum() > 500 and b.sum() > 500
    assert 30 < contrast_db(echo.x.numpy()[a], echo.x.numpy()[b]) < 50


def test_fewer_samples_keep_depth_and_sector():
    small, whole = draw_echo(1, shape=(64, 32)), draw_echo(1)
    ends = lambda grid: (float(grid.range_m()[0]), float(grid.angle_rad()[0]), float(grid.angle_rad()[-1]))
    assert ends(small.grid) == pytest.approx(ends(whole.grid))
    assert small.grid.range_step_m * 64 == pytest.approx(whole.grid.range_step_m * 256)
    share = lambda echo: float((echo.labels == VENTRICLE).float().mean())
    assert share(small) == pytest.approx(share(whole), abs=0.02)


def test_material_points_are_where_the_beating_heart_took_them():
    heart = draw_heart(np.random.default_rng(4))
    x, z = torch.meshgrid(torch.linspace(-0.04, 0.04, 30), torch.linspace(0.02, 0.1, 30), indexing="ij")
    for frame in (5, 12):
        back = heart.material(*heart.moved(x, z, frame), frame)
        assert float(torch.hypot(back[0] - x, back[1] - z).max()) < 2e-5


def test_the_ventricle_of_a_clip_contracts_and_its_speckle_moves_along():
    clip = draw_echo(5, frames=12, shape=(128, 64), htr_db=-10.0)
    size = (clip.labels == VENTRICLE).flatten(1).sum(1)
    assert float(size[-1]) < 0.92 * float(size[0])
    wall = (clip.labels[0] == MYOCARDIUM) & (clip.labels[1] == MYOCARDIUM)
    similar = lambda a, b: float(np.corrcoef(clip.x[a].abs()[wall], clip.x[b].abs()[wall])[0, 1])
    assert similar(0, 1) > 0.9 > 0.5 > similar(0, 11)


def test_a_clip_of_one_patient_has_the_anatomy_of_its_single_frame():
    assert torch.equal(draw_echo(5, frames=2, shape=(64, 32)).labels[0], draw_echo(5, shape=(64, 32)).labels[0])


def test_parameters_can_be_written_as_json():
    found = json.loads(json.dumps(draw_echo(2, family="g2", shape=(64, 32)).parameters))
    assert found["seed"] == 2 and len(found["haze"]["walls"]) == 2


def test_an_inserted_target_lies_in_the_blood_at_its_level_and_only_in_its_frames():
    clip = draw_echo(5, frames=3, shape=(256, 128), htr_db=-15.0)
    found, target = insert_target(clip, seed=1, level_db=-25.0, frames=slice(1, 2))
    strong = target[1].abs() > 0.3 * target[1].abs().max()
    assert bool((clip.labels[1][strong] == VENTRICLE).all())
    assert not target[0].any() and not target[2].any()
    assert torch.equal(found.x, clip.x + target) and torch.equal(found.h, clip.h)
    assert -34 < 20 * np.log10(_rms(target[1][strong])) < -20


def test_black_paint_wins_the_challenge_and_loses_what_knows_the_truth():
    echo, target = insert_target(draw_echo(20001, htr_db=-12.0), seed=0)
    a, b = _regions(echo)
    y, x, t = echo.y.numpy(), echo.x.numpy(), target.numpy()
    blood = (echo.labels == VENTRICLE).numpy()
    black = np.where(blood, 0, y)
    contrast = lambda image: gcnr(np.abs(image[a]), np.abs(image[b]), bins="challenge").value
    assert contrast(black) == 1.0 > contrast(x) > contrast(y)
    support = np.abs(t) > 0.1 * np.abs(t).max()
    assert nmse_db(black, x, region=support) == pytest.approx(0.0, abs=1e-6)
    assert kept_share(black, t) == pytest.approx(0, abs=0.02) and kept_share(x, t) == pytest.approx(1, abs=0.2)
    seen = {name: local_detectability(image[0], t[0], region=blood[0]) for name, image in (("black", black), ("x", x), ("y", y))}
    assert abs(seen["black"]) < 0.05 and seen["x"] > 10 and seen["x"] > 3 * seen["y"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"family": "g4"}, "one of g1, g2"), ({"frames": 0}, "at least 1 frame"), ({"shape": (8, 8)}, "at least 16 samples")],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw_echo(0, **options)
