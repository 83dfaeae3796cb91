"""Every fault of a series is found and said in one message that names the file, what is wrong and what to do."""

import copy

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.dicom.series import read_series


def drop(*slices):
    return lambda headers: [header for k, header in enumerate(headers) if k not in slices]


def shift(k, *mm):
    def change(headers):
        header = headers[k]
        header.ImagePositionPatient = [f"{float(x) + dx:.6f}" for x, dx in zip(header.ImagePositionPatient, mm)]
        return headers

    return change


def along(k, mm):
    def change(headers):
        cosines = np.array(headers[k].ImageOrientationPatient, dtype=float)
        return shift(k, *(mm * np.cross(cosines[:3], cosines[3:])))(headers)

    return change


def put(slices, **values):
    def change(headers):
        for k in range(len(headers)) if slices is None else slices:
            for keyword, value in values.items():
                if value is None:
                    delattr(headers[k], keyword)
                else:
                    setattr(headers[k], keyword, value)
        return headers

    return change


def again(slices, *, same_name=False, **values):
    """Further images at the positions of some slices, with other pixels and other values."""

    def change(headers):
        extra = []
        for k in range(len(headers)) if slices is None else slices:
            other = copy.deepcopy(headers[k])
            if not same_name:
                other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = f"{other.SOPInstanceUID}.7"
            other.PixelData = (np.frombuffer(other.PixelData, "<i2") + 5).astype("<i2").tobytes()
            for keyword, value in values.items():
                setattr(other, keyword, value)
            extra.append(other)
        return headers + extra

    return change


def both(first, second):
    return lambda headers: second(first(headers))


def interleave(keyword):
    def change(headers):
        for k, header in enumerate(headers):
            setattr(header, keyword, 1 + k % 2)
        return headers

    return change


def cut_pixels(k, count):
    return lambda headers: put([k], PixelData=headers[k].PixelData[:count])(headers)


FAULTS = {
    "one slice missing": (drop(5), r"1 slice is missing .*between IM\d+ .*mm.* and IM\d+ .*Export"),
    "first but one missing": (drop(1), "1 slice is missing"),
    "last but one missing": (drop(10), "1 slice is missing"),
    "two neighbours missing": (drop(5, 6), "2 slices are missing"),
    "three neighbours missing": (drop(3, 4, 5), "3 slices are missing"),
    "two separate slices missing": (drop(2, 8), "2 slices are missing"),
    "three separate slices missing": (drop(2, 5, 9), "3 slices are missing"),
    "every fourth missing": (drop(3, 7), "2 slices are missing"),
    "all but three missing": (drop(*range(3, 12)), "3 slices only"),
    "all but two missing": (drop(*range(2, 12)), "2 slices only"),
    "all but one missing": (drop(*range(1, 12)), "1 slice only"),
    "one slice 0.1 mm too far": (along(5, 0.1), r"varies from 2\.400 to 2\.600 mm, expected 2\.500"),
    "one slice half a step too far": (along(5, 1.25), r"varies from 1\.250 to 3\.750 mm"),
    "last slice 1 mm too far": (along(11, 1.0), "varies from"),
    "first slice 0.3 mm too near": (along(0, 0.3), "varies from"),
    "spacing changes half way": (
        lambda headers: [h for k in range(6, 12) for h in [along(k, 1.0 * (k - 5))(headers)[k]]] + headers[:6],
        r"varies from 2\.500 to 3\.500 mm",
    ),
    "one slice shifted sideways": (shift(5, 3.0, 0, 0), "beside the even line|varies"),
    "one slice shifted sideways by 0.2 mm": (shift(5, 0.2, 0.1, 0), "beside the even line|varies"),
    "last slice shifted sideways": (shift(11, 0.0, 4.0, 0), "beside|varies|tilt"),
    "two slices swapped sideways and along": (both(along(4, 2.5), along(5, -2.5)), None),
    "slice at the place of its neighbour": (along(5, 2.5), "positions hold .* different images|missing"),
    "same position, other pixels, no label": (again([4]), "1 of 12 positions hold up to 2 different images, and no element"),
    "same identity, other pixels": (again([4], same_name=True), "same SOPInstanceUID but different pixels"),
    "all positions twice, no label": (again(None), "12 of 12 positions hold"),
    "two acquisitions": (again(None, AcquisitionNumber=2), r"AcquisitionNumber \(1, 2\): several acquisitions"),
    "dynamic": (both(put(None, TemporalPositionIdentifier=1), again(None, TemporalPositionIdentifier=2)), "a dynamic series"),
    "gated": (both(put(None, TriggerTime=0.0), again(None, TriggerTime=300.0)), r"TriggerTime .*a gated series"),
    "two echoes": (both(put(None, EchoTime=4.0), again(None, EchoTime=9.0)), "several echoes"),
    "two times": (again(None, AcquisitionTime="113000"), "several images in time"),
    "two acquisitions at some places": (again([2, 3, 4], AcquisitionNumber=2), "3 of 12 positions hold 2 different images"),
    "two acquisitions pushed into one another": (
        interleave("AcquisitionNumber"),
        "alternate along the stack: several acquisitions",
    ),
    "two phases pushed into one another": (interleave("TemporalPositionIdentifier"), "alternate along the stack"),
    "localiser": (put(None, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "a localiser"),
    "projection": (put(None, ImageType=["DERIVED", "SECONDARY", "MIP"]), "maximum-intensity projection"),
    "screen shot": (put(None, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "a screen shot"),
    "secondary capture": (put(None, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "a secondary capture"),
    "multi-frame secondary capture": (put(None, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2"), "a secondary capture"),
    "ultrasound": (put(None, Modality="US", SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1"), "modality US"),
    "no modality": (put(None, Modality=None, SOPClassUID="1.2.3"), "modality missing"),
    "modality of another class": (put(None, Modality="PT"), "Modality says PT, SOPClassUID says CT"),
    "colour": (put(None, PhotometricInterpretation="RGB"), "colour images"),
    "frames without positions": (put([3], NumberOfFrames=2), "frames in one file|missing"),
    "no position in one file": (put([6], ImagePositionPatient=None), "ImagePositionPatient holds nothing, expected 3 finite"),
    "no orientation": (put(None, ImageOrientationPatient=None), "ImageOrientationPatient holds nothing"),
    "no pixel spacing": (put(None, PixelSpacing=None), "PixelSpacing holds nothing"),
    "zero pixel spacing": (put(None, PixelSpacing=[0, 0.8]), "PixelSpacing is 0 x 0.8 mm"),
    "negative pixel spacing": (put(None, PixelSpacing=[-0.8, 0.8]), "PixelSpacing is -0.8"),
    "one pixel spacing value": (put(None, PixelSpacing=[0.8]), "PixelSpacing holds '0.8', expected 2 finite"),
    "orientation not unit": (put(None, ImageOrientationPatient=[1, 1, 0, 0, 1, 0]), "perpendicular vectors of length 1"),
    "orientation zero": (put(None, ImageOrientationPatient=[0, 0, 0, 0, 0, 0]), "perpendicular vectors of length 1"),
    "orientation parallel": (put(None, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "perpendicular vectors of length 1"),
    "another size in one file": (put([5], Rows=9, Columns=7), "differs? in .*Rows|1 slice is missing"),
    "another size in the last file": (put([11], Rows=9, Columns=7), r"belongs, but differs in Columns, Rows|belongs, but"),
    "another spacing in one file": (put([5], PixelSpacing=[0.9, 1.3]), "1 slice is missing|belongs, but differs in PixelSpacing"),
    "another spacing in the first file": (put([0], PixelSpacing=[0.9, 1.3]), "belongs, but differs in PixelSpacing"),
    "another frame of reference in the last file": (put([11], FrameOfReferenceUID="1.2.9"), "differs in FrameOfReferenceUID"),
    "another study in the last file": (put([11], StudyInstanceUID="1.2.9"), "differs in StudyInstanceUID"),
    "another kernel in the last file": (put([11], ConvolutionKernel="B70"), "differs in ConvolutionKernel"),
    "no slope": (put(None, RescaleSlope=None), "RescaleSlope or RescaleIntercept is missing"),
    "no intercept in one file": (put([4], RescaleIntercept=None), "RescaleSlope or RescaleIntercept is missing"),
    "slope zero": (put([4], RescaleSlope=0), "RescaleSlope is 0"),
    "not Hounsfield units": (put(None, RescaleType="OD"), "RescaleType is 'OD', expected HU"),
    "pixels cut": (cut_pixels(7, 60), "60 bytes of pixel data, expected 126 for 7 x 9 pixels"),
    "no pixels": (put([7], PixelData=None), "no pixel data where the header promises an image"),
    "bits stored beyond allocated": (put([7], BitsAllocated=8), "bytes of pixel data, expected 63"),
    "tilt": (lambda headers: [shift(k, 0, 0.4 * k, 0.1 * k)(headers)[k] for k in range(12)], "gantry tilt"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_refused_with_its_reason(stack, save, series_in, tmp_path, fault):
    change, reason = FAULTS[fault]
    truth = stack()
    save(tmp_path, change(truth.headers()))

    found = series_in(tmp_path)

    if reason is None:  # files exchanged along the normal: the same images in another order are sorted out, not refused
        assert found[0].usable
        return
    largest = found[0]
    assert not largest.usable
    with pytest.raises(DataError, match=reason):
        read_series(largest)
    assert not any("Canary" in str(one.reason) + str(one.notes) for one in found)
    assert sum(one.usable for one in found) == 0


def test_grid_has_at_least_sixty_faults():
    assert len(FAULTS) >= 60


def test_identical_copies_are_dropped_with_a_note(stack, save, series_in, tmp_path):
    headers = stack().headers()
    save(tmp_path / "one", headers)
    save(tmp_path / "two", headers[3:5])
    renamed = copy.deepcopy(headers[8])
    renamed.SOPInstanceUID = renamed.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    save(tmp_path / "three", [renamed])

    (series,) = series_in(tmp_path)

    assert series.usable and len(series.paths) == 12
    assert any("3 identical copies dropped" in note for note in series.notes)
    np.testing.assert_allclose(read_series(series).affine, stack().ras(), atol=1e-4)


def test_two_series_in_one_folder_are_never_stacked(stack, save, series_in, tmp_path):
    near, far = stack(series="1"), stack(series="2", offset=25.0)
    save(tmp_path, near.headers(), stem="A")
    save(tmp_path, far.headers(), stem="B")

    first, second = series_in(tmp_path)

    assert (len(first.paths), len(second.paths)) == (12, 12)
    assert np.abs(read_series(first).array - near.values()).max() < 0.0011
    assert np.abs(read_series(second).array - far.values()).max() < 0.0011


def test_localiser_in_the_same_series_is_set_aside_with_a_note(stack, save, series_in, tmp_path):
    truth = stack()
    scout = stack(shape=(12, 15, 12), axes=np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])).headers()[:2]
    for header in scout:
        header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID + ".5"
    save(tmp_path, truth.headers() + scout)

    volume, localiser = series_in(tmp_path)

    assert volume.usable and len(volume.paths) == 12
    assert any("mixed series (12, 2 images)" in note and "ImageType" in note for note in volume.notes)
    assert not localiser.usable and "a localiser" in localiser.reason


def test_joined_beds_of_a_pet_are_accepted_with_a_note(stack, save, series_in, tmp_path):
    truth = stack(modality="PT", spacing=(4.7, 4.7, 3.27), shape=(9, 7, 40), gradient=(0.02, 0.01, 0.03))
    headers = truth.headers()
    for k in range(20, 40):
        along(k, -0.04)(headers)  # a gap of 3.23 instead of 3.27 mm: one in a hundred
    save(tmp_path, headers)

    (series,) = series_in(tmp_path)

    assert series.usable, series.reason
    assert any("from even spacing" in note for note in series.notes)


@pytest.mark.parametrize("keep", [0, 100, 300, 700])
def test_damaged_last_slice_refuses_the_series(stack, save, series_in, tmp_path, keep):
    save(tmp_path, stack().headers())
    last = series_in(tmp_path)[0].paths[-1]
    last.write_bytes(last.read_bytes()[:keep])

    (series,) = series_in(tmp_path)

    assert not series.usable and last.name in series.reason
    assert "may be one of its slices" in series.reason or "cut" in series.reason


@pytest.mark.parametrize("name", ["lost.dcm", "readme.txt"])
def test_unreadable_file_of_another_kind_of_name_is_told_of(stack, save, series_in, tmp_path, name):
    save(tmp_path, stack().headers())
    (tmp_path / name).write_bytes(b"")

    (series,) = series_in(tmp_path)

    assert series.usable and any(name in note for note in series.notes)


def test_end_slice_under_another_series_is_not_lost(stack, save, series_in, tmp_path):
    headers = stack().headers()
    headers[-1].SeriesInstanceUID = "1.2.3"
    save(tmp_path, headers)

    found = {len(one.paths): one for one in series_in(tmp_path)}

    assert not found[11].usable and "lies exactly where its next slice belongs" in found[11].reason


def test_single_image_of_another_patient_takes_no_part(stack, save, series_in, tmp_path):
    save(tmp_path / "a", stack().headers()[:-1])
    other = stack(study="2").headers()[-1:]
    save(tmp_path / "b", other)

    found = {len(one.paths): one for one in series_in(tmp_path)}

    assert found[11].usable and not found[1].usable


def test_tilted_stack_beside_a_damaged_slice_is_not_merely_tilted(stack, save, series_in, tmp_path):
    save(tmp_path, stack(lean=(0.0, 0.5)).headers())
    last = series_in(tmp_path)[0].paths[-1]
    last.write_bytes(b"")

    (series,) = series_in(tmp_path)

    assert not series.is_tilted and "may be one of its slices" in series.reason
