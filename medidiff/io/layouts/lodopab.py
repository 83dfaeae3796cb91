"""The folder of LoDoPaB-CT: files of 128 samples, observations beside ground truths."""

from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.layouts.challenge import ChallengeStudy
from medidiff.io.projections.lodopab import PARTS, lodopab_samples

SPLITS = {"train": "train", "validation": "val", "test": "test"}


def list_lodopab(folder: Path) -> list[ChallengeStudy]:
    """Every sample of the parts that are in the folder, by part and number.

    A part whose ground truths are not there has studies without a reference. Raises DataError where no part is there.
    """
    folder = Path(folder)
    parts = [part for part in PARTS if (folder / f"observation_{part}_000.hdf5").is_file()]
    if not parts:
        raise DataError(
            f"{folder.name}: found no observation_test_000.hdf5 or that of another part, expected one. Unpack it here."
        )
    studies = []
    for part in parts:
        reference = folder if (folder / f"ground_truth_{part}_000.hdf5").is_file() else None
        studies += [
            ChallengeStudy(f"lodopab-{part}-{sample:05d}", "ct", folder, "lodopab", sample, SPLITS[part], reference)
            for sample in range(lodopab_samples(folder, part=part))
        ]
    return studies
