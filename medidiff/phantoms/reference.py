"""A digital patient's volumes and truth as NIfTI: what a conversion must reproduce and a segmentation is judged by."""

from pathlib import Path

from medidiff.io.nifti import write_nifti
from medidiff.phantoms.petct import Patient


def write_reference(patient: Patient, folder: Path) -> tuple[Path, ...]:
    """Paths of the files written, each whole or absent.

    folder    ct (HU), pet (SUV), truth_ct and truth_pet (labels of the median reader), probability (that a reader calls a
              voxel tumour, PET grid), reader_01... (labels of each reader, PET grid), all .nii.gz. With a gantry tilt
              truth_ct is left out: a mask on a sheared grid is no NIfTI that others can read.
    """
    volumes = {"ct": patient.ct, "pet": patient.pet, "truth_pet": patient.truth_pet, "probability": patient.probability}
    if patient.settings.tilt_deg == 0:
        volumes["truth_ct"] = patient.truth_ct
    volumes.update({f"reader_{n:02d}": labels for n, labels in enumerate(patient.annotations, 1)})
    paths = tuple(Path(folder) / f"{name}.nii.gz" for name in volumes)
    for path, volume in zip(paths, volumes.values()):
        write_nifti(volume, path)
    return paths
