"""A phase for envelopes that have lost theirs: that of speckle, as models of IQ have seen it on tissue."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

GRAIN = (0.63, 1.24)  # samples along and across, on the grid of the models' training; gives the neighbours of generated tissue


def speckle_phase(shape: tuple[int, int], *, seed: int) -> Tensor:
    """exp(i phase) of a smooth circular Gaussian field, (axial, lateral) complex64.

    The phases of neighbours agree as they do in generated tissue, |mean u(i) u*(i + 1)| = 0.41 along and 0.74 across. Without
    a phase a network takes an envelope for haze, which varies more slowly across lines.
    """
    generator = np.random.default_rng(seed)
    real, imaginary = (gaussian_filter(generator.standard_normal(shape), GRAIN) for _ in range(2))
    return torch.from_numpy(np.exp(1j * np.arctan2(imaginary, real)).astype(np.complex64))
