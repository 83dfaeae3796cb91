"""A digital patient as genuine DICOM: CT, PET with a vendor's headers, and an RT Structure Set on each."""

from datetime import timedelta
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.atomic import write_text
from medidiff.io.atomic_folder import replaced_folder
from medidiff.io.volume import Volume
from medidiff.phantoms.anatomy import LABELS
from medidiff.phantoms.identity import dicom_date, dicom_time
from medidiff.phantoms.manifest import LesionFacts, Manifest, hash_files
from medidiff.phantoms.petct import Patient, grid_points
from medidiff.phantoms.readers import median_margin
from medidiff.phantoms.rtstruct import write_rtstruct
from medidiff.phantoms.scan import Scan, draw_scan
from medidiff.phantoms.series import WrittenSeries, no_details, write_series
from medidiff.phantoms.vendors import VENDORS, pet_header, pet_slice_header, stored_per_suv

CT_LEAD = timedelta(minutes=4)  # the CT is taken just before the PET
CONTENT = {"CT", "PET", "RTSTRUCT", "manifest.json"}


def write_patient(patient: Patient, folder: Path) -> Manifest:
    """The patient's files in a folder, and what they hold.

    folder    CT/*.dcm, PET/*.dcm, RTSTRUCT/{CT,PET}.dcm, manifest.json; an earlier patient in it is replaced

    The files are made in a folder of a temporary name beside it, which takes the final name when all are there. Equal
    settings give equal bytes.

    Raises DataError when the folder holds anything but an earlier patient, or cannot be written.
    """
    folder = Path(folder)
    _refuse_foreign(folder)
    vendor = VENDORS[patient.settings.vendor]
    scan = draw_scan(patient.settings, lag_s=vendor.lag_s)
    per_suv = stored_per_suv(vendor, scan, slices=patient.pet.array.shape[2], decay=patient.settings.decay)
    with replaced_folder(folder, advice="Choose another folder.") as temporary:
        ct = _write_ct(patient, temporary / "CT", scan=scan)
        pet = _write_pet(patient, temporary / "PET", scan=scan, per_suv=per_suv)
        for name, series, truth in (("CT", ct, patient.truth_ct), ("PET", pet, patient.truth_pet)):
            write_rtstruct(truth_margins(patient, truth), series, temporary / "RTSTRUCT" / f"{name}.dcm", label=f"GTV on {name}")
        manifest = _manifest(patient, ct=ct, pet=pet, per_suv=per_suv).model_copy(update={"files": hash_files(temporary)})
        write_text(temporary / "manifest.json", manifest.model_dump_json(indent=1) + "\n")
    return manifest


def truth_margins(patient: Patient, truth: Volume) -> dict[str, np.ndarray]:
    """Label -> (i, j, k) pixels from the true surface, positive in the truth mask and only there."""
    points, pixel_mm = grid_points(truth.grid), min(truth.grid.spacing_mm[:2])
    margins = {}
    for name, label in LABELS.items():
        depth = np.abs(median_margin(patient.anatomy.lesions, points, label=name)).reshape(truth.array.shape) / pixel_mm
        margins[name] = np.where(truth.array == label, 1, -1) * np.maximum(depth, 1e-3)
    return margins


def _write_ct(patient: Patient, folder: Path, *, scan: Scan) -> WrittenSeries:
    header = Dataset()
    header.SeriesDescription, header.ConvolutionKernel = "CT digital phantom", "ANALYTIC"
    header.SeriesDate = header.AcquisitionDate = header.ContentDate = dicom_date(scan.reference - CT_LEAD)
    header.SeriesTime = header.AcquisitionTime = header.ContentTime = dicom_time(scan.reference - CT_LEAD)
    return write_series(patient.ct, folder, modality="CT", study=scan.study, header=header, per_slice=no_details)


def _write_pet(patient: Patient, folder: Path, *, scan: Scan, per_suv: np.ndarray) -> WrittenSeries:
    vendor, decay = VENDORS[patient.settings.vendor], patient.settings.decay
    values = patient.pet.with_array(patient.pet.array.astype(np.float64) * per_suv)
    header = pet_header(vendor, scan, slices=len(per_suv), decay=decay)
    per_slice = lambda k: pet_slice_header(vendor, scan, k=k, decay=decay)
    return write_series(values, folder, modality="PT", study=scan.study, header=header, per_slice=per_slice)


def _manifest(patient: Patient, *, ct: WrittenSeries, pet: WrittenSeries, per_suv: np.ndarray) -> Manifest:
    facts = [
        LesionFacts(
            label=lesion.label,
            centre_ras_mm=tuple(lesion.solid.centre),
            radii_mm=tuple(lesion.solid.radii),
            volume_ml=lesion.solid.volume_ml,
            suv=lesion.solid.suv,
            probability=lesion.probability,
        )
        for lesion in patient.anatomy.lesions
    ]
    volumes = {
        name: {label: float((truth.array == number).sum() * truth.grid.voxel_ml) for label, number in LABELS.items()}
        for name, truth in (("ct", patient.truth_ct), ("pet", patient.truth_pet))
    }
    return Manifest(
        settings=patient.settings,
        ct_series=ct.uid,
        pet_series=pet.uid,
        lesions=tuple(facts),
        truth_ml=volumes,
        rounding_hu=ct.half_units[0],
        rounding_suv={path.name: half / unit for path, half, unit in zip(pet.files, pet.half_units, per_suv)},
        files={},
    )


def _refuse_foreign(folder: Path) -> None:
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in CONTENT) if folder.is_dir() else []
    if foreign:
        raise DataError(
            f"{folder}: holds {len(foreign)} entries that no digital patient has ({', '.join(foreign[:3])}), "
            "expected an empty folder or an earlier patient. Choose another folder."
        )
