import math
from itertools import pairwise

import pytest
import torch

from physics.pde.flow import Flow, momentum_slopes
from physics.pde.mac import Box, divergence, gradient, to_faces
from physics.pde.pressure import Projection

F64 = torch.float64
OBSTACLE = torch.zeros(12, 10, dtype=torch.bool)
OBSTACLE[3:6, 4:6] = OBSTACLE[8, 2:9] = True
BOXES = {
    "ring": Box(torch.zeros(12, 10, dtype=torch.bool), 0.1, is_periodic=True),
    "ring with obstacles": Box(OBSTACLE, 0.1, is_periodic=True),
    "closed box": Box(OBSTACLE, 0.1),
    "chimney": Box(OBSTACLE, 0.1, ("bottom", "top")),
}


def faces(box, seed=0, batch=2):
    """Random velocities on the faces of a box; first and last faces of a ring are one."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = box.solid.shape
    u = torch.randn(batch, rows + 1, columns, generator=generator, dtype=F64)
    v = torch.randn(batch, rows, columns + 1, generator=generator, dtype=F64)
    if box.is_periodic:
        u[:, -1], v[..., -1] = u[:, 0], v[..., 0]
    return u, v


def inner(box, first, second):
    """Sum over faces, each counted once."""
    last = slice(0, -1) if box.is_periodic else slice(None)
    return (first[0] * second[0])[:, last].sum() + (first[1] * second[1])[..., last].sum()


@pytest.mark.parametrize("name", BOXES)
def test_projected_flow_has_no_divergence_is_kept_and_is_the_nearest(name):
    box = BOXES[name]
    project = Projection(box)
    given = faces(box)
    kept = project(*given)
    assert float(divergence(*kept, box.width).abs().max()) < 1e-12
    again = project(*kept)
    assert max(float((a - b).abs().max()) for a, b in zip(again, kept)) < 1e-13
    masked = [mask * part for mask, part in zip(project.open, given)]
    removed = [before - after for before, after in zip(masked, kept)]
    assert abs(float(inner(box, removed, kept))) < 1e-11
    assert all(float((part * (1 - mask)).abs().max()) == 0 for part, mask in zip(kept, project.open))


@pytest.mark.parametrize("name", BOXES)
def test_gradient_is_minus_the_adjoint_of_divergence(name):
    box = BOXES[name]
    generator = torch.Generator().manual_seed(1)
    pressure = torch.randn(2, *box.solid.shape, generator=generator, dtype=F64) * ~box.solid
    given = [mask * part for mask, part in zip(box.open_faces(), faces(box))]
    steep = [mask * part for mask, part in zip(box.open_faces(), gradient(pressure, box))]
    torch.testing.assert_close(
        (divergence(*given, box.width) * pressure).sum(), -inner(box, given, steep), rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize("name", ["closed box", "chimney"])
def test_the_gradient_through_the_pressure_is_right(name):
    box = BOXES[name]
    project, given, aim = Projection(box), faces(box, batch=1), faces(box, seed=2, batch=1)
    loss = lambda u, v: sum((part.square() * way).sum() for part, way in zip(project(u, v), aim))
    point = [part.clone().requires_grad_(True) for part in given]
    slopes = torch.autograd.grad(loss(*point), point)
    way = faces(box, seed=3, batch=1)
    numeric = (loss(*(p + 1e-5 * w for p, w in zip(given, way))) - loss(*(p - 1e-5 * w for p, w in zip(given, way)))) / 2e-5
    torch.testing.assert_close(sum((s * w).sum() for s, w in zip(slopes, way)), numeric, rtol=1e-8, atol=1e-8)


def vortices(cells, t, viscosity):
    """Taylor and Green's vortices on a unit ring, carried by (1, 0.5): face velocities, closed form."""
    k, decay = 2 * math.pi, math.exp(-8 * math.pi**2 * viscosity * t)
    edge, middle = torch.arange(cells + 1, dtype=F64) / cells, (torch.arange(cells, dtype=F64) + 0.5) / cells
    xu, yu, xv, yv = (edge - t)[:, None], middle - 0.5 * t, (middle - t)[:, None], edge - 0.5 * t
    u = 1 - decay * torch.cos(k * xu) * torch.sin(k * yu)
    v = 0.5 + decay * torch.sin(k * xv) * torch.cos(k * yv)
    return u.unsqueeze(0), v.unsqueeze(0)


def ring(cells):
    return Box(torch.zeros(cells, cells, dtype=torch.bool), 1 / cells, is_periodic=True)


def advance(flow, u, v, duration, steps):
    state, calm = (u, v, u.new_zeros((1, *flow.box.solid.shape))), u.new_zeros((1, 2, *flow.box.solid.shape))
    for _ in range(steps):
        state, _ = flow.step(state, calm, duration / steps)
    return state


def test_vortices_carried_by_a_mean_flow_decay_as_taylor_and_green_say_with_second_order():
    errors = []
    for cells in (16, 32, 64):
        box = ring(cells)
        u, v, _ = advance(Flow(box, Projection(box), viscosity=0.01), *vortices(cells, 0.0, 0.01), 0.25, 2 * cells)
        exact = vortices(cells, 0.25, 0.01)
        errors.append(float(((u - exact[0]).square().mean() + (v - exact[1]).square().mean()).sqrt()))
        assert float(divergence(u, v, box.width).abs().max()) < 1e-11
        assert abs(float(u[:, :-1].mean()) - 1) < 1e-13 and abs(float(v[..., :-1].mean()) - 0.5) < 1e-13
    assert all(abs(math.log2(before / after) - 2) < 0.15 for before, after in pairwise(errors)), errors


def test_inviscid_flow_loses_energy_by_the_time_step_alone_with_third_order():
    box = ring(16)
    flow, start = Flow(box, Projection(box)), Projection(box)(*faces(ring(16), batch=1))
    start = tuple(0.3 * part for part in start)
    energy = lambda u, v: float(inner(box, (u, v), (u, v)))
    drift = [abs(energy(*advance(flow, *start, 0.1, steps)[:2]) / energy(*start) - 1) for steps in (10, 20, 40)]
    assert drift[2] < 1e-4
    assert all(abs(math.log2(before / after) - 3) < 0.3 for before, after in pairwise(drift)), drift


def test_convection_does_no_work_and_keeps_momentum_on_a_ring():
    box = ring(12)
    flow = Projection(box)(*faces(box))
    push = momentum_slopes(*flow, box, 0.0)
    assert abs(float(inner(box, flow, push))) < 1e-10 * float(inner(box, push, push)) ** 0.5 * 12
    assert float(push[0][:, :-1].sum((1, 2)).abs().max()) < 1e-10


def test_a_manufactured_flow_between_walls_is_followed_with_second_order():
    """Stream function sin^2(pi x) sin^2(pi y) cos t; its force by automatic differentiation."""

    def velocity(x, y, t):
        s = math.pi
        across = torch.sin(s * x).square() * torch.sin(2 * s * y) * s * torch.cos(t)
        along = -torch.sin(2 * s * x) * torch.sin(s * y).square() * s * torch.cos(t)
        return across, along

    def force(x, y, t, viscosity, part):
        with torch.enable_grad():
            x, y, t = (torch.zeros_like(x + y) + value for value in (x, y, t))
            for value in (x, y, t):
                value.requires_grad_(True)
            slope = lambda value, by: torch.autograd.grad(value.sum(), by, create_graph=True)[0]
            w = velocity(x, y, t)
            by_x, by_y = slope(w[part], x), slope(w[part], y)
            return (slope(w[part], t) + w[0] * by_x + w[1] * by_y - viscosity * (slope(by_x, x) + slope(by_y, y))).detach()

    errors = []
    for cells in (8, 16, 32):
        box = Box(torch.zeros(cells, cells, dtype=torch.bool), 1 / cells)
        project, edge, middle = (
            Projection(box),
            torch.arange(cells + 1, dtype=F64) / cells,
            (torch.arange(cells, dtype=F64) + 0.5) / cells,
        )
        places = ((edge[:, None], middle), (middle[:, None], edge))
        exact = lambda t, places=places: [
            velocity(*place, torch.tensor(t, dtype=F64))[part].unsqueeze(0) for part, place in enumerate(places)
        ]
        state, steps = project(*exact(0.0)), cells * 2
        for index in range(steps):
            midway = torch.tensor((index + 0.5) * 0.25 / steps, dtype=F64)
            push = [force(*place, midway, 0.05, part).unsqueeze(0) for part, place in enumerate(places)]
            rate = lambda u, v, push=push, box=box: [s + f for s, f in zip(momentum_slopes(u, v, box, 0.05), push)]
            half = project(*(w + 0.125 / steps * s for w, s in zip(state, rate(*state))))
            state = project(*(w + 0.25 / steps * s for w, s in zip(state, rate(*half))))
        errors.append(max(float((found - true).abs().mean()) for found, true in zip(state, exact(0.25))))
    assert all(before / after > 3.2 for before, after in pairwise(errors)), errors


def test_a_uniform_field_in_the_cells_is_uniform_on_the_faces():
    for box in BOXES.values():
        u, v = to_faces(torch.full((1, 2, *box.solid.shape), 0.7, dtype=F64), box)
        assert float((u - 0.7).abs().max()) < 1e-15 and float((v - 0.7).abs().max()) < 1e-15
        assert u.shape[1:] == (13, 10) and v.shape[1:] == (12, 11)


def test_a_region_without_opening_and_sides_that_do_not_exist_are_refused():
    solid = torch.zeros(12, 12, dtype=torch.bool)
    solid[3:8, 4:10] = True
    solid[4:7, 5:9] = False
    for sides in ((), ("top",)):
        with pytest.raises(ValueError, match="smoke: a fluid region of 12 cells has no opening; its pressure is undefined"):
            Projection(Box(solid, 0.1, sides))
    with pytest.raises(ValueError, match="expected some of left, right, bottom, top"):
        Box(solid, 0.1, ("north",))
    with pytest.raises(ValueError, match="none if it is periodic"):
        Box(solid, 0.1, ("top",), is_periodic=True)
