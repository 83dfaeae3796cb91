"""Small DICOM inputs: series of slices, an enhanced file, a whole PET/CT study, an ultrasound clip, CT projections."""

from functools import cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from medidiff.errors import DataError
from medidiff.io.convert import convert_petct, convert_truth
from medidiff.io.dicom.grouping import group_series
from medidiff.io.dicom.index import index_folder
from medidiff.io.dicom.pet import read_suv
from medidiff.io.dicom.rtstruct import read_contours
from medidiff.io.dicom.rtstruct_writer import write_rtstruct as write_rtstruct_of
from medidiff.io.dicom.seg import build_seg
from medidiff.io.dicom.selection import find_pet
from medidiff.io.dicom.series import read_series, series_grid
from medidiff.io.projections.ct_pd_fan import read_ct_pd
from medidiff.io.projections.ct_pd_writer import write_ct_pd
from medidiff.io.scan import scan
from medidiff.io.ultrasound.dicom import read_dicom_clip
from medidiff.io.ultrasound.dicom_writer import write_dicom_clip
from medidiff.io.ultrasound.recording import Pixels
from medidiff.io.volume import Volume
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.faults import FAULTS, TOLERATED
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import PetCtPhantom
from medidiff.studies import STUDY_NAME
from tests.medidiff.io.conftest import Stack
from tests.medidiff.io.dicom.test_multiframe import enhanced
from tests.medidiff.io.dicom.test_rtstruct import SQUARE, contour, write_rtstruct
from tests.medidiff.io.projections.test_ct_pd import scan as ct_pd_scan
from tests.robustness.dicom_mutations import (
    HTML,
    SERIES,
    SIZES,
    SYNTAXES,
    TEXTS,
    encode,
    in_all,
    in_one,
    put,
    raw,
    save,
)
from tests.robustness.mutation import ANY, PLACED, REFUSED, Mutation, Random, files_of
from tests.robustness.seed import Seed
from tests.robustness.trial import CANARY, Found, found

SHAPE = (9, 7, 6)
FRAMES = np.random.default_rng(2).integers(0, 256, (3, 12, 14), dtype=np.uint8)


def _write_stack(modality: str, folder: Path) -> None:
    for k, header in enumerate(Stack(modality=modality, shape=SHAPE).headers()):
        header.PatientName, header.PatientID = f"{CANARY}^Jane", f"{CANARY}-1"
        header.save_as(folder / f"IM{(k * 5) % SHAPE[2]:03d}", enforce_file_format=True)


def _write_encoded(modality: str, syntax: str, folder: Path) -> None:
    _write_stack(modality, folder)
    encode(syntax)(folder, np.random.default_rng(0))


def _write_enhanced(folder: Path) -> None:
    enhanced(Stack(modality="CT", shape=SHAPE).headers()).save_as(folder / "whole.dcm", enforce_file_format=True)


def _read_series(folder: Path) -> Found:
    """The only usable series, as the product reads it; with several, the user must choose."""
    usable = [one for one in group_series(*index_folder(folder)) if one.usable]
    if len(usable) != 1:
        raise DataError(f"{len(usable)} usable series, expected one. Name it.")
    volume = read_series(usable[0], root=folder)
    return found([volume.array.shape, volume.affine], np.round(volume.array, 4))


def _read_export(folder: Path) -> Found:
    """A mask back to DICOM, which takes over what the headers say of the patient and the study."""
    usable = [one for one in group_series(*index_folder(folder)) if one.usable]
    if len(usable) != 1:
        raise DataError(f"{len(usable)} usable series, expected one. Name it.")
    grid = series_grid(usable[0])
    mask = Volume(np.arange(np.prod(grid.shape)).reshape(grid.shape) % 3 == 0, grid.affine)
    seg = build_seg(mask.with_array(mask.array.astype(np.uint8)), usable[0].paths, label="Lesion", algorithm="a", version="1")
    write_rtstruct_of({"GTV": mask.with_array(np.ones(grid.shape, np.uint8))}, usable[0], folder / ".rs", label="a", version="1")
    return found([grid.shape, grid.affine], seg.PixelData)


def _write_pet(folder: Path) -> None:
    tracer = Dataset()
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = "368080000", "6586.2"
    tracer.RadiopharmaceuticalStartTime, tracer.RadiopharmaceuticalStartDateTime = "100000", "20250101100000"
    for k, header in enumerate(Stack(modality="PT", shape=SHAPE).headers()):
        header.PatientName, header.PatientWeight, header.DecayCorrection = f"{CANARY}^Jane", "70", "START"
        header.AcquisitionDate, header.ActualFrameDuration, header.FrameReferenceTime = "20250101", "300000", "150000"
        header.RadiopharmaceuticalInformationSequence = [tracer]
        header.save_as(folder / f"IM{(k * 5) % SHAPE[2]:03d}", enforce_file_format=True)


def _read_pet(folder: Path) -> Found:
    volume, suv = read_suv(find_pet(folder), root=folder)
    return found([volume.array.shape, volume.affine], np.round(volume.array, 4), np.round(suv.factors, 9))


@cache
def _patient() -> object:
    grids = {"ct_matrix": 16, "ct_slices": 10, "ct_spacing_mm": (11.0, 11.0, 9.0)}
    grids |= {"pet_matrix": 10, "pet_slices": 10, "pet_spacing_mm": (18.0, 18.0, 9.0)}
    return make_patient(PetCtPhantom(seed=4, primaries=(1, 1), nodes=(0, 0), annotators=1, turn_deg=(6.0, -4.0, 9.0), **grids))


def _write_study(folder: Path) -> None:
    write_patient(_patient(), folder)
    (folder / "manifest.json").unlink()


def _read_study(folder: Path) -> Found:
    made = convert_petct(folder)
    grid = [made.ct.array.shape, made.ct.affine, made.pet.array.shape, made.pet.affine]
    return found(grid, np.round(made.ct.array, 3), np.round(made.pet.array, 4))


def _read_truth(folder: Path) -> Found:
    made = convert_truth(folder, roi="GTV*")
    return found([made.ct.array.shape, made.ct.affine, made.pet.array.shape, made.pet.affine], made.ct.array, made.pet.array)


def _read_table(folder: Path) -> Found:
    """What a scan finds; every name of a study can be the name of a folder, and no reason holds a name of a patient."""
    table = scan(folder, deep=True)
    for study in table.studies:
        assert STUDY_NAME.fullmatch(study.study) and CANARY not in study.reason, study
    assert not any(CANARY in entry.reason for entry in table.skipped)
    return found([], [(study.kind, study.status) for study in table.studies])


def _faults(*, in_a_table: bool) -> tuple[Mutation, ...]:
    """Studies damaged as they arrive in practice; a table tells what cannot be used, and so is never refused itself."""

    def mutation(name: str) -> Mutation:
        expect = ANY if in_a_table or name in TOLERATED else REFUSED
        return Mutation(f"fault: {name}", expect, lambda folder, random: FAULTS[name](folder))

    return tuple(map(mutation, FAULTS))


def _write_rtstruct(folder: Path) -> None:
    inner = [[x / 2, y / 2, z] for x, y, z in SQUARE]
    write_rtstruct(folder / "rs.dcm", {"GTV": [contour(SQUARE), contour(inner)], "Lung": [contour(SQUARE)]})


def _read_rtstruct(folder: Path) -> Found:
    rois = read_contours(next(iter(files_of(folder)), folder / "rs.dcm"))
    return found([points for roi in rois for points in roi.contours], [(roi.name, roi.skipped) for roi in rois])


def _points(text: str) -> Mutation:
    def change(folder: Path, random: Random) -> None:
        import pydicom
        from pydicom.config import disable_value_validation
        from pydicom.dataelem import DataElement

        path = files_of(folder)[0]
        header = pydicom.dcmread(path)
        first = header.ROIContourSequence[0].ContourSequence[0]
        with disable_value_validation():
            first[0x30060050] = DataElement(0x30060050, "DS", text, already_converted=True)
        save(path, header)

    return Mutation(f"points {text[:16]!r}", REFUSED, change)


HOSPITAL = (
    in_all("birth date no date", ANY, raw("PatientBirthDate", "DA", "yesterday")),
    in_all("study date no date", ANY, raw("StudyDate", "DA", "99999999")),
    in_all("time no time", ANY, raw("StudyTime", "TM", "99:99")),
    in_all("sex of many words", ANY, raw("PatientSex", "CS", "<script>" * 9)),
    in_all("weight a word", ANY, raw("PatientWeight", "DS", "heavy")),
    in_all("size not a number", ANY, raw("PatientSize", "DS", "nan")),
    in_all("instance no identifier", ANY, put("SOPInstanceUID", "1.2.x")),
    in_all("study of 500 digits", ANY, put("StudyInstanceUID", "1." * 250 + "1")),
)
CONTOURS = tuple(map(_points, ("1\\2\\nan", "1\\2", "a\\b\\c", "inf\\0\\0\\1\\1\\1\\2\\2\\2", "1\\\\2\\3")))


def _write_clip(folder: Path) -> None:
    source = Dataset()
    source.PatientName, source.PatientID = f"{CANARY}^Jane", f"{CANARY}-2"
    words = {"method": "nlm", "version": "1.0", "geometry": Pixels(0.0005, 0.0004), "frame_rate_hz": 40.0}
    write_dicom_clip(FRAMES, folder / "clip.dcm", **words, source=source)


def _read_clip(folder: Path) -> Found:
    recording = read_dicom_clip(next(iter(files_of(folder)), folder / "clip.dcm")).recording
    pixels = recording.geometry
    return found([[pixels.row_m or 0, pixels.column_m or 0], pixels.box or ()], recording.values, recording.frame_rate_hz)


def _in_region(name: str, **values: object) -> Mutation:
    def edit(header: Dataset, random: Random) -> None:
        for keyword, value in values.items():
            setattr(header.SequenceOfUltrasoundRegions[0], keyword, value)

    return in_one(name, ANY, edit)


CLIP = (
    in_one("65535 rows", REFUSED, put("Rows", 65535)),
    in_one("2e9 frames", REFUSED, put("NumberOfFrames", 2_000_000_000)),
    in_one("a frame more", REFUSED, put("NumberOfFrames", 4)),
    in_one("frames no number", REFUSED, raw("NumberOfFrames", "IS", "many")),
    in_one("three samples", REFUSED, put("SamplesPerPixel", 3)),
    in_one("palette without its table", REFUSED, put("PhotometricInterpretation", "PALETTE COLOR")),
    in_one("unknown colours", ANY, put("PhotometricInterpretation", HTML[:16])),
    in_one("16 bits", REFUSED, put("BitsAllocated", 16)),
    in_one("frame time no number", ANY, raw("FrameTime", "DS", "nan")),
    in_one("frame time a word", ANY, raw("FrameTime", "DS", "fast")),
    _in_region("region outside", RegionLocationMaxX1=4000),
    _in_region("region turned over", RegionLocationMinX0=9, RegionLocationMaxX1=3),
    _in_region("pixel of no size", PhysicalDeltaX=0.0),
    _in_region("pixel not finite", PhysicalDeltaX=float("nan")),
    _in_region("pixel infinite", PhysicalDeltaY=float("inf")),
    *TEXTS[:3],
    SYNTAXES[2],
)


def _write_ct_pd(folder: Path) -> None:
    one = ct_pd_scan(views=6, columns=11, rows=2)
    write_ct_pd(one, np.random.default_rng(3).uniform(0, 3, (6, 2, 11)), folder / "series")


def _read_ct_pd(folder: Path) -> Found:
    made = read_ct_pd(folder / "series", matrix=16)
    geometry = [value for value in made.geometry.values() if not isinstance(value, str)]
    return found([made.affine, *geometry], np.round(made.line_integrals, 6))


def _view(name: str, expect: str, tag: int, value: object) -> Mutation:
    return in_one(name, expect, lambda header, random: setattr(header[tag], "value", value))


PROJECTIONS = (
    _view("other spacing of the detector", REFUSED, 0x70291002, 1.1),
    _view("other radius", REFUSED, 0x70311003, 400.0),
    _view("other detector distance", REFUSED, 0x70311031, 900.0),
    _view("angle not finite", REFUSED, 0x70311001, float("nan")),
    _view("angle in degrees", REFUSED, 0x70311001, 240.0),
    _view("table moved", REFUSED, 0x70311002, 40.0),
    _view("height not finite", REFUSED, 0x70311002, float("inf")),
    _view("detector of 60000 columns", REFUSED, 0x70291011, 60000),
    in_one("another series", REFUSED, put("SeriesInstanceUID", "1.2.3")),
    in_one("number twice", REFUSED, put("InstanceNumber", 1)),
    in_one("number far away", REFUSED, put("InstanceNumber", 2_000_000_000)),
    Mutation("view missing", REFUSED, lambda folder, random: files_of(folder)[2].unlink()),
    *(one for one in SIZES if "deflate" not in one.name and "NaN" not in one.name and "bits a text" not in one.name),
    SYNTAXES[1],
)


def _write_with(modality: str):
    return lambda folder: _write_stack(modality, folder)


SEEDS = (
    Seed("dicom ct", _write_with("CT"), _read_series, SERIES, PLACED, 0.05),
    Seed("dicom mr", _write_with("MR"), _read_series, SERIES, PLACED, 0.05),
    Seed("dicom pet suv", _write_pet, _read_pet, SERIES, PLACED, 0.05),
    Seed("dicom export", _write_with("CT"), _read_export, (*TEXTS, *HOSPITAL), PLACED, 0.05),
    Seed("dicom run-length", lambda f: _write_encoded("CT", RLELossless, f), _read_series, SIZES[:4], PLACED, 0.05),
    Seed("dicom jpeg-ls", lambda f: _write_encoded("CT", JPEGLSLossless, f), _read_series, SIZES[:4], PLACED, 0.05),
    Seed("dicom enhanced", _write_enhanced, _read_series, (*SIZES[1:4], SYNTAXES[1], SYNTAXES[2]), ANY, 0.05),
    Seed("petct study", _write_study, _read_study, _faults(in_a_table=False), PLACED, 0.1),
    Seed("petct truth", _write_study, _read_truth, (), PLACED, 0.1),
    Seed("scan", _write_study, _read_table, _faults(in_a_table=True), ANY),
    Seed("rtstruct", _write_rtstruct, _read_rtstruct, CONTOURS),
    Seed("ultrasound dicom", _write_clip, _read_clip, CLIP),
    Seed("ct-pd", _write_ct_pd, _read_ct_pd, PROJECTIONS),
)
