"""Whether the ensemble and the one-step answer of one network agree: a check that needs no truth.

Both estimate P(y = 1 | study). Where they differ the network was not trained well enough for this study, and the ensemble, whose
errors add up from step to step, is the one that drifts.
"""

from dataclasses import dataclass

from numpy.typing import NDArray


@dataclass
class Agreement:
    """Sums over slabs of two probability maps, m of the ensemble and p of one step."""

    difference: float = 0.0  # sum |m - p|
    largest: float = 0.0  # sum max(m, p)
    ensemble: float = 0.0  # sum m
    one_step: float = 0.0  # sum p

    def add(self, mean: NDArray, one_step: NDArray) -> None:
        """Another slab of both."""
        larger = mean.clip(min=one_step)
        self.difference += float((2 * larger - mean - one_step).sum(dtype=float))
        self.largest += float(larger.sum(dtype=float))
        self.ensemble += float(mean.sum(dtype=float))
        self.one_step += float(one_step.sum(dtype=float))

    @property
    def gap(self) -> float:
        """sum |m - p| / sum max(m, p): 0 for equal maps, 1 for maps without a common voxel."""
        return self.difference / self.largest if self.largest else 0.0

    @property
    def volume_gap(self) -> float:
        """(sum m - sum p) / sum p: the share of its volume that the ensemble has gained or lost."""
        return (self.ensemble - self.one_step) / self.one_step if self.one_step else 0.0

    def is_trusted(self, limit: float) -> bool:
        """Whether the ensemble may be used: its volume has drifted by at most `limit`."""
        return abs(self.volume_gap) <= limit
