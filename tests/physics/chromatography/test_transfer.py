import torch

from physics.chromatography.transfer import box


def test_box_is_smooth_through_zero():
    z = torch.tensor([0.0, 1e-12, 9.9e-4, 1.01e-3, 0.5 + 2j], dtype=torch.complex128)
    series = sum((-z) ** n / torch.exp(torch.lgamma(torch.tensor(n + 2.0, dtype=torch.float64))) for n in range(30))
    torch.testing.assert_close(box(z), series, rtol=1e-12, atol=0)
