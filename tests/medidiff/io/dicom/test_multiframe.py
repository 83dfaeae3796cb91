"""Enhanced multi-frame files give the same volume as one file for each slice."""

from copy import deepcopy
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from medidiff.errors import DataError
from medidiff.io.dicom.series import read_series

ENHANCED = {
    "CT": "1.2.840.10008.5.1.4.1.1.2.1",
    "PT": "1.2.840.10008.5.1.4.1.1.130",
    "MR": "1.2.840.10008.5.1.4.1.1.4.1",
}
LEGACY = {
    "CT": highdicom.legacy.LegacyConvertedEnhancedCTImage,
    "PT": highdicom.legacy.LegacyConvertedEnhancedPETImage,
    "MR": highdicom.legacy.LegacyConvertedEnhancedMRImage,
}


def item(**values) -> list[Dataset]:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return [dataset]


def enhanced(headers: list[Dataset], seed: int = 3) -> Dataset:
    """One multi-frame object of single slices, its frames in random order."""
    first = headers[0]
    whole = deepcopy(first)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(whole, keyword)
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = ENHANCED[first.Modality]
    whole.file_meta.MediaStorageSOPInstanceUID = whole.SOPInstanceUID
    order = np.random.default_rng(seed).permutation(len(headers))
    whole.NumberOfFrames = len(headers)
    whole.PixelData = b"".join(headers[k].PixelData for k in order)
    measures = {"PixelSpacing": first.PixelSpacing, "SliceThickness": 99}
    shared = {
        "PixelMeasuresSequence": item(**measures),
        "PlaneOrientationSequence": item(ImageOrientationPatient=first.ImageOrientationPatient),
    }
    whole.SharedFunctionalGroupsSequence = item(**shared)
    frames = []
    for k in order:
        transform = item(
            RescaleSlope=headers[k].RescaleSlope, RescaleIntercept=headers[k].RescaleIntercept, RescaleType="normalized"
        )
        if first.Modality == "CT":
            transform[0].RescaleType = "HU"
        frame = {
            "PlanePositionSequence": item(ImagePositionPatient=headers[k].ImagePositionPatient),
            "PixelValueTransformationSequence": transform,
        }
        if first.Modality == "PT":
            frame["RealWorldValueMappingSequence"] = item(
                RealWorldValueSlope=float(headers[k].RescaleSlope), RealWorldValueIntercept=0.0
            )
        frames += item(**frame)
    whole.PerFrameFunctionalGroupsSequence = frames
    return whole


def same_as(truth, series):
    assert series.usable, series.reason
    volume = read_series(series)
    np.testing.assert_allclose(volume.affine, truth.ras(), atol=1e-4)
    assert np.all(np.abs(volume.array - truth.values()) <= truth.slopes() / 2 + 1e-5)


@pytest.mark.parametrize("modality", ["CT", "PT", "MR"])
def test_enhanced_object_is_the_volume_that_made_it(stack, save, series_in, tmp_path, modality):
    truth = stack(modality=modality)
    save(tmp_path, [enhanced(truth.headers())])

    (series,) = series_in(tmp_path)

    assert len(series.paths) == len(series.headers) == 1
    assert [plane.frame for plane in series.planes] == list(np.argsort(np.random.default_rng(3).permutation(12)))
    same_as(truth, series)


@pytest.mark.parametrize("modality", ["CT", "PT", "MR"])
def test_legacy_converted_object_made_by_highdicom_is_read(stack, save, series_in, tmp_path, modality):
    truth = stack(modality=modality)
    headers = truth.headers()
    for header in headers:
        header.StudyDate, header.StudyTime, header.AccessionNumber, header.StudyID = "20250101", "100000", "", "1"
        header.PatientBirthDate, header.PatientSex, header.ReferringPhysicianName = "", "O", ""
        header.Manufacturer, header.BodyPartExamined, header.Laterality = "Phantom", "HEAD", ""
        header.AcquisitionDate, header.ContentDate, header.ContentTime = "20250101", "20250101", "110000"
        header.PositionReferenceIndicator = ""
    made = LEGACY[modality](
        legacy_datasets=headers,
        series_instance_uid="1.2.3.4",
        series_number=5,
        sop_instance_uid="1.2.3.5",
        instance_number=1,
    )
    made.save_as(tmp_path / "one.dcm")

    (series,) = series_in(tmp_path)

    same_as(truth, series)


def test_frames_of_several_times_are_refused(stack, save, series_in, tmp_path):
    headers = stack(modality="MR").headers()
    whole = enhanced(headers + headers)
    for k, frame in enumerate(whole.PerFrameFunctionalGroupsSequence):
        frame.MREchoSequence = item(EffectiveEchoTime=4.0)
        frame.FrameContentSequence = item(TemporalPositionIndex=k, FrameAcquisitionNumber=k)
        frame.CardiacSynchronizationSequence = item(NominalPercentageOfCardiacPhase=float(k))
    pixels = np.frombuffer(whole.PixelData, "<i2").copy()
    pixels[: 12 * 63] += 7
    whole.PixelData = pixels.tobytes()
    save(tmp_path, [whole])

    (series,) = series_in(tmp_path)

    assert not series.usable and "positions hold 2 different images" in series.reason
    assert "NominalPercentageOfCardiacPhase" in series.reason and "a gated series" in series.reason


def missing(keyword):
    def change(whole):
        for group in [*whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence[4]]:
            if keyword in group:
                delattr(group, keyword)

    return change


FAULTS = {
    "fewer groups than frames": (
        lambda whole: whole.PerFrameFunctionalGroupsSequence.pop(),
        "NumberOfFrames is 12, the functional groups describe 11",
    ),
    "no position": (missing("PlanePositionSequence"), r"frame \d+: PlanePositionSequence is missing"),
    "no orientation": (missing("PlaneOrientationSequence"), "PlaneOrientationSequence is missing"),
    "no spacing": (missing("PixelMeasuresSequence"), "PixelMeasuresSequence is missing"),
    "no unit": (missing("PixelValueTransformationSequence"), "no pixel value transformation"),
    "no groups": (
        lambda whole: delattr(whole, "PerFrameFunctionalGroupsSequence"),
        "12 frames in one file without their positions",
    ),
    "pixels of one frame less": (
        lambda whole: setattr(whole, "PixelData", whole.PixelData[:-126]),
        "1386 bytes of pixel data, expected 1512 for 7 x 9 pixels in 12 frames",
    ),
    "two billion frames": (lambda whole: setattr(whole, "NumberOfFrames", 2_000_000_000), "bytes of pixel data, expected 252"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_an_enhanced_object_is_refused_with_its_reason(stack, save, series_in, tmp_path, fault):
    change, reason = FAULTS[fault]
    whole = enhanced(stack().headers())
    change(whole)
    save(tmp_path, [whole])

    (series,) = series_in(tmp_path)

    with pytest.raises(DataError, match=reason):
        read_series(series)


def test_missing_frame_is_named(stack, save, series_in, tmp_path):
    headers = stack().headers()
    save(tmp_path, [enhanced(headers[:5] + headers[6:])])
    (series,) = series_in(tmp_path)
    assert "1 slice is missing" in series.reason and "frame" in series.reason


def test_multi_frame_dose_of_pydicom_is_no_image_series(series_in):
    folder = pydicom.data.get_testdata_file("rtdose.dcm")
    doses = [one for one in series_in(Path(folder).parent) if one.modality == "RTDOSE"]
    assert doses and not any(one.usable for one in doses)
