"""Training patches of PET/CT patients: where they lie, how they are turned, and what the network is given of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from medidiff.errors import DataError
from medidiff.segmentation.augmentation import Augmentation
from medidiff.segmentation.conditioning import FILL, Conditioning


@dataclass(frozen=True, eq=False)
class Patient:
    """A study on the network's grid."""

    condition: Tensor  # (c, i, j, k) of `conditioning.conditions`
    mask: Tensor  # (i, j, k) 0 to 1; a voxel belongs to the lesion from 0.5 on


@dataclass(frozen=True, eq=False)
class Patches:
    """Batches for `medidiff.diffusion.train`: item n is a patch of patient n, drawn anew from torch's generator each time.

    patients       whose patches these are
    conditioning   what the channels are
    size           (i, j, k) voxels; (i, j, 1) for networks of slices
    neighbours     slices on each side that a network of slices is given as further channels (2.5-D)
    foreground     share of the patches that are centred within half a patch of a lesion voxel
    overhang       voxels by which a patch may reach beyond the study

    Crops that are centred on the tumour betray its place: hence the centres are spread by half a patch.
    """

    patients: Sequence[Patient]
    conditioning: Conditioning
    size: tuple[int, int, int] = (48, 48, 48)
    neighbours: int = 0
    foreground: float = 2 / 3
    overhang: float = 8.0
    augmentation: Augmentation = Augmentation()  # noqa: RUF009  (frozen)
    _lesions: list[Tensor] = field(init=False, repr=False)

    def __post_init__(self):
        channels = len(self.conditioning.modalities)
        for number, patient in enumerate(self.patients):
            if patient.condition.shape != (channels, *patient.mask.shape):
                raise DataError(
                    f"training patient {number}: condition {tuple(patient.condition.shape)} and mask"
                    f" {tuple(patient.mask.shape)}, expected {channels} channels on the grid of the mask"
                )
        object.__setattr__(self, "_lesions", [torch.nonzero(patient.mask >= 0.5).float() for patient in self.patients])

    def __len__(self) -> int:
        return len(self.patients)

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        drawn = torch.stack([self.draw(int(index)) for index in indices])
        condition, mask = drawn[:, :-1] + FILL, drawn[:, -1:]
        for channel, name in enumerate(self.conditioning.modalities):
            condition[:, channel] = self._varied(name, condition[:, channel])
        x0 = (mask >= 0.5).float() * 2 - 1
        return as_items(x0, condition, self.neighbours) if self.size[2] == 1 else {"x0": x0, "condition": condition}

    def draw(self, index: int) -> Tensor:
        """Channels above FILL and mask of one turned patch, (c + 1, i, j, k + 2 neighbours), linear between voxels."""
        patient = self.patients[index]
        matrix, centre = self.augmentation.pose(3, torch.rand), self._centre(index)
        size = torch.tensor([*self.size[:2], self.size[2] + 2 * self.neighbours])
        offsets = [torch.arange(int(n)) - (n - 1) / 2 for n in size]
        places = torch.stack(torch.meshgrid(*offsets, indexing="ij"), -1) @ matrix.T + centre
        scaled = (2 * places + 1) / torch.tensor(patient.mask.shape) - 1
        volume = torch.cat([patient.condition - FILL, patient.mask[None]])  # so that what lies outside is 0 everywhere
        return grid_sample(volume[None], scaled.flip(-1)[None], align_corners=False, padding_mode="zeros")[0]

    def _centre(self, index: int) -> Tensor:
        shape, size = torch.tensor(self.patients[index].mask.shape).float(), torch.tensor(self.size).float()
        lesion = self._lesions[index]
        if len(lesion) and float(torch.rand(1)) < self.foreground:
            centre = lesion[int(torch.randint(len(lesion), (1,)))] + (torch.rand(3) - 0.5) * size
        else:
            centre = torch.rand(3) * shape
        reach = torch.clamp((shape - size) / 2, min=0) + self.overhang * (size > 1)
        middle = (shape - 1) / 2
        return torch.maximum(torch.minimum(centre, middle + reach), middle - reach)

    def _varied(self, name: str, channel: Tensor) -> Tensor:
        if name == "pet":
            return self.augmentation.pet(channel, self.conditioning.suv_max, torch.rand)
        return self.augmentation.ct(channel, torch.rand, torch.randn)


def as_items(x0: Tensor, condition: Tensor, neighbours: int) -> dict[str, Tensor]:
    """Slabs (b, c, i, j, 1 + 2 neighbours) as training items of a network of slices: the middle slice and all channels."""
    return {"x0": x0[..., neighbours], "condition": condition.movedim(-1, 1).flatten(1, 2)}
