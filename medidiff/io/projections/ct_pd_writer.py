"""Scans in DICOM-CT-PD, written with the layout of the published files: columns along DICOM rows, private types by name."""

import hashlib
import uuid
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from medidiff.errors import DataError
from medidiff.io.atomic_folder import atomic_folder
from medidiff.io.projections.ct_pd_fields import CREATORS, FIELDS, tag_of
from medidiff.io.projections.ct_pd_scan import Scan

LEVELS = 65535


def write_ct_pd(scan: Scan, views: np.ndarray, folder: Path) -> float:
    """Write one file for each view, all or nothing, and return the quantum: the line integral between two stored numbers.

    scan      geometry; its paths are not looked at
    views     (view, row, column) line integrals, rows and columns in the order of the format
    folder    `00001.dcm` and so on; an earlier scan of ours there is replaced

    Every value comes back within half a quantum. Equal content gives equal files. Raises DataError where the shapes differ or
    a value is not finite.
    """
    views = np.asarray(views, dtype=np.float64)
    if views.shape != (len(scan.phi_rad), *scan.elements) or not np.isfinite(views).all():
        expected = (len(scan.phi_rad), *scan.elements)
        raise DataError(f"views: found the shape {views.shape}, expected finite values of shape {expected}.")
    low = float(f"{views.min():.8g}")
    low -= 1e-6 * max(abs(low), 1.0) * (low > views.min())
    quantum = float(f"{max((views.max() - low) / LEVELS, 1e-9) * (1 + 1e-7):.9g}")
    low = float(f"{low:.9g}")
    stored = np.clip(np.round((views - low) / quantum), 0, LEVELS).astype("<u2")
    seed = hashlib.sha256(stored.tobytes() + scan.phi_rad.tobytes() + scan.z_mm.tobytes()).hexdigest()
    with atomic_folder(folder, pattern="[0-9][0-9][0-9][0-9][0-9].dcm") as temporary:
        for view in range(len(views)):
            dataset = _view(scan, view, seed)
            dataset.RescaleIntercept, dataset.RescaleSlope = f"{low:.9g}", f"{quantum:.9g}"
            dataset.PixelData = np.ascontiguousarray(stored[view].T).tobytes()
            dataset.save_as(temporary / f"{view + 1:05d}.dcm", enforce_file_format=True)
    return quantum


def _view(scan: Scan, view: int, seed: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, _uid(f"instance {view}", seed)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid("study", seed), _uid("series", seed)
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName = dataset.PatientID = None
    dataset.InstanceNumber, dataset.PatientPosition = view + 1, scan.position
    dataset.Manufacturer = "medidiff"
    if scan.field_mm:
        dataset.DataCollectionDiameter = f"{scan.field_mm:.9g}"
    rows, columns = scan.elements
    dataset.Rows, dataset.Columns = columns, rows
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    for group, creator in CREATORS.items():
        dataset.add_new((group, 0x0010), "LO", creator)
    for field, found in _private(scan, view).items():
        dataset.add_new(tag_of(field), FIELDS[field][2], found)
    return dataset


def _private(scan: Scan, view: int) -> dict:
    turn_rad, z_mm, outward_mm = map(float, scan.shift[view])
    found = {
        "DetectorElementTransverseSpacing": scan.element_mm[1],
        "DetectorElementAxialSpacing": scan.element_mm[0],
        "DetectorShape": scan.shape,
        "NumberofDetectorRows": scan.elements[0],
        "NumberofDetectorColumns": scan.elements[1],
        "DetectorFocalCenterAngularPosition": float(scan.phi_rad[view]),
        "DetectorFocalCenterAxialPosition": float(scan.z_mm[view]),
        "DetectorFocalCenterRadialDistance": float(scan.rho_mm[view]),
        "ConstantRadialDistance": scan.focal_mm,
        "DetectorCentralElement": [scan.central[1], scan.central[0]],
        "SourceAngularPositionShift": turn_rad,
        "SourceAxialPositionShift": z_mm,
        "SourceRadialDistanceShift": outward_mm,
        "FlyingFocalSpotMode": scan.focal_spot,
        "TypeofProjectionData": "HELICAL" if scan.is_helical else "AXIAL",
        "LogFlag": "YES",
        "WaterAttenuationCoefficient": f"{scan.water_per_mm:.9g}",
    }
    if scan.photons is not None:
        found["PhotonStatistics"] = [float(photons) for photons in scan.photons[view]]
    return found


def _uid(role: str, seed: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medidiff|ct-pd {role}|{seed}').int}"
