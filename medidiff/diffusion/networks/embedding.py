"""How a network is told its noise level: fixed Fourier features and a small perceptron."""

import math

import torch
from torch import Tensor, nn


class LevelEmbedding(nn.Module):
    """A feature vector (b, width) of one or more noise levels per item, and of a class where there are classes.

    width     number of features
    levels    how many levels describe one item: 1 for a denoiser, 2 for a jump from one level to another
    classes   number of classes a label may name; 0 where there is none

    Frequencies run from 1/4 to 16 periods per unit, evenly in their logarithm: made for c_noise = ln(sigma)/4 of EDM
    (arXiv 2206.00364, table 1), which moves by about 3 units from sigma .002 to 80.
    """

    def __init__(self, width: int, *, levels: int = 1, classes: int = 0):
        super().__init__()
        half = max(width // 2, 4)
        self.register_buffer("frequency", 2 * math.pi * 2.0 ** torch.linspace(-2, 4, half), persistent=False)
        self.first = nn.Linear(2 * half * levels, width)
        self.second = nn.Linear(width, width)
        self.label = nn.Embedding(classes, width) if classes else None

    def forward(self, noise_level: Tensor, label: Tensor | None = None) -> Tensor:
        phase = noise_level.reshape(len(noise_level), -1, 1).to(self.frequency.dtype) * self.frequency
        features = torch.cat([phase.cos(), phase.sin()], dim=2).flatten(1)
        h = self.first(features)
        if self.label is not None and label is not None:
            h = h + self.label(label)
        return nn.functional.silu(self.second(nn.functional.silu(h)))
