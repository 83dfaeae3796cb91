"""A study through a network: input, windows, members, self-check, maps, and models that do not fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from nibabel.eulerangles import euler2mat
from torch import nn

from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.errors import ConfigError, DataError
from medidiff.io.prior_files import read_prior, write_prior
from medidiff.io.resample import resample_to
from medidiff.io.slab_file import slab_store
from medidiff.io.volume import Grid, Volume
from medidiff.metrics.overlap import dice
from medidiff.segmentation import inference
from medidiff.segmentation.calibration import Calibration
from medidiff.segmentation.conditioning import Conditioning, conditions, network_grid
from medidiff.segmentation.inference import find_by_ensemble, find_by_unet
from medidiff.segmentation.memory import plan_memory
from medidiff.segmentation.model import MaskCard, MaskModel, assemble_model, pack_model
from medidiff.segmentation.settings import DiffusionSettings, SegmentSettings, UnetSettings, WindowSettings
from medidiff.segmentation.task import segment
from medidiff.segmentation.windows import Windows

SHAPE = {"dims": 3, "channels": 1, "condition": 2, "width": 4, "multipliers": [1, 2], "stem": 2}
CARD = MaskCard("tiny", "diffusion", SHAPE, {"modalities": ["ct", "pet"], "spacing_mm": 5.0}, "", patch=(16, 16, 16))
QUICK = SegmentSettings(windows=WindowSettings(size=32), diffusion=DiffusionSettings(members=3, steps=4))


def affine(spacing, shape):
    """An oblique affine with the middle of the grid at (20, -30, 400) mm."""
    result = np.eye(4)
    result[:3, :3] = euler2mat(0.2, 0.1, -0.3) @ np.diag(spacing)
    result[:3, 3] = np.array([20.0, -30.0, 400.0]) - result[:3, :3] @ ((np.array(shape) - 1) / 2)
    return result


def study():
    """A hot sphere beside the middle, and a body of water around it, on two oblique grids of different directions."""
    ct_shape, pet_shape = (60, 52, 40), (28, 26, 34)
    ct = Volume(np.full(ct_shape, -1000.0, np.float32), affine((3.0, 3.0, 4.0), ct_shape))
    ct.array[8:52, 8:44] = 40
    pet = Volume(np.full(pet_shape, 0.8, np.float32), affine((-5.0, -5.0, 4.0), pet_shape))
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in pet_shape], indexing="ij"), -1).reshape(-1, 3)
    distance = np.linalg.norm(pet.grid.positions(indices) - [32, -22, 405], axis=1).reshape(pet_shape)
    pet.array[:] += 9 / (1 + np.exp((distance - 24) / 4))
    return ct, pet


class HotIsLesion(nn.Module):
    """The logit of a voxel grows with its PET channel, and with the mask in the state where that can be seen."""

    def __init__(self, *, drift=0.0):
        super().__init__()
        self.drift = drift  # what is added to the logit behind the first level

    def forward(self, x, noise_level, condition):
        later = (noise_level < 2).to(x).view(-1, 1, 1, 1, 1)
        return 30 * (condition[:, 1:] - 0.04) + later * (0.5 * x + self.drift)


def model(network, kind="diffusion"):
    return MaskModel(replace(CARD, kind=kind), network, Conditioning(spacing_mm=5.0), 4)


def files(**changes):
    network = UNet(UNetShape(**{**SHAPE, "multipliers": (1, 2)}), seed=2)
    with torch.no_grad():
        network.last.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(2))
    return pack_model(replace(CARD, **changes), network.state_dict())


def test_the_lesion_comes_back_at_its_place_through_padding_windows_mirrors_and_two_grids():
    ct, pet = study()
    hot = float(np.expm1((0.04 + 1) / 2 * np.log(31)))  # SUV at which the logit is 0
    for size in (16, 32, 64):
        settings = QUICK.model_copy(update={"windows": WindowSettings(size=size)})
        found = find_by_ensemble(ct, pet, model(HotIsLesion()), settings, study="a")
        plain = find_by_unet(ct, pet, model(HotIsLesion(), "unet"), settings)
        truth = pet.array > hot
        for volume in (found.maps["one_step"].array, on_pet(found.probability, pet), on_pet(plain.probability, pet)):
            assert dice(volume >= 0.5, truth) > 0.95
        assert found.probability.array[found.probability.array > 0.5].size < 0.5 * found.probability.array.size


def on_pet(probability, pet):
    return resample_to(probability, pet.grid, fill=0.0).array


def test_the_network_sees_cubic_voxels_in_the_order_of_ras_around_the_centre_of_the_pet():
    turned = np.eye(4)
    turned[:3, :3] = np.array([[0, 0, 3.0], [-2.0, 0, 0], [0, -4.0, 0]])  # k, -i, -j are x, y, z
    grid = network_grid(Grid((30, 20, 10), turned), 4.0)
    assert grid.shape == (8, 15, 20)  # 30, 60 and 80 mm: 7.5 is rounded to even
    assert grid.orientation == "RAS" and grid.spacing_mm == pytest.approx((4, 4, 4))
    centre = turned @ [14.5, 9.5, 4.5, 1]
    assert grid.positions(np.array([[3.5, 7.0, 9.5]]))[0] == pytest.approx(centre[:3])


def test_channels_are_the_windows_of_the_card():
    ct, pet = study()
    grid = network_grid(pet.grid, 5.0)
    both = conditions(ct, pet, grid, Conditioning(spacing_mm=5.0))
    assert both.shape == (2, *grid.shape) and both.dtype == np.float32
    assert np.abs(both).max() <= 1
    assert both[0].max() == pytest.approx(40 / 250)
    assert both[1].max() == pytest.approx(2 * np.log1p(9.8) / np.log(31) - 1, abs=0.03)
    swapped = conditions(ct, pet, grid, Conditioning(modalities=("pet",), spacing_mm=5.0))
    assert np.array_equal(swapped[0], both[1])


def test_wrong_constants_of_the_input_are_refused():
    with pytest.raises(ConfigError, match="expected one or both of ct and pet"):
        Conditioning(modalities=("ct", "mr"))
    with pytest.raises(ConfigError, match="a rising window"):
        Conditioning(ct_window_hu=(250, -250))


def test_maps_of_doubt_lie_on_the_grid_of_the_pet_and_obey_their_laws():
    ct, pet = study()
    found = find_by_ensemble(ct, pet, model(HotIsLesion()), QUICK, study="a")
    assert sorted(found.maps) == ["entropy", "mutual_information", "one_step", "trajectory", "variance"]
    assert all(volume.grid.agrees_with(pet.grid) for volume in found.maps.values())
    assert found.maps["variance"].array.min() >= 0 and found.maps["variance"].array.max() <= 0.5
    assert 0 < found.maps["entropy"].array.max() <= np.log(2) + 1e-6
    assert (found.maps["mutual_information"].array <= found.maps["entropy"].array + 1e-6).all()
    assert found.numbers["volume_low_ml"] <= found.numbers["volume_high_ml"]
    assert found.numbers["network_looks"] == 12


def test_one_member_has_no_variance():
    settings = QUICK.model_copy(update={"diffusion": DiffusionSettings(members=1, steps=4)})
    found = find_by_ensemble(*study(), model(HotIsLesion()), settings, study="a")
    assert sorted(found.maps) == ["entropy", "one_step", "trajectory"]
    assert "volume_low_ml" not in found.numbers


def test_an_ensemble_that_drifts_from_its_own_first_answer_is_not_used():
    ct, pet = study()
    steady, drifting = (find_by_ensemble(ct, pet, model(HotIsLesion(drift=drift)), QUICK, study="a") for drift in (0.0, 20.0))
    assert abs(steady.numbers["volume_gap"]) < 0.2 and steady.numbers["is_one_step"] == 0 and steady.warnings == ()
    assert drifting.numbers["volume_gap"] > 0.3 and drifting.numbers["is_one_step"] == 1
    assert "The mask is the one-step answer" in drifting.warnings[0]
    patient = QUICK.model_copy(update={"diffusion": DiffusionSettings(members=3, steps=4, trusted_gap=1e9)})
    doubted = find_by_ensemble(ct, pet, model(HotIsLesion(drift=20.0)), patient, study="a")
    assert doubted.numbers["is_one_step"] == 0 and "The mask is the ensemble's" in doubted.warnings[0]
    assert np.allclose(on_pet(drifting.probability, pet), drifting.maps["one_step"].array, atol=1e-6)


def test_the_same_seed_and_study_give_the_same_members_and_others_do_not():
    ct, pet = study()
    first, again, other = (find_by_ensemble(ct, pet, model(HotIsLesion()), QUICK, study=name) for name in ("a", "a", "b"))
    assert np.array_equal(first.maps["variance"].array, again.maps["variance"].array)
    assert not np.allclose(first.maps["variance"].array, other.maps["variance"].array, atol=1e-5)


def test_volumes_go_to_disk_above_the_budget_and_give_the_same_result(monkeypatch):
    places = []

    def watched(*, in_memory):
        places.append(in_memory)
        return slab_store(in_memory=in_memory)

    monkeypatch.setattr(inference, "slab_store", watched)
    ct, pet = study()
    settings = [QUICK.model_copy(update={"windows": WindowSettings(size=16, max_memory_gb=gb)}) for gb in (0.001, 2.0)]
    one, other = (inference.find_by_ensemble(ct, pet, model(HotIsLesion()), chosen, study="a") for chosen in settings)
    assert places == [False, True]
    assert np.array_equal(one.probability.array, other.probability.array)
    assert np.array_equal(one.maps["trajectory"].array, other.maps["trajectory"].array)


def test_how_many_slices_are_handled_at_a_time_changes_nothing(monkeypatch):
    soft = replace(model(HotIsLesion()), calibration=Calibration(temperature=2.0))
    answers = []
    for depth in (3, 32):
        monkeypatch.setattr(inference, "_DEPTH", depth)
        answers.append(find_by_ensemble(*study(), soft, QUICK, study="a"))
    one, other = answers
    assert np.array_equal(one.probability.array, other.probability.array)
    assert all(np.array_equal(one.maps[name].array, other.maps[name].array) for name in other.maps)


def test_memory_is_planned_before_it_is_taken():
    windows = Windows((600, 512, 512), (64, 64, 64))
    plan = plan_memory(windows, channels=2, width=32, stem=2, budget_gb=2.0)
    assert not plan.in_memory and plan.volumes > 6e9 and plan.slabs + plan.look < 2e9
    assert plan_memory(Windows((64, 64, 64), (64, 64, 64)), channels=2, width=32, stem=2, budget_gb=2.0).in_memory
    with pytest.raises(ConfigError, match=r"max_memory_gb is 0\.1, and windows of \(64, 64, 64\) .* need"):
        plan_memory(windows, channels=2, width=32, stem=2, budget_gb=0.1)


@pytest.mark.parametrize(("method", "grid"), [("diffusion", "pet"), ("diffusion", "ct"), ("unet", "ct")])
def test_a_trained_folder_segments_a_study(tmp_path, method, grid):
    write_prior(tmp_path, files(kind=method))
    settings = SegmentSettings(
        grid=grid,
        threshold=0.6,
        diffusion=DiffusionSettings(model=str(tmp_path), members=2, steps=2),
        unet=UnetSettings(model=str(tmp_path), flips=2),
    )
    ct, pet = study()
    found = segment(ct, pet, method=method, settings=settings, study="p")
    expected = (ct if grid == "ct" else pet).grid
    assert found.mask.grid.agrees_with(expected) and found.probability.grid.agrees_with(expected)
    assert np.array_equal(found.mask.array, found.probability.array >= 0.6)
    assert found.numbers["volume_ml"] == pytest.approx(found.mask.array.sum() * expected.voxel_ml)
    assert found.maps["entropy"].grid.agrees_with(pet.grid)


def test_a_model_of_single_lesions_keeps_the_largest_part_and_says_what_it_left_out(monkeypatch):
    ct, pet = study()
    pet.array[2:5, 2:5, 2:5] = 12.0  # a second, smaller lesion
    plain = model(HotIsLesion(), "unet")
    masks = []
    for single in (False, True):
        chosen = replace(plain, card=replace(plain.card, single_lesion=single))
        monkeypatch.setattr("medidiff.segmentation.model.assemble_model", lambda files, chosen=chosen, **_: chosen)
        monkeypatch.setattr("medidiff.segmentation.task.read_prior", lambda folder: {})
        masks.append(segment(ct, pet, method="unet"))
    both, one = masks
    assert both.numbers["lesions"] == 2 and one.numbers["lesions"] == 1
    assert one.numbers["dropped_ml"] == pytest.approx(both.numbers["mtv_ml"] - one.numbers["mtv_ml"])
    assert any("smaller parts were left out" in text for text in one.warnings)
    assert np.array_equal(both.probability.array, one.probability.array)


def test_thresholds_have_no_probability():
    found = segment(*study(), method="suv2")
    assert found.probability is None and found.maps == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "unet"}, "of kind 'unet', the method needs 'diffusion'"),
        ({"conditioning": {"modalities": ["pet"]}}, r"pet with 0 neighbours: 1 channels, but its network takes 2"),
        ({"neighbours": 1}, r"ct and pet with 1 neighbours: 6 channels, but its network takes 2"),
        ({"lambda_range": (-6.0, 1.0)}, r"trained at levels \(-6\.0, 1\.0\), the sampler's are \(-8\.0, 2\.0\)"),
        ({"conditioning": {"window": 3}}, "unexpected keyword argument 'window'"),
        ({"network": {**SHAPE, "width": 8}}, "weights are of another network"),
    ],
)
def test_a_model_that_does_not_fit_its_card_is_refused_before_anything_is_computed(changes, message):
    with pytest.raises(DataError, match=message):
        assemble_model(files(**changes), kind="diffusion")


def test_damaged_and_missing_models_are_named(tmp_path):
    whole = files()
    with pytest.raises(DataError, match=r"has no model.safetensors and no card"):
        read_prior(tmp_path)
    altered = whole["model.safetensors"][:-4] + bytes(4)
    with pytest.raises(DataError, match="its card says"):
        assemble_model({**whole, "model.safetensors": altered}, kind="diffusion")
    with pytest.raises(DataError, match=r"card\.json is not JSON"):
        assemble_model({**whole, "card.json": b"{"}, kind="diffusion")
    with pytest.raises(DataError, match=r"missing keys \['kind', 'name', 'network', 'weights_sha256'\], unknown keys \['x'\]"):
        assemble_model({**whole, "card.json": b'{"x": 1, "conditioning": {}}'}, kind="diffusion")
    write_prior(tmp_path, whole)
    assert read_prior(tmp_path) == whole
