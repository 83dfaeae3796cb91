"""Recordings of every kind through the room, and pictures that only change where something was removed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from medidiff.dehazing import bmode
from medidiff.dehazing.bmode import compressed, decompressed
from medidiff.dehazing.bmode_settings import BmodeSettings
from medidiff.dehazing.cone import Cone
from medidiff.dehazing.display import pictures_of
from medidiff.dehazing.judgement import challenge_frame, challenge_total, judge
from medidiff.dehazing.model import Priors
from medidiff.dehazing.phase import speckle_phase
from medidiff.dehazing.result import Dehazed
from medidiff.dehazing.settings import DehazeSettings
from medidiff.dehazing.track import baseband, dehaze_recording
from medidiff.errors import DataError
from medidiff.io.ultrasound.recording import Parallel, Pixels, Recording, Sector

HZ = {"sampling_hz": 2.5e6, "centre_hz": 2.5e6, "demodulation_hz": 2.5e6, "sound_speed": 1540.0}
SECTOR = Sector(0.015, 3.08e-4, -0.6, 0.02)
BMODE = BmodeSettings(rows=48, angles=48, cone=(-4.0, 30.0, -40.0, 35.0, 8.0, 56.0))


def iq(frames=3, shape=(48, 40), seed=0):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((frames, *shape)) + 1j * generator.standard_normal((frames, *shape))
    return values.astype(np.complex64)


def picture(frames=3):
    generator = np.random.default_rng(4)
    return Recording(generator.integers(0, 256, (frames, 60, 64), dtype=np.uint8), "image", Pixels(0.001, 0.001))


def run(recording, method, **settings):
    chosen = DehazeSettings(methods=("identity",), **settings)
    return dehaze_recording(recording, method=method, settings=chosen, bmode=BMODE, priors=Priors(), seed=1)


@pytest.mark.parametrize("geometry", [SECTOR, Parallel(0.005, 1e-4, 3e-4), Parallel(0.005, 1e-4)])
def test_iq_comes_back_as_iq_whose_tissue_and_haze_add_up(geometry):
    recording = Recording(iq(), "iq", geometry, **HZ)
    found = run(recording, "wiener")
    assert found.recording.kind == "iq" and found.recording.geometry == geometry
    np.testing.assert_allclose(found.recording.values + found.extras["haze"], recording.values, atol=1e-4)
    before, after = found.extras["picture_before"], found.extras["picture_after"]
    assert before.shape == after.shape and before.dtype == np.uint8 and found.numbers["domain"] == "iq"
    assert set(found.times) == {"seconds_per_frame", "latency_p95_s", "frames_per_second"}
    assert not set(found.times) & set(found.numbers)


def test_rf_is_brought_to_baseband_where_an_echo_keeps_its_range_and_back():
    depth, step = 512, 1540.0 / 2e7
    r = 0.01 + step * np.arange(depth)
    pulse = np.exp(-(((r - 0.03) / 1e-3) ** 2)) * np.cos(2 * np.pi * 2.5e6 * 2 * (r - 0.03) / 1540.0)
    rf = np.repeat(pulse[None, :, None], 20, axis=2).astype(np.float32)
    recording = Recording(rf, "rf", Sector(0.01, step, -0.2, 0.02), **(HZ | {"sampling_hz": 1e7}))
    signal, as_iq = baseband(recording)
    peak = as_iq.geometry.first_range_m + as_iq.geometry.range_step_m * int(signal.abs()[0, :, 3].argmax())
    assert peak == pytest.approx(0.03, abs=as_iq.geometry.range_step_m / 2 + 1e-9)
    found = run(recording, "identity")
    assert found.recording.kind == "rf" and found.recording.values.shape == rf.shape
    error = np.square(found.recording.values - rf).sum() / np.square(rf).sum()
    assert 10 * math.log10(error) < -40
    np.testing.assert_allclose(found.recording.values + found.extras["haze"], rf, atol=1e-6)


def test_a_method_that_changes_nothing_returns_every_pixel():
    recording = picture()
    found = run(recording, "identity")
    np.testing.assert_array_equal(found.recording.values, recording.values)
    assert found.numbers["cone.left_deg"] == pytest.approx(-40) and any("no phase" in text for text in found.warnings)


def test_pixels_outside_the_sector_and_coloured_ones_are_left_alone():
    overlay = np.zeros((3, 60, 64), bool)
    overlay[:, 25:30, 28:34] = True
    recording = replace(picture(), overlay=overlay)
    found = run(recording, "black_fill")
    changed = found.recording.values != recording.values
    rows, columns = np.indices((60, 64))
    r = np.hypot(rows + 4.0, columns - 30.0)
    assert changed.any() and not changed[:, (r > 57) | (r < 7)].any() and not changed[overlay].any()
    assert (found.recording.values <= recording.values).all() and found.extras["picture_haze"][changed].any()


def test_grey_levels_and_envelope_are_inverse_on_every_level():
    levels = torch.arange(256, dtype=torch.uint8)
    back = compressed(decompressed(levels, range_db=60.0), range_db=60.0)
    torch.testing.assert_close(back, levels.to(torch.float32), atol=1e-3, rtol=0)
    assert float(decompressed(torch.tensor([255 - 85], dtype=torch.uint8), range_db=60.0)) == pytest.approx(0.1, rel=1e-5)


def test_models_get_an_envelope_with_the_phase_of_tissue_and_their_spread_over_phases_is_kept(monkeypatch):
    seen = []

    def halved(y, **options):
        seen.append(y)
        told = {"network_calls": 1, "seconds_per_frame": 0.5, "latency_p95_s": 0.5, "warnings": [], "frames": []}
        return Dehazed(y * 0.5 * len(seen), y, y, None, told)

    monkeypatch.setattr(bmode, "_steps", lambda method, priors: None)
    monkeypatch.setattr(bmode, "dehaze", halved)
    recording = picture()
    cone = Cone(-4.0, 30.0, -0.7, 0.6, 8.0, 56.0)
    options = {"settings": DehazeSettings(), "bmode": BmodeSettings(angles=48, phases=2), "priors": Priors(), "seed": 3}
    found = bmode.dehaze_pictures(recording.values, cone, pixel_m=0.001, method="regress", **options)
    torch.testing.assert_close(seen[0].abs(), seen[1].abs())
    assert not torch.allclose(seen[0], seen[1]) and torch.allclose(seen[0][0].angle(), seen[0][1].angle(), atol=1e-4)
    tissue = found.separated.tissue.abs()
    torch.testing.assert_close(tissue, 0.75 * seen[0].abs())  # mean of one half and the whole
    torch.testing.assert_close(found.separated.spread, seen[0].abs() * 0.5 / math.sqrt(2))
    assert found.spread.any() and found.separated.diagnostics["network_calls"] == 2


def test_neighbouring_phases_agree_as_in_generated_tissue():
    u = speckle_phase((256, 256), seed=1)
    along, across = (float((u * u.roll(1, axis).conj()).mean().abs()) for axis in (0, 1))
    assert along == pytest.approx(0.41, abs=0.04) and across == pytest.approx(0.74, abs=0.04)


def test_a_model_asks_for_the_size_of_pixels():
    with pytest.raises(DataError, match=r"pixels of unknown size.*State pixel_mm"):
        run(replace(picture(), geometry=Pixels()), "regress")


def test_a_picture_on_beams_and_oblong_pixels_are_refused():
    with pytest.raises(DataError, match=r"grey levels on beams \(parallel\)"):
        run(replace(picture(), geometry=Parallel(0.0, 1e-4, 1e-4)), "identity")
    with pytest.raises(DataError, match="pixels of 1 x 2 mm, expected square ones"):
        run(replace(picture(), geometry=Pixels(0.001, 0.002)), "identity")


def test_a_box_of_a_clip_is_cut_out_and_put_back():
    recording = picture()
    wide = np.full((3, 70, 90), 77, np.uint8)
    wide[:, 5:65, 10:74] = recording.values
    boxed = Recording(wide, "image", Pixels(0.001, 0.001, (5, 65, 10, 74)))
    found = run(boxed, "black_fill").recording.values
    np.testing.assert_array_equal(found[:, 5:65, 10:74], run(recording, "black_fill").recording.values)
    assert (found[:, :5] == 77).all() and (found[:, :, 74:] == 77).all()


def test_an_echo_is_drawn_where_it_lies():
    envelope = torch.full((1, 40, 31), 1e-6)
    envelope[0, 30, 15] = 1.0
    scan = Sector(0.02, 0.002, -0.6, 0.04)
    shown = pictures_of(envelope, scan, reference=1.0, range_db=60.0, rows=90)[0]
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    top, bottom = 0.02 * math.cos(0.6), 0.098
    assert top + (bottom - top) * row / 89 == pytest.approx(0.08, abs=0.002) and abs(column - shown.shape[1] // 2) <= 2


def test_a_truth_is_preferred_to_regions_and_figures_follow_it():
    y = iq(1, (64, 64))
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[:, :30], labels[:, 34:] = 1, 2
    truth = {"x": y * np.where(labels == 1, 1, 0.1).astype(np.float32), "labels": labels}
    truth["h"] = y - truth["x"]
    before = Recording(y, "iq", SECTOR, **HZ)
    perfect, said = judge(before, replace(before, values=truth["x"]), haze=truth["h"], truth=truth)
    assert said == () and perfect["nmse_db"] == -math.inf and perfect["nmse_haze_db"] == -math.inf
    same, _ = judge(before, before, haze=np.zeros_like(y), truth=truth)
    assert same["nmse_gain_db"] == 0 and same["nmse_haze_db"] == 0 and same["gcnr"] == pytest.approx(same["gcnr_before"])


def test_contrast_of_named_regions_is_measured_before_and_after_or_the_reason_is_told():
    values = np.zeros((2, 40, 40), np.uint8)
    generator = np.random.default_rng(1)
    values[:, :20], values[:, 20:] = generator.integers(100, 200, (2, 20, 40)), generator.integers(60, 160, (2, 20, 40))
    before = Recording(values, "image", Pixels())
    after = replace(before, values=np.where(np.indices((40, 40))[0] < 20, values, values // 2).astype(np.uint8))
    found, said = judge(before, after, tissue=(0, 20, 0, 40), chamber=(20, 40, 0, 40))
    assert said == () and found["gcnr"] > found["gcnr_before"] + 0.3 and found["ks_tissue"] == 0 and found["ks_chamber"] > 0.4
    nothing, why = judge(before, after, tissue=(0, 2, 0, 4), chamber=(20, 40, 0, 40))
    assert nothing == {} and "each needs 50" in why[0]
    assert "no truth and no regions" in judge(before, after)[1][0]


def test_a_challenge_without_regions_or_networks_has_no_score_but_says_what_is_missing():
    hazy = np.random.default_rng(3).integers(0, 256, (40, 40), dtype=np.uint8)
    regions = np.zeros((40, 40), np.uint8)
    regions[:15], regions[25:] = 255, 128
    dark = np.where(regions == 128, hazy // 8, hazy).astype(np.uint8)
    total = challenge_total({"a": challenge_frame(hazy, dark, regions), "b": challenge_frame(hazy, dark, 0 * regions)})
    assert total["score"] is None and {"fid", "dice", "asd"} <= set(total["missing"]) and total["frames_with_regions"] == 1
    assert total["groups"]["distributions"]["points"] == pytest.approx(100) and total["means"]["ks_a"] == 0
