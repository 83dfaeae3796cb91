"""The room's entry: what every method keeps, what it tells, and what it refuses."""

import pytest
import torch

from medidiff.dehazing.model import Priors
from medidiff.dehazing.settings import NEED_MODEL, DehazeSettings, SignalSettings, SplitGibbsSettings, WarmStartSettings
from medidiff.dehazing.task import dehaze, dehaze_frames, padded, prepare
from medidiff.errors import ConfigError, DataError, NumericsError
from physics.ultrasound.polar import PolarGrid

SHORT = DehazeSettings(
    split_gibbs=SplitGibbsSettings(levels=2, repeats=2, samples=2),
    projection={"steps": 3},
    guided={"steps": 3},
    conditional_sampler={"steps": 2, "samples": 2},
)
ADD_UP = ("identity", "black_fill", "svd", "high_pass", "wiener", "nlm", "regress", "conditional", "split_gibbs")


@pytest.mark.parametrize("method", ADD_UP)
def test_parts_add_up_to_the_measurement(method, y, grid, priors):
    found = dehaze(y, grid, method=method, settings=SHORT, priors=priors, seed=1)
    assert found.tissue.shape == found.haze.shape == y.shape
    assert found.tissue.dtype == torch.complex64
    assert float(torch.linalg.vector_norm(y - found.tissue - found.haze)) < 1e-5 * float(torch.linalg.vector_norm(y))
    assert found.diagnostics["residual"] < 1e-5


@pytest.mark.parametrize("method", ["projection", "dps", "pigdm"])
def test_what_a_compared_method_does_not_explain_is_its_residual(method, y, grid, priors):
    found = dehaze(y, grid, method=method, settings=SHORT, priors=priors, seed=1)
    torch.testing.assert_close(found.tissue + found.haze + found.residual, y, rtol=1e-5, atol=1e-2)
    assert found.diagnostics["residual"] > 1e-3


@pytest.mark.parametrize("method", sorted(NEED_MODEL))
def test_a_frame_alone_is_the_frame_in_its_clip(method, y, grid, priors):
    together = dehaze(y, grid, method=method, settings=SHORT.model_copy(update={"frames_at_once": 3}), priors=priors, seed=2)
    one_by_one = dehaze(y, grid, method=method, settings=SHORT, priors=priors, seed=2)
    torch.testing.assert_close(together.tissue, one_by_one.tissue, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("method", ["split_gibbs", "regress", "wiener", "projection"])
def test_no_strength_returns_the_measurement(method, y, grid, priors):
    found = dehaze(y, grid, method=method, settings=SHORT.model_copy(update={"strength": 0.0}), priors=priors)
    torch.testing.assert_close(found.tissue, y, rtol=1e-6, atol=1e-5)
    assert not found.haze.any()


def test_strength_is_the_share_of_the_haze_that_is_taken_away(y, grid, priors):
    whole = dehaze(y, grid, method="regress", priors=priors)
    half = dehaze(y, grid, method="regress", priors=priors, settings=SHORT.model_copy(update={"strength": 0.5}))
    torch.testing.assert_close(y - half.tissue, 0.5 * (y - whole.tissue), rtol=1e-4, atol=1e-3)


def test_gain_of_the_scanner_does_not_matter(y, grid, priors):
    quiet, loud = (dehaze(scale * y, grid, method="split_gibbs", settings=SHORT, priors=priors, seed=3) for scale in (1e-4, 1e3))
    torch.testing.assert_close(quiet.tissue / 1e-4, loud.tissue / 1e3, rtol=1e-3, atol=1e-2)


def test_an_empty_frame_stays_empty_and_is_told(y, grid, priors):
    y[1] = 0
    found = dehaze(y, grid, method="split_gibbs", settings=SHORT, priors=priors)
    assert found.diagnostics["empty_frames"] == [1]
    assert not found.tissue[1].any()
    assert torch.isfinite(torch.view_as_real(found.tissue)).all()


def test_samples_have_a_spread_and_a_regression_has_none(y, grid, priors):
    sampled = dehaze(y, grid, method="split_gibbs", settings=SHORT, priors=priors)
    assert sampled.spread.shape == y.shape
    assert bool((sampled.spread > 0).any())
    assert dehaze(y, grid, method="regress", priors=priors).spread is None


def test_numbers_tell_calls_model_and_speed(y, grid, priors):
    numbers = dehaze(y, grid, method="split_gibbs", settings=SHORT, priors=priors).diagnostics
    assert numbers["network_calls"] == 2 * 2 * 2 * 2  # two priors, two levels, two rounds, two samples
    assert numbers["model"] == "small-joint"
    assert numbers["frames_per_second"] == pytest.approx(1 / numbers["seconds_per_frame"])
    assert [record["frame"] for record in numbers["frames"]] == [0, 1, 2]


def test_frames_come_out_before_the_next_goes_in(y, grid, priors):
    taken = []
    stream = (taken.append(number) or frame for number, frame in enumerate(y))
    results = dehaze_frames(stream, prepare("regress", grid, settings=SHORT, priors=priors, seed=0))
    next(results)
    assert taken == [0]
    assert len(list(results)) == 2


def test_frames_after_the_first_start_from_the_one_before(y, grid, priors):
    still = y[:1].expand(4, -1, -1).clone()
    warm = SHORT.model_copy(update={"warm_start": WarmStartSettings(enabled=True, levels=2, repeats=1)})
    found = dehaze(still, grid, method="split_gibbs", settings=warm, priors=priors)
    assert found.diagnostics["warm_frames"] == 3
    assert [record["network_calls"] for record in found.diagnostics["frames"]] == [16, 8, 8, 8]
    still[2] = 30 * torch.randn(y.shape[1:], dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    again = dehaze(still, grid, method="split_gibbs", settings=warm, priors=priors).diagnostics["frames"]
    assert [record["is_warm"] for record in again] == [False, True, False, True]  # and from the new scene on


def test_padding_mirrors_and_any_size_can_be_padded():
    y = torch.arange(6.0).reshape(1, 2, 3) + 0j
    assert padded(y, 4).real[0].tolist() == [[0, 1, 2, 1], [3, 4, 5, 4], [0, 1, 2, 1], [3, 4, 5, 4]]
    assert padded(y[:, :1, :1], 8).shape == (1, 8, 8)


def test_values_that_are_not_finite_are_refused_by_frame_and_number(y, grid):
    y[2, 0, :4] = float("nan")
    with pytest.raises(DataError, match=r"frame 2: 4 samples are not finite"):
        dehaze(y, grid, method="identity")


def test_log_compressed_images_are_sent_to_the_b_mode_track(grid):
    with pytest.raises(DataError, match=r"uint8.*not additive after log compression"):
        dehaze(torch.zeros(1, *grid.shape, dtype=torch.uint8), grid, method="wiener")


def test_a_saturated_recording_is_refused_and_a_little_clipping_is_told(grid, y):
    saturated = 0.01 * y
    saturated[0, :9] = 1e4 * torch.exp(1j * torch.angle(saturated[0, :9]))
    options = SHORT.model_copy(update={"signal": SignalSettings(headroom=1.0)})
    dehaze(saturated, grid, method="identity", settings=options)  # all equal: the quantile is the plateau itself
    few = y.clone()
    few[0, 3, 3] *= 1e3
    told = dehaze(
        few, grid, method="identity", settings=options.model_copy(update={"signal": SignalSettings(clipped_warning=1e-3)})
    )
    assert "above full scale" in told.diagnostics["warnings"][0]
    tight = options.model_copy(update={"signal": SignalSettings(headroom=1.0, clipped_error=1e-4)})
    with pytest.raises(DataError, match="saturated"):
        dehaze(few, grid, method="identity", settings=tight)


def test_a_model_of_another_companding_or_grid_is_refused(y, grid, priors):
    other = SHORT.model_copy(update={"signal": SignalSettings(mu=100.0)})
    with pytest.raises(DataError, match=r"trained with mu 255, dehaze.signal.mu is 100"):
        dehaze(y, grid, method="regress", settings=other, priors=priors)
    coarse = PolarGrid(0.015, 0.6e-3, *y.shape[1:2], -0.12, 10.3e-3, y.shape[2])
    with pytest.raises(DataError, match=r"range step of 0.308 mm, this recording has 0.6 mm"):
        dehaze(y, coarse, method="regress", priors=priors)


def test_a_prior_that_failed_its_gate_is_not_sampled(y, grid, small):
    weak, _ = small("joint", gate={"tissue": {"0.1": 0.9}, "haze": {"0.1": 1.2}})
    with pytest.raises(DataError, match=r"prior not trained. At noise level 0.1 its haze denoiser makes 1.20 times"):
        dehaze(y, grid, method="split_gibbs", priors=Priors(joint=weak))


def test_a_method_without_its_model_is_refused(y, grid):
    with pytest.raises(ConfigError, match=r"method regress needs a model.*dehaze.regress"):
        dehaze(y, grid, method="regress")


def test_a_single_frame_has_no_slow_time(y, grid):
    with pytest.raises(ConfigError, match="svd: found 1 frames"):
        dehaze(y[:1], grid, method="svd")


def test_frames_of_another_size_than_their_grid_are_refused(y, grid):
    with pytest.raises(DataError, match="frames of 18 x 14 samples, but their grid has 19 ranges"):
        dehaze(y[:, :18], grid, method="identity")


def test_haze_outside_the_training_range_is_flagged(y, grid, small):
    model, _ = small("regress", htr_db=(-80.0, -70.0))
    found = dehaze(y, grid, method="regress", priors=Priors(regress=model))
    assert found.diagnostics["out_of_range"]
    assert "outside what the model was trained with" in found.diagnostics["warnings"][-1]


def test_a_sampler_that_runs_away_is_stopped(y, grid, priors):
    wild = DehazeSettings(guided={"steps": 3, "dps_weight": 1e4})
    with pytest.raises(NumericsError, match=r"left the noise shell|grew to more than|not finite"):
        dehaze(y, grid, method="dps", settings=wild, priors=priors)
