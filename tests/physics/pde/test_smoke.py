import pytest
import torch

from physics.pde.control import minimise
from physics.pde.flow import Flow
from physics.pde.mac import Box
from physics.pde.pressure import Projection
from physics.pde.smoke import frozen_smoke, smoke

F64 = torch.float64
CELLS, FRAMES = 12, 3
TIMES = [0.2 * index for index in range(1, FRAMES + 1)]


@pytest.fixture(scope="module")
def flow():
    """A box with a wall across, open at the top and on the left."""
    solid = torch.zeros(CELLS, CELLS, dtype=torch.bool)
    solid[4:9, 6] = True
    box = Box(solid, 1 / CELLS, ("top", "left"))
    return Flow(box, Projection(box), viscosity=2e-3, buoyancy=2.0)


@pytest.fixture
def start(flow):
    density = torch.zeros(2, 1, CELLS, CELLS, dtype=F64)
    density[0, 0, 4:8, 2:5] = 1
    density[1, 0, 6:10, 8:11] = 1
    control = torch.randn(2, 2, FRAMES, CELLS, CELLS, generator=torch.Generator().manual_seed(0), dtype=F64)
    return density, torch.zeros(2, 2, CELLS, CELLS, dtype=F64), control


def mass(density):
    return density.flatten(-2).sum(-1) / CELLS**2


def test_smoke_is_kept_or_has_left_through_a_side_and_stays_between_its_extremes(flow, start):
    rim = torch.ones(CELLS, CELLS, dtype=torch.bool)
    rim[3:-3, 3:-3] = False
    for run in (smoke(*start, flow=flow, times=TIMES), frozen_smoke(*start, flow=flow, rim=rim, times=TIMES)):
        left = run.outflow.sum(1).cumsum(-1)
        assert float((mass(run.frames[:, 0]) + left - mass(start[0])).abs().max()) < 1e-15
        assert float(left[:, -1].max()) > 1e-3
        assert float(run.frames[:, 0].min()) > -1e-13 and float(run.frames[:, 0].max()) < 1 + 1e-12
        assert float(run.frames[:, 0, :, flow.box.solid].abs().max()) == 0
        assert float(run.outflow[:, [1, 2]].abs().max()) == 0


def test_warm_smoke_rises_and_without_buoyancy_or_force_nothing_moves(flow, start):
    density, velocity, control = start
    height = torch.arange(CELLS, dtype=F64)
    centre = lambda field: (field * height).sum((-2, -1)) / field.sum((-2, -1))
    rising = smoke(density, velocity, 0 * control[:, :, :2], flow=flow, times=TIMES[:2]).frames[0, 0, -1]
    assert float(centre(rising)) > float(centre(density[0, 0])) + 0.1
    still = smoke(density, velocity, 0 * control[:, :, :1], flow=Flow(flow.box, flow.projection), times=TIMES[:1])
    assert float((still.frames[:, 0, 0] - density[:, 0]).abs().max()) == 0


def test_the_mirror_image_of_a_plume_is_the_plume_of_the_mirror_image():
    box = Box(torch.zeros(CELLS, CELLS, dtype=torch.bool), 1 / CELLS, ("top",))
    plume = Flow(box, Projection(box), viscosity=1e-3, buoyancy=1.0)
    density = torch.rand(1, 1, CELLS, CELLS, generator=torch.Generator().manual_seed(1), dtype=F64)
    calm = torch.zeros(1, 2, CELLS, CELLS, dtype=F64)
    straight, mirrored = (smoke(d, calm, calm.unsqueeze(2), flow=plume, times=[0.2]).frames for d in (density, density.flip(2)))
    sign = torch.tensor([1.0, -1.0, 1.0], dtype=F64)[:, None, None, None]
    assert float((straight - (sign * mirrored).flip(3)).abs().max()) < 1e-12


def test_the_gradient_of_the_missed_share_is_that_of_central_differences(flow, start):
    density, velocity, control = (part[1:] for part in start)
    missed = lambda f: smoke(density, velocity, f, flow=flow, times=TIMES).missed_share("top", density, 1 / CELLS).sum()
    point = (0.1 * control).clone().requires_grad_(True)
    slope = torch.autograd.grad(missed(point), point)[0]
    way = torch.randn(control.shape, generator=torch.Generator().manual_seed(2), dtype=F64)
    numeric = (missed(0.1 * control + 1e-5 * way) - missed(0.1 * control - 1e-5 * way)) / 2e-5
    torch.testing.assert_close((slope * way).sum(), numeric, rtol=1e-4, atol=0)
    assert abs(float(numeric)) > 1e-6


def test_control_by_its_adjoint_drives_more_smoke_through_the_exit(flow, start):
    density, velocity, control = (part[1:] for part in start)
    share = lambda f: smoke(density, velocity, f, flow=flow, times=TIMES).missed_share("top", density, 1 / CELLS)
    objective = lambda f: share(f) + 1e-3 * f.square().flatten(1).mean(1)
    found = minimise(objective, 0 * control, size=5.0, iterations=4)
    assert float(share(found.control)) < 0.9 * float(share(0 * control))


def test_frozen_flow_takes_over_the_control_on_the_rim_and_ignores_the_forces(flow, start):
    density, velocity, _ = start
    rim = torch.ones(CELLS, CELLS, dtype=torch.bool)
    control = torch.zeros(2, 2, 1, CELLS, CELLS, dtype=F64)
    control[:, 1] = 0.4
    free = Box(torch.zeros_like(rim), 1 / CELLS, is_periodic=True)
    run = frozen_smoke(density, velocity, control, flow=Flow(free, Projection(free), buoyancy=9.0), rim=rim, times=[0.1])
    assert float((run.frames[:, 2] - 0.4).abs().max()) < 1e-13 and float(run.frames[:, 1].abs().max()) < 1e-13


def test_arrays_that_do_not_fit_are_named(flow, start):
    density, velocity, control = start
    with pytest.raises(ValueError, match=r"control has 3 intervals, 2 frames are asked\. Drop the padding row"):
        smoke(density, velocity, control, flow=flow, times=TIMES[:2])
    with pytest.raises(ValueError, match=r"velocity has shape \(2, 1, 12, 12\); expected \(2, 2, 12, 12\)"):
        smoke(density, velocity[:, :1], control, flow=flow, times=TIMES)
    density[1, 0, 3, 5] = torch.nan
    with pytest.raises(ValueError, match=r"trajectory 1: 1 values of density are not finite, first at index \(0, 3, 5\)"):
        smoke(density, velocity, control, flow=flow, times=TIMES)
