"""Named ways to damage a written study, one at a time, as studies arrive damaged in practice.

`FAULTS[name](folder)` changes a folder that `write_patient` made, in place. A reader must refuse the study with one clear
error, except for the names in `TOLERATED`: those it must read all the same, leaving out what does not belong.
"""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from medidiff.phantoms.identity import make_uid
from medidiff.phantoms.planes import decimal_strings
from medidiff.phantoms.series import save_dicom

Fault = Callable[[Path], None]
Change = Callable[[Dataset], object]


def _slices(folder: Path, series: str) -> list[tuple[Path, Dataset]]:
    """Files of CT or PET and their contents, along the slice normal."""
    read = [(path, pydicom.dcmread(path)) for path in sorted((folder / series).glob("*.dcm"))]

    def place(item: tuple[Path, Dataset]) -> float:
        across, down = np.array(item[1].ImageOrientationPatient, dtype=float).reshape(2, 3)
        return float(np.cross(across, down) @ np.array(item[1].ImagePositionPatient, dtype=float))

    return sorted(read, key=place)


def _middle(folder: Path, series: str) -> tuple[Path, Dataset]:
    slices = _slices(folder, series)
    return slices[len(slices) // 2]


def _in_all(series: str, change: Change) -> Fault:
    """The change in every header of a series."""

    def damage(folder: Path) -> None:
        for path, header in _slices(folder, series):
            change(header)
            save_dicom(header, path)

    return damage


def _in_middle(series: str, change: Change) -> Fault:
    """The change in the header of the middle slice."""

    def damage(folder: Path) -> None:
        path, header = _middle(folder, series)
        change(header)
        save_dicom(header, path)

    return damage


def _set(**values: object) -> Change:
    return lambda header: [setattr(header, keyword, value) for keyword, value in values.items()]


def _set_injection(**values: object) -> Change:
    return lambda header: _set(**values)(header.RadiopharmaceuticalInformationSequence[0])


def _drop(*keywords: str) -> Change:
    return lambda header: [header.pop(keyword, None) for keyword in keywords]


def _drop_injection(*keywords: str) -> Change:
    return lambda header: _drop(*keywords)(header.RadiopharmaceuticalInformationSequence[0])


def _remove_middle(series: str) -> Fault:
    return lambda folder: _middle(folder, series)[0].unlink()


def _truncate(folder: Path) -> None:
    path = _middle(folder, "CT")[0]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5])


def _empty(folder: Path) -> None:
    _middle(folder, "PET")[0].write_bytes(b"")


def _repeat(change: Change) -> Fault:
    """A second file at the place of the middle CT slice."""

    def damage(folder: Path) -> None:
        path, header = _middle(folder, "CT")
        header.SOPInstanceUID = make_uid(header.SOPInstanceUID, "again")
        change(header)
        save_dicom(header, path.with_name("again.dcm"))

    return damage


def _brighten(header: Dataset) -> None:
    stored = np.frombuffer(header.PixelData, dtype="<u2")
    header.PixelData = (stored + np.uint16(50)).tobytes()


def _coarsen(header: Dataset) -> None:
    header.PixelData = np.ascontiguousarray(header.pixel_array[::2, ::2]).tobytes()
    header.Rows, header.Columns = (header.Rows + 1) // 2, (header.Columns + 1) // 2


def _lean(header: Dataset) -> None:
    across, down = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
    down = np.cos(np.deg2rad(15)) * down + np.sin(np.deg2rad(15)) * np.cross(across, down)
    header.ImageOrientationPatient = decimal_strings([*across, *down])


def _move_apart(folder: Path) -> None:
    """Gaps between CT slices that grow by a tenth from one to the next."""
    slices = _slices(folder, "CT")
    first, second = (np.array(header.ImagePositionPatient, dtype=float) for _, header in slices[:2])
    for k, (path, header) in enumerate(slices):
        header.ImagePositionPatient = decimal_strings(first + (second - first) * (k + 0.05 * k * (k - 1)))
        save_dicom(header, path)


def _mix_series(folder: Path) -> None:
    """All files in one folder, under names that say nothing."""
    (folder / "mixed").mkdir()
    for number, path in enumerate(sorted(folder.glob("*/*.dcm"))):
        path.rename(folder / "mixed" / f"{number:06d}")
    for series in ("CT", "PET", "RTSTRUCT"):
        (folder / series).rmdir()


def _add_localiser(folder: Path) -> None:
    header = _middle(folder, "CT")[1]
    header.SeriesInstanceUID, header.SOPInstanceUID = (
        make_uid(header.SOPInstanceUID, "scout"),
        make_uid("scout", header.SOPInstanceUID),
    )
    header.ImageType, header.SeriesDescription = ["ORIGINAL", "PRIMARY", "LOCALIZER"], "Scout"
    header.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]
    save_dicom(header, folder / "CT" / "scout.dcm")


def _add_secondary_capture(folder: Path) -> None:
    source = _middle(folder, "CT")[1]
    capture = deepcopy(source)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID", "RescaleSlope"):
        del capture[keyword]
    capture.SOPClassUID, capture.Modality, capture.ConversionType = SecondaryCaptureImageStorage, "OT", "WSD"
    capture.SeriesInstanceUID, capture.SOPInstanceUID = (
        make_uid(source.SOPInstanceUID, "capture"),
        make_uid("capture", source.SOPInstanceUID),
    )
    capture.ImageType = ["DERIVED", "SECONDARY"]
    save_dicom(capture, folder / "CT" / "capture.dcm")


def _add_pet(change: Change) -> Fault:
    """A second PET series beside the first, with the same slices under other UIDs."""

    def damage(folder: Path) -> None:
        for path, header in _slices(folder, "PET"):
            header.SeriesInstanceUID = make_uid(header.SeriesInstanceUID, "second")
            header.SOPInstanceUID = make_uid(header.SOPInstanceUID, "second")
            change(header)
            save_dicom(header, path.with_name(f"second-{path.name}"))

    return damage


def _add_junk(folder: Path) -> None:
    (folder / "CT" / "Thumbs.db").write_bytes(bytes(range(256)) * 40)
    (folder / "README.txt").write_text("not an image\n")


def _drop_factors(header: Dataset) -> None:
    header.Units = "CNTS"
    for tag in (0x70530010, 0x70531000, 0x70531009):
        header.pop(tag, None)


def _inject_after(header: Dataset) -> None:
    injection = header.RadiopharmaceuticalInformationSequence[0]
    injection.RadiopharmaceuticalStartDateTime = f"{int(header.AcquisitionDate[:4]) + 1}0101120000.000000"
    injection.RadiopharmaceuticalStartTime = "120000.000000"


def _swell(header: Dataset) -> None:
    header.Rows = header.Columns = 65535


TOLERATED = frozenset(
    {
        "repeated-slice",
        "junk-file",
        "mixed-series",
        "localiser",
        "secondary-capture",
        "uncorrected-pet-beside",
        "weight-in-grams",
        "dose-in-megabecquerel",
    }
)

FAULTS: dict[str, Fault] = {
    # which slices there are
    "missing-ct-slice": _remove_middle("CT"),
    "missing-pet-slice": _remove_middle("PET"),
    "repeated-slice": _repeat(lambda header: None),
    "contradicting-slice": _repeat(_brighten),
    "varying-spacing": _move_apart,
    "gantry-tilt": _in_all("CT", _lean),
    "coarser-slice": _in_middle("CT", _coarsen),
    # files
    "truncated-file": _truncate,
    "empty-file": _empty,
    "no-pixels": _in_middle("CT", _drop("PixelData")),
    "swollen-header": _in_middle("CT", _swell),
    "junk-file": _add_junk,
    # series that do not belong, or do not fit
    "mixed-series": _mix_series,
    "localiser": _add_localiser,
    "secondary-capture": _add_secondary_capture,
    "wrong-modality": _in_all("PET", _set(Modality="OT")),
    "second-pet": _add_pet(_set(SeriesNumber=4)),
    "uncorrected-pet-beside": _add_pet(_set(CorrectedImage=["DECY", "DTIM", "RAN", "NORM"], SeriesDescription="PET NAC")),
    "other-patient": _in_all("PET", _set(PatientID="PHANTOM-OTHER")),
    "other-frame-of-reference": _in_all("PET", _set(FrameOfReferenceUID=make_uid("another frame"))),
    # what SUV needs
    "missing-weight": _in_all("PET", _drop("PatientWeight")),
    "zero-weight": _in_all("PET", _set(PatientWeight="0")),
    "weight-in-grams": _in_all("PET", lambda header: _set(PatientWeight=str(int(header.PatientWeight * 1000)))(header)),
    "missing-dose": _in_all("PET", _drop_injection("RadionuclideTotalDose")),
    "zero-dose": _in_all("PET", _set_injection(RadionuclideTotalDose="0")),
    "dose-in-megabecquerel": _in_all(
        "PET",
        lambda header: _set_injection(
            RadionuclideTotalDose=decimal_strings([header.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose / 1e6])[
                0
            ]
        )(header),
    ),
    "missing-injection-time": _in_all("PET", _drop_injection("RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime")),
    "injection-after-scan": _in_all("PET", _inject_after),
    "missing-half-life": _in_all(
        "PET", _drop_injection("RadionuclideHalfLife", "RadionuclideCodeSequence", "Radiopharmaceutical")
    ),
    "missing-injection": _in_all("PET", _drop("RadiopharmaceuticalInformationSequence")),
    "missing-units": _in_all("PET", _drop("Units")),
    "counts-per-second": _in_all("PET", _set(Units="CPS")),
    "counts-without-factors": _in_all("PET", _drop_factors),
    "pet-intercept": _in_all("PET", _set(RescaleIntercept="-12")),
    "not-attenuation-corrected": _in_all("PET", _set(CorrectedImage=["DECY", "SCAT", "DTIM", "RAN", "NORM"])),
}
