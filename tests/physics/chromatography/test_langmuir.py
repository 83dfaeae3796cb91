import math

import numpy as np
import pytest
import torch

from physics.chromatography.breakthrough import bohart_adams, thomas
from physics.chromatography.kernel import pulse_response
from physics.chromatography.langmuir import LangmuirColumn, box_inlet, cells_without_ringing, elute


def column(adsorption, desorption, capacity, hold_up, pressure_ratio=1.0):
    tensors = [torch.tensor(value, dtype=torch.float64) for value in (adsorption, desorption, capacity)]
    hold_ups = torch.full((len(tensors[0]),), hold_up, dtype=torch.float64)
    return LangmuirColumn(*tensors, hold_ups, pressure_ratio)


def sharp(columns, cells, steps):
    """Unit amount in the first step of every analyte."""
    inlet = torch.zeros((*columns.adsorption.shape, steps), dtype=torch.float64)
    inlet[..., 0] = cells / columns.hold_up[:, None]
    return inlet


@pytest.mark.parametrize("cells", [40, 150])
def test_midpoint_reproduces_mean_and_variance_exactly_at_every_step_size(cells):
    k, kd, hold_up = 2.43, 5.3, 34.0
    columns = column([[k * kd]], [[kd]], [[math.inf]], hold_up)
    step = hold_up / cells
    run = elute(columns, sharp(columns, cells, 14 * cells), cells=cells)
    y = run.outlet[0, 0].numpy() * step
    elapsed = run.times[0].numpy() - 0.5 * step
    mean = np.sum(y * elapsed)
    assert mean == pytest.approx(hold_up * (1 + k), rel=1e-9)
    assert np.sum(y * (elapsed - mean) ** 2) == pytest.approx(2 * k * hold_up / kd, rel=1e-8)


def test_exact_exponential_inflates_the_variance_by_z_coth_z():
    k, kd, hold_up, cells = 2.43, 5.3, 34.0, 60
    step, rate = hold_up / cells, kd * (1 + k)
    decay = math.exp(-rate * step)
    mobile, bound, out = np.zeros(cells), np.zeros(cells), []
    for index in range(14 * cells):
        out.append(mobile[-1])
        mobile = np.concatenate([[1.0 if index == 0 else 0.0], mobile[:-1]])
        total = mobile + bound
        mobile = total / (1 + k) + (mobile - total / (1 + k)) * decay
        bound = total - mobile
    elapsed = np.arange(14 * cells) * step
    mean = np.dot(out, elapsed)
    z = 0.5 * rate * step
    assert np.dot(out, (elapsed - mean) ** 2) == pytest.approx(2 * k * hold_up / kd * z / math.tanh(z), rel=1e-6)


def benzene_error(btex, cells):
    """Largest error of the eluted benzene peak over its height, compressible column, against the kernel."""
    k, kd = float(btex.retention[0, 4]), float(btex.desorption[0, 4])
    columns = column([[k * kd]], [[kd]], [[math.inf]], btex.hold_up, btex.column.pressure_ratio)
    step = columns.hold_up / cells
    inlet = box_inlet(
        torch.ones((1, 1), dtype=torch.float64), duration=torch.tensor([4.0], dtype=torch.float64), step=step, count=5 * cells
    )
    run = elute(columns, inlet, cells=cells)
    one_k, one_kd, one_hold_up = (torch.tensor([value], dtype=torch.float64) for value in (k, kd, btex.hold_up))
    exact = pulse_response(run.times[0], retention=one_k, desorption=one_kd, hold_up=one_hold_up, injection=4.0)[0]
    return float((run.outlet[0, 0] - exact).abs().max() / exact.max())


def test_benzene_peak_converges_with_second_order_at_the_tabulated_errors(btex):
    errors = [benzene_error(btex, cells) for cells in (250, 500)]
    assert errors[0] < 1.1 * 0.0049
    assert errors[1] < 1.1 * 0.0012
    assert np.log2(errors[0] / errors[1]) > 1.9


def breakthrough_error(cells):
    """Errors against Thomas for five loadings at once, N = 55."""
    loadings, units, k, hold_up = [0.0, 0.5, 1.0, 2.0, 5.0], 55.0, 2.0, 30.0
    kd = units / (k * hold_up)
    capacity = [[k / loading if loading else math.inf] for loading in loadings]
    columns = column([[k * kd]] * 5, [[kd]] * 5, capacity, hold_up)
    run = elute(columns, torch.ones((5, 1, 5 * cells), dtype=torch.float64), cells=cells)
    assert float(run.imbalance.abs().max()) < 1e-13
    elapsed = run.times[0].numpy() - hold_up
    exact = np.stack([thomas(elapsed, units=units, desorption=kd, loading=loading) for loading in loadings])
    return np.abs(run.outlet[:, 0].numpy() - exact).max(axis=1)


def test_nonlinear_breakthrough_converges_to_thomas_with_second_order():
    coarse, fine = breakthrough_error(150), breakthrough_error(300)
    assert (np.log2(coarse / fine) > 1.85).all()
    assert (fine * (300 / 2000) ** 2 < 5e-5).all()


def test_irreversible_column_converges_to_bohart_and_adams():
    rate, capacity, hold_up, cells = 3.0, 2.0, 3.0, 200
    columns = column([[rate]], [[0.0]], [[capacity]], hold_up)
    run = elute(columns, torch.ones((1, 1, 5 * cells), dtype=torch.float64), cells=cells)
    exact = bohart_adams(run.times[0].numpy() - hold_up, uptake=rate / capacity, sites=rate * hold_up)
    np.testing.assert_allclose(run.outlet[0, 0], exact, atol=2e-5)


def test_halves_of_one_substance_compete_exactly_like_the_whole():
    whole = column([[12.0]], [[5.0]], [[0.8]], 10.0, 0.3)
    halves = column([[12.0, 12.0]], [[5.0, 5.0]], [[0.8, 0.8]], 10.0, 0.3)
    step = whole.hold_up / 60
    duration = torch.tensor([2.0], dtype=torch.float64)
    one = elute(
        whole, box_inlet(torch.ones((1, 1), dtype=torch.float64), duration=duration, step=step, count=500), cells=60
    ).outlet
    parts = box_inlet(torch.tensor([[0.3, 0.7]], dtype=torch.float64), duration=duration, step=step, count=500)
    two = elute(halves, parts, cells=60).outlet
    torch.testing.assert_close(two.sum(dim=1), one[:, 0], rtol=0, atol=2e-15)
    torch.testing.assert_close(two[:, 0] * 0.7, two[:, 1] * 0.3, rtol=0, atol=2e-15)


def test_columns_of_a_batch_are_independent_and_tiles_change_nothing(monkeypatch):
    many = column([[12.0, 3.0], [6.0, 2.0], [9.0, 8.0]], [[5.0, 4.0]] * 3, [[0.8, 0.5]] * 3, 10.0)
    inlet = torch.ones((3, 2, 200), dtype=torch.float64)
    together = elute(many, inlet, cells=50).outlet
    monkeypatch.setattr("physics.chromatography.langmuir.TILE", 1)
    torch.testing.assert_close(elute(many, inlet, cells=50).outlet, together, rtol=0, atol=1e-7)


def shift_by_competition(btex, theta0):
    """Movement of the toluene and benzene means in units of their own widths when the pair fills theta0 of the film."""
    pair, cells, steps = [3, 4], 150, 150 * 10
    k, kd = btex.retention[:, pair], btex.desorption[:, pair]
    height = torch.ones_like(k)
    means = []
    for scale in (math.inf, 1.0):
        capacity = scale * (k * height).sum() / theta0 * torch.ones_like(k)
        hold_up = torch.tensor([btex.hold_up], dtype=torch.float64)
        columns = LangmuirColumn(k * kd, kd, capacity, hold_up, btex.column.pressure_ratio)
        run = elute(
            columns,
            box_inlet(height, duration=torch.tensor([4.0], dtype=torch.float64), step=hold_up / cells, count=steps),
            cells=cells,
        )
        share = run.outlet[0] / run.outlet[0].sum(dim=-1, keepdim=True)
        mean = (share * run.times).sum(dim=-1)
        means.append(mean)
        if scale == math.inf:
            width = (share * (run.times - mean[:, None]) ** 2).sum(dim=-1).sqrt()
    return ((means[1] - means[0]) / width).tolist()


def test_competition_moves_retention_as_the_linearity_criterion_says(btex):
    toluene, benzene = shift_by_competition(btex, 1e-2)
    assert benzene == pytest.approx(-0.016, abs=0.008)
    assert toluene == pytest.approx(-0.052, abs=0.02)


def test_no_concentration_falls_below_zero_with_enough_cells_and_some_do_with_fewer():
    columns = column([[60.0]], [[4.0]], [[math.inf]], 5.0)
    enough = cells_without_ringing(columns)
    assert enough == 140
    assert float(elute(columns, sharp(columns, enough, 10 * enough), cells=enough).outlet.min()) >= 0.0
    assert float(elute(columns, sharp(columns, enough // 4, 4 * enough), cells=enough // 4).outlet.min()) < -1e-3


def test_bad_columns_and_inlets_are_refused_with_advice():
    with pytest.raises(ValueError, match="capacity and hold_up must be positive"):
        column([[1.0]], [[1.0]], [[0.0]], 1.0)
    with pytest.raises(ValueError, match="rates must not be negative"):
        column([[-1.0]], [[1.0]], [[1.0]], 1.0)
    with pytest.raises(ValueError, match="inlet has shape"):
        elute(column([[1.0]], [[1.0]], [[1.0]], 1.0), torch.ones((1, 2, 5), dtype=torch.float64), cells=10)
    with pytest.raises(ValueError, match=r"capacity \(2, 1\)"):
        column([[1.0]], [[1.0]], [[1.0], [1.0]], 1.0)
