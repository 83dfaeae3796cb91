"""Reading RTSTRUCT files, good and bad."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medidiff.errors import DataError
from medidiff.io.dicom.rtstruct import find_roi, read_contours

SQUARE = [[-10, -20, 5], [10, -20, 5], [10, 20, 5], [-10, 20, 5]]
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


def item(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def contour(points: list[list[float]], kind: str = "CLOSED_PLANAR") -> Dataset:
    image = item(ReferencedSOPInstanceUID="1.2.3.4")
    flat = [f"{value:g}" for point in points for value in point]
    return item(ContourGeometricType=kind, ContourData=flat, ContourImageSequence=[image])


def write_rtstruct(
    path: Path, rois: dict[str, list[Dataset]], *, modality: str = "RTSTRUCT", syntax: str = ExplicitVRLittleEndian
):
    dataset = item(SOPClassUID=RTSTRUCT, SOPInstanceUID="1.2.3", Modality=modality, PatientName="Canary^Jane")
    series = item(SeriesInstanceUID="1.2.9")
    dataset.ReferencedFrameOfReferenceSequence = [
        item(RTReferencedStudySequence=[item(RTReferencedSeriesSequence=[series])]),
    ]
    dataset.StructureSetROISequence = [
        item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID="1.2.8") for n, name in enumerate(rois, 1)
    ]
    # the contours stand in another order than the names, and belong together by number
    dataset.ROIContourSequence = [
        item(ReferencedROINumber=n, ContourSequence=contours) for n, contours in reversed(list(enumerate(rois.values(), 1)))
    ]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_contours_come_back_in_ras_with_what_they_were_drawn_on(tmp_path, syntax):
    write_rtstruct(tmp_path / "rs.dcm", {"GTV": [contour(SQUARE)], "Lung": [contour(SQUARE), contour(SQUARE)]}, syntax=syntax)
    gtv, lung = read_contours(tmp_path / "rs.dcm")
    assert (gtv.name, len(gtv.contours), lung.name, len(lung.contours)) == ("GTV", 1, "Lung", 2)
    np.testing.assert_array_equal(gtv.contours[0], np.array(SQUARE) * [-1, -1, 1])
    assert (gtv.frame_of_reference_uid, gtv.series_uids, gtv.instance_uids) == ("1.2.8", {"1.2.9"}, {"1.2.3.4"})


def test_points_lines_and_contours_of_two_points_enclose_nothing_and_are_counted(tmp_path):
    shapes = [contour(SQUARE), contour(SQUARE[:2]), contour(SQUARE[:1], "POINT"), contour(SQUARE, "OPEN_PLANAR")]
    write_rtstruct(tmp_path / "rs.dcm", {"GTV": shapes})
    (roi,) = read_contours(tmp_path / "rs.dcm")
    assert (len(roi.contours), roi.skipped) == (1, 3)


def test_a_region_that_is_not_there_is_an_error_that_lists_the_names(tmp_path):
    write_rtstruct(tmp_path / "rs.dcm", {"GTV": [], "Lung": []})
    with pytest.raises(DataError, match=r"region 'Tumour': 0 found, expected one. There are: 'GTV', 'Lung'"):
        find_roi(read_contours(tmp_path / "rs.dcm"), "Tumour")


def test_an_image_is_not_taken_for_a_structure_set(tmp_path):
    write_rtstruct(tmp_path / "ct.dcm", {"GTV": []}, modality="CT")
    with pytest.raises(DataError, match=r"^ct\.dcm: Modality is CT, expected RTSTRUCT"):
        read_contours(tmp_path / "ct.dcm")


def test_a_structure_set_without_regions_is_refused(tmp_path):
    write_rtstruct(tmp_path / "rs.dcm", {})
    with pytest.raises(DataError, match=r"^rs\.dcm: no region of interest"):
        read_contours(tmp_path / "rs.dcm")


@pytest.mark.parametrize("content", [b"", b"no dicom" * 100, b"\0" * 128 + b"DICM" + b"\xff" * 50])
def test_a_file_that_is_no_dicom_is_one_clear_error(tmp_path, content):
    (tmp_path / "rs.dcm").write_bytes(content)
    with pytest.raises(DataError, match=r"^study/rs\.dcm: (cannot be read as RTSTRUCT|Modality is absent)"):
        read_contours(tmp_path / "rs.dcm", name="study/rs.dcm")


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("data", [["1", "2"], ["1", "2", "nan"], ["1", "2", "inf"]])
def test_coordinates_that_are_no_points_are_refused_without_naming_the_patient(tmp_path, data):
    broken = contour(SQUARE)
    broken.ContourData = data
    write_rtstruct(tmp_path / "rs.dcm", {"GTV": [broken]})
    with pytest.raises(DataError, match=r"^rs\.dcm: a contour of region 'GTV' holds .* three a point") as caught:
        read_contours(tmp_path / "rs.dcm")
    assert "Canary" not in str(caught.value)
