import numpy as np
import torch

from physics.pde.limiter import koren_faces


def test_faces_of_a_straight_line_are_exact():
    cells = torch.arange(1.0, 9.0, dtype=torch.float64) - 0.5
    faces = koren_faces(cells, torch.tensor(0.0, dtype=torch.float64))
    torch.testing.assert_close(faces[1:-1], torch.arange(1.0, 8.0, dtype=torch.float64), rtol=1e-14, atol=0)


def test_faces_equal_the_published_limiter_function():
    values = torch.randn((3, 50), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inlet = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    padded = torch.cat([inlet[:, None], values, values[:, -1:]], dim=1).numpy()
    backward, forward = np.diff(padded[:, :-1]), np.diff(padded[:, 1:])
    ratio = forward / backward
    phi = np.maximum(0, np.minimum(2 * ratio, np.minimum((1 + 2 * ratio) / 3, 2)))
    published = values.numpy() + 0.5 * phi * backward
    np.testing.assert_allclose(koren_faces(values, inlet)[:, 2:], published[:, 1:], atol=1e-13)


def test_a_smooth_profile_is_reconstructed_to_third_order():
    def error(cells):
        edges = torch.linspace(0.2, 1.2, cells + 1, dtype=torch.float64)
        mean = -torch.diff(torch.cos(edges)) * cells
        faces = koren_faces(mean, torch.sin(edges[0]))
        return float((faces[2:-1] - torch.sin(edges[2:-1])).abs().max())

    assert np.log2(error(50) / error(100)) > 2.8
