"""The folder of autoPET and FDG-PET-CT-Lesions: one folder per patient, in it one per study."""

from pathlib import Path

from medidiff.io.layouts.segmentation import SegmentationCase, existing, listed


def list_autopet(folder: Path) -> list[SegmentationCase]:
    """Every `<patient>/<study>/SUV.nii.gz` below the folder, named `<patient>_<study>`.

    The CT is `CTres.nii.gz`, resampled onto the grid of the PET, else `CT.nii.gz`; the labels `SEG.nii.gz` lie on the grid of
    the PET. Raises DataError where there is none.
    """
    folder = Path(folder)
    cases = [
        SegmentationCase(
            name=f"{pet.parents[1].name}_{pet.parent.name}",
            patient=pet.parents[1].name,
            ct=existing(pet.with_name("CTres.nii.gz")) or existing(pet.with_name("CT.nii.gz")),
            pet=pet,
            truth=existing(pet.with_name("SEG.nii.gz")),
        )
        for pet in folder.rglob("SUV.nii.gz")
    ]
    return listed(cases, folder, "files such as PETCT_0011f3deaf/03-23-2003-NA-PET-CT/SUV.nii.gz")
