"""Written files against the attribute tables of the DICOM standard (part 3), as highdicom ships them."""

import pydicom
import pytest
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map
from pydicom import config


def items_at(dataset, path):
    """All data sets at a path of sequences; none where a sequence is absent or empty."""
    items = [dataset]
    for keyword in path:
        items = [inner for item in items for inner in item.get(keyword) or []]
    return items


def missing(dataset) -> list[str]:
    """Attributes of mandatory modules that are absent (type 1, 2) or empty (type 1)."""
    iod = get_sop_class_iod_map()[dataset.SOPClassUID]
    modules = [module["key"] for module in get_iod_module_map()[iod] if module["usage"] == "M"]
    found = []
    for attribute in (a for module in modules for a in get_module_attribute_map()[module]):
        keyword = attribute["keyword"]
        for item in items_at(dataset, attribute["path"]):
            absent = attribute["type"] in "12" and keyword not in item
            if absent or (attribute["type"] == "1" and item[keyword].is_empty):
                found.append(".".join([*attribute["path"], keyword]))
    return found


@pytest.mark.parametrize("changes", [{}, {"vendor": "ge", "decay": "none"}, {"vendor": "philips-cnts"}, {"vendor": "gml"}])
def test_every_attribute_that_the_standard_demands_is_there(written, changes):
    folder = written(**changes)[2]
    for path in (next((folder / "CT").iterdir()), next((folder / "PET").iterdir()), *(folder / "RTSTRUCT").iterdir()):
        assert missing(pydicom.dcmread(path)) == []


def test_the_table_notices_what_is_missing(written):
    header = pydicom.dcmread(next((written()[2] / "PET").iterdir()))
    del header.FrameReferenceTime, header.RadiopharmaceuticalInformationSequence
    header.Units = ""
    assert missing(header) == ["Units", "RadiopharmaceuticalInformationSequence", "FrameReferenceTime"]


@pytest.mark.parametrize("decay", ["start", "none"])
def test_conditional_attributes_are_there_exactly_when_their_condition_holds(written, decay):
    header = pydicom.dcmread(next((written(decay=decay)[2] / "PET").iterdir()))
    assert ("DecayFactor" in header) == (decay != "none") == ("DECY" in header.CorrectedImage)
    assert "TriggerTime" not in header and "NumberOfTimeSlots" not in header and "NumberOfTimeSlices" not in header


def test_every_value_obeys_its_representation(written, monkeypatch):
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)
    for changes in ({"vendor": "ge"}, {"vendor": "philips-cnts"}):
        for path in written(**changes)[2].rglob("*.dcm"):
            for element in pydicom.dcmread(path).iterall():
                assert element.value is not None or element.is_empty


def test_pet_frames_are_numbered_and_timed_from_below_upwards(written, read_plainly):
    headers = read_plainly(written()[2] / "PET").headers
    assert [header.ImageIndex for header in headers] == list(range(1, 21))
    times = [header.AcquisitionTime for header in headers]
    assert times == sorted(times) and len(set(times)) == 2
    assert len({header.RescaleSlope for header in headers}) > 15
