"""Exported maps hold their numbers at their place, for every reader, and repeat to the byte."""

import highdicom
import numpy as np
import pydicom
import pytest

from medidiff.errors import DataError
from medidiff.io.dicom.parametric_map import Quantity, write_parametric_map
from medidiff.io.dicom.series import series_grid
from medidiff.io.scan import find_petct
from medidiff.io.volume import Volume
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import PetCtPhantom

ENTROPY = Quantity("entropy", "doubt of the model, nats", 0.0, 0.6931)
WORDS = {"quantity": ENTROPY, "algorithm": "diffusion", "version": "0.1.0"}


@pytest.fixture(scope="module")
def pet(tmp_path_factory):
    """The PET series of an oblique digital patient."""
    folder = tmp_path_factory.mktemp("patient")
    small = {"ct_matrix": 16, "ct_slices": 12, "ct_spacing_mm": (12.0, 12.0, 8.0), "pet_matrix": 12, "pet_slices": 9}
    settings = PetCtPhantom(seed=3, turn_deg=(8.0, -5.0, 12.0), pet_spacing_mm=(9.0, 9.0, 7.0), **small)
    write_patient(make_patient(settings), folder / "study")
    return find_petct(folder / "study").pet


@pytest.fixture
def values(pet):
    grid = series_grid(pet)
    return Volume(0.69 * np.random.default_rng(1).random(grid.shape, dtype=np.float32), grid.affine)


def test_every_reader_finds_each_number_at_its_place_in_the_patient(pet, values, tmp_path):
    write_parametric_map(values, pet.paths, tmp_path / "map.dcm", **WORDS)
    made = pydicom.dcmread(tmp_path / "map.dcm")
    assert made.SOPClassUID == pydicom.uid.ParametricMapStorage and made.StudyInstanceUID
    to_index = np.linalg.inv(np.diag([-1.0, -1, 1, 1]) @ values.affine)
    shared = made.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    for frame, groups in zip(made.pixel_array, made.PerFrameFunctionalGroupsSequence, strict=True):
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        place = origin + 4 * spacing[1] * cosines[:3] + 7 * spacing[0] * cosines[3:]
        index = to_index[:3, :3] @ place + to_index[:3, 3]
        assert np.abs(index - index.round()).max() < 1e-3
        assert frame[7, 4] == values.array[tuple(index.round().astype(int))]
    volume = highdicom.imread(tmp_path / "map.dcm").get_volume()
    seen = to_index @ volume.affine  # indices of highdicom's volume to ours
    order = np.abs(seen[:3, :3].round()).argmax(axis=0)
    assert np.abs(seen[:3, :3] - seen[:3, :3].round()).max() < 1e-3
    assert np.sort(volume.array.ravel()).tolist() == np.sort(values.array.ravel()).tolist()
    corner = (seen @ [0, 0, 0, 1])[:3].round().astype(int)
    assert volume.array[0, 0, 0] == values.array[tuple(corner)] and sorted(order) == [0, 1, 2]


def test_what_the_numbers_mean_stands_in_the_map(pet, values, tmp_path):
    write_parametric_map(values, pet.paths, tmp_path / "map.dcm", **WORDS)
    made = pydicom.dcmread(tmp_path / "map.dcm")
    mapping = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert (mapping.LUTLabel, mapping.LUTExplanation) == (ENTROPY.name, ENTROPY.explanation)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert mapping.RealWorldValueSlope == 1 and mapping.RealWorldValueIntercept == 0


def test_equal_maps_give_equal_bytes_and_other_numbers_another_name(pet, values, tmp_path):
    for name, one in (("a", values), ("b", values), ("c", values.with_array(values.array / 2))):
        write_parametric_map(one, pet.paths, tmp_path / f"{name}.dcm", **WORDS)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    uids = [pydicom.dcmread(tmp_path / f"{name}.dcm").SOPInstanceUID for name in "ac"]
    assert len(set(uids)) == 2


def test_a_map_on_another_grid_is_refused_with_both_affines(pet, values, tmp_path):
    moved = values.affine.copy()
    moved[0, 3] += 0.01
    with pytest.raises(DataError, match=r"(?s)map .*does not lie on the source images .*map\n.*source\n"):
        write_parametric_map(Volume(values.array, moved), pet.paths, tmp_path / "map.dcm", **WORDS)
    assert not (tmp_path / "map.dcm").exists()
