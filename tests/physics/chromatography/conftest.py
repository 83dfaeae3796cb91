"""The five aromatics of the paper on the paper's column (Cabrera-Codony et al. 2024, Tables 1 and 3)."""

from types import SimpleNamespace

import pytest
import torch

from physics.chromatography.column import Capillary, hold_up_factor
from physics.chromatography.peaks import Peaks


@pytest.fixture(scope="session")
def btex():
    """Names, rates and the column; quoted inlet velocity 0.41 m/s. Order: o-X, m/p-X, EB, T, B."""
    column = Capillary(length=20.0, radius=9e-5, film=1e-6, inlet_pressure=4.01e5, outlet_pressure=1.013e5, viscosity=2.3e-5)
    adsorption = torch.tensor([[10168.0, 6483.0, 9203.0, 2953.0, 579.0]], dtype=torch.float64)
    desorption = torch.tensor([[14.291, 11.057, 16.940, 11.502, 5.299]], dtype=torch.float64)
    inverse_peclet = torch.tensor([[2.6926e-3, 2.6926e-3, 3.1069e-3, 3.3968e-3, 3.7696e-3]], dtype=torch.float64)
    velocity, scale = 0.41, 1.8722e-3
    return SimpleNamespace(
        column=column,
        velocity=velocity,
        injection=4.0,
        adsorption=adsorption,
        desorption=desorption,
        retention=column.phase_ratio * adsorption / desorption,
        hold_up=hold_up_factor(column.pressure_ratio) * column.length / velocity,
        diffusion=inverse_peclet * velocity * scale,
    )


@pytest.fixture(scope="session")
def btex_peaks(btex):
    """The paper's model: kinetics and a 4 s box, no diffusion."""
    return Peaks(btex.retention, btex.desorption, btex.hold_up, btex.injection)
