"""The denoiser of both classes, and what it is told of depth."""

import torch

from medidiff.dehazing.denoiser import ClassDenoiser, depth_channel
from medidiff.diffusion.denoiser import edm


def test_each_class_has_the_preconditioning_of_its_own_standard_deviation():
    network = lambda x, level, condition, label: x.sin()
    alone = lambda x, level: x.sin()
    u, sigma = torch.randn(4, 2, 3, 3), torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    both = ClassDenoiser(network, (0.3, 0.2))(u, sigma, label=torch.tensor([0, 1, 0, 1]), condition=u[:, :1])
    torch.testing.assert_close(both[::2], edm(alone, 0.3)(u[::2], sigma[::2]))
    torch.testing.assert_close(both[1::2], edm(alone, 0.2)(u[1::2], sigma[1::2]))


def test_depth_is_the_range_and_goes_on_into_the_padding(grid):
    depth = depth_channel(grid, (24, 16))
    assert depth.shape == (1, 1, 24, 16)
    torch.testing.assert_close(depth[0, 0, :19, 3].double(), grid.range_m() / 0.05 - 1, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        depth[0, 0, 23, 0].double(), torch.tensor((0.015 + 23 * 0.308e-3) / 0.05 - 1), rtol=1e-5, atol=1e-6, check_dtype=False
    )
