"""Patches, their variations, and what a mask model is trained to do."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import nn

from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.train import Training, train
from medidiff.errors import ConfigError, DataError
from medidiff.io.volume import Volume
from medidiff.segmentation.augmentation import Augmentation
from medidiff.segmentation.conditioning import FILL, Conditioning
from medidiff.segmentation.denoiser import LAMBDA_MIN, SIGMA_MAX, SIGMA_MIN, MaskDenoiser
from medidiff.segmentation.model import MaskCard, assemble_model, pack_model
from medidiff.segmentation.objectives import (
    RECYCLED,
    START,
    TRUE,
    Calibrated,
    Overlap,
    Plain,
    cross_entropy,
    dice_loss,
    draw_levels,
    initial_bias,
    recycle,
)
from medidiff.segmentation.patches import Patches, Patient, as_items
from medidiff.segmentation.planes import neighbourhood
from medidiff.segmentation.training import as_patient, prepare_run
from medidiff.segmentation.training_settings import MaskTraining

BOTH = Conditioning()
STILL = Augmentation(rotation_deg=0, scale=(1, 1), flips=False, pet_gain=0, ct_shift=0, ct_noise=0)


def asked(**changes):
    return MaskTraining.model_validate_json(json.dumps({"patients": {"dataset": "petct-sts"}, **changes}))


def patient(shape=(20, 24, 28), *, seed=1):
    condition = torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    mask = torch.zeros(shape)
    mask[4:9, 5:10, 6:11] = 1
    condition[1][mask > 0] = 0.9  # hot where the lesion is
    return Patient(condition, mask)


def drawn(patches, *, seed=0, count=6):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return patches[torch.zeros(count, dtype=torch.long)]


def test_a_patch_that_covers_a_still_patient_is_the_patient():
    known = patient((16, 16, 16))
    patches = Patches([known], BOTH, size=(16, 16, 16), overhang=0, augmentation=STILL)
    batch = drawn(patches, count=2)
    assert torch.allclose(batch["condition"][0], known.condition, atol=1e-5)
    assert torch.equal(batch["x0"][1, 0], known.mask * 2 - 1)


def test_turned_patches_keep_the_mask_on_the_lesion():
    batch = drawn(Patches([patient()], BOTH, size=(16, 16, 16), augmentation=Augmentation(pet_gain=0)), count=8)
    inside = batch["x0"][:, 0] > 0
    assert inside.any()
    assert batch["condition"][:, 1][inside].min() > 0.05  # half lesion at 0.9, half background at -0.8


def test_what_lies_outside_the_patient_is_air_in_every_channel():
    batch = drawn(Patches([patient((8, 8, 8))], BOTH, size=(24, 24, 24), augmentation=Augmentation(flips=False)))
    outside = batch["condition"][:, :, 0, 0, 0]
    assert torch.allclose(outside, torch.full_like(outside, FILL), atol=1e-5)
    assert (batch["x0"][:, 0, 0] == -1).all()


def test_most_patches_show_the_lesion_and_not_always_in_their_middle():
    wide = Patient(torch.zeros(2, 64, 64, 64), torch.zeros(64, 64, 64))
    wide.mask[4:8, 4:8, 4:8] = 1
    shown = drawn(Patches([wide], BOTH, size=(16, 16, 16)), count=60)["x0"][:, 0] > 0
    assert 0.4 < shown.flatten(1).any(1).float().mean() < 0.9
    middles = torch.stack([torch.nonzero(one).float().mean(0) for one in shown if one.any()])
    assert middles.std(0).min() > 2


def test_the_same_seed_draws_the_same_patches():
    patches = Patches([patient()], BOTH, size=(16, 16, 16))
    assert torch.equal(drawn(patches)["condition"], drawn(patches)["condition"])
    assert not torch.equal(drawn(patches)["condition"], drawn(patches, seed=1)["condition"])


@pytest.mark.parametrize("neighbours", [0, 1])
def test_patches_of_slices_have_the_slices_beside_them_as_channels(neighbours):
    batch = drawn(Patches([patient()], BOTH, size=(16, 16, 1), neighbours=neighbours), count=3)
    assert batch["x0"].shape == (3, 1, 16, 16)
    assert batch["condition"].shape == (3, 2 * (1 + 2 * neighbours), 16, 16)


def test_slices_beside_come_in_the_order_in_which_the_network_of_volumes_gives_them():
    slab = torch.rand(1, 2, 4, 4, 3)
    items = as_items(torch.zeros(1, 1, 4, 4, 3), slab, 1)
    assert torch.equal(items["condition"], neighbourhood(slab, 1)[..., 1])


def test_the_gain_of_the_pet_is_a_gain_of_suv():
    suv = torch.tensor([0.5, 3.0, 12.0])
    channel = (torch.log1p(suv) / math.log(31) * 2 - 1).expand(1, 1, 1, 3)
    found = Augmentation(pet_gain=0.15).pet(channel, 30.0, lambda *shape: torch.ones(shape))
    assert torch.expm1((found + 1) / 2 * math.log(31))[0, 0, 0] == pytest.approx(1.15 * suv, rel=1e-5)


def test_air_of_the_ct_stays_air():
    channel = torch.full((4, 3, 3, 3), -1.0)
    assert torch.equal(Augmentation().ct(channel, torch.rand, torch.randn), channel)


def test_a_pose_is_a_scaled_rotation_with_flips():
    matrix = Augmentation(scale=(0.9, 1.1)).pose(3, torch.rand)
    scale = abs(float(torch.linalg.det(matrix))) ** (1 / 3)
    assert 0.9 <= scale <= 1.1
    assert matrix @ matrix.T == pytest.approx(scale**2 * torch.eye(3), abs=1e-5)


def test_a_patient_of_other_channels_is_refused():
    with pytest.raises(DataError, match=r"training patient 0: condition \(2, 20, 24, 28\) .* expected 1 channels"):
        Patches([patient()], Conditioning(modalities=("pet",)))


def test_levels_are_drawn_in_the_shares_that_were_asked_for():
    sigma, kind = draw_levels(4000, Noise(1), at_start=0.4, recycled=0.3)
    shares = [float((kind == k).double().mean()) for k in (START, RECYCLED, TRUE)]
    assert shares == pytest.approx([0.4, 0.3, 0.3], abs=0.03)
    assert (sigma[kind == START] == SIGMA_MAX).all()
    lam = -sigma[kind != START].log()
    assert lam.min() >= LAMBDA_MIN and float(lam.mean()) == pytest.approx(-3, abs=0.2)
    assert sigma.min() >= SIGMA_MIN * (1 - 1e-12)


class Constant(nn.Module):
    """One logit for every voxel."""

    def __init__(self, logit=0.0):
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, x, noise_level, condition):
        return self.logit.expand_as(x)


def items(share=0.2, count=24):
    generator = torch.Generator().manual_seed(3)
    x0 = (torch.rand(count, 1, 6, 6, 6, generator=generator) < share).float() * 2 - 1
    return {"x0": x0, "condition": torch.zeros(count, 2, 6, 6, 6)}


def pull(objective):
    """Derivative of the loss by the one logit of all voxels, where that says the true share."""
    network = Constant(initial_bias(float((items()["x0"] > 0).float().mean())))
    objective(items(), MaskDenoiser(network), Noise(2)).backward()
    return float(network.logit.grad)


def test_the_calibrated_objective_is_least_at_the_true_probability():
    assert pull(Calibrated()) == pytest.approx(0, abs=1e-6)


def test_the_overlap_objective_says_more_than_the_probability():
    # Dice is no proper score: what it makes of doubt must not be read as a probability
    assert pull(Overlap(at_start=1.0, recycled=0.0)) < -0.02


def test_cross_entropy_and_dice_of_known_logits():
    x0 = torch.tensor([[[1.0, -1.0, -1.0, -1.0]]])
    logits = torch.full_like(x0, math.log(0.25 / 0.75))
    assert float(cross_entropy(logits, x0)) == pytest.approx(-(math.log(0.25) + 3 * math.log(0.75)) / 4)
    assert float(dice_loss(logits, x0)) == pytest.approx(1 - (2 * 0.25 + 1) / (1 + 1 + 1))


def test_recycled_items_carry_the_networks_own_answer_and_no_gradient():
    network = Constant(1.0)
    x0, z = torch.ones(3, 1, 4, 4, 4), torch.zeros(3, 1, 4, 4, 4)
    chosen = torch.tensor([False, True, False])
    found = recycle(MaskDenoiser(network), x0, z, torch.zeros(3, 2, 4, 4, 4), chosen)
    assert torch.equal(found[~chosen], x0[~chosen])
    assert float(found[1].mean()) == pytest.approx(math.tanh(0.5))
    assert not found.requires_grad


@pytest.mark.parametrize("objective", [Plain(), Calibrated(), Overlap()], ids=lambda o: type(o).__name__)
def test_a_few_steps_of_training_lower_the_loss(objective):
    network = UNet(UNetShape(dims=3, channels=1, condition=2, width=8, multipliers=(1, 2), stem=2), seed=1)
    patches = Patches([patient()], BOTH, size=(8, 8, 8), augmentation=STILL)
    settings = Training(steps=24, batch=2, learning_rate=5e-3, warmup=5, look_every=10**9, save_every=10**9)
    held_out = drawn(patches, count=16)
    with torch.no_grad():
        before = objective(held_out, MaskDenoiser(network), Noise(5))
    train(network, patches, objective=objective, adapter=MaskDenoiser, settings=settings)
    with torch.no_grad():
        assert objective(held_out, MaskDenoiser(network), Noise(5)) < 0.8 * before


@pytest.mark.parametrize(
    ("changes", "channels"),
    [
        ({}, 2),
        ({"input": {"modalities": ["pet"]}}, 1),
        ({"network": {"dims": 2, "width": 8, "multipliers": [1, 2]}}, 2),
        ({"network": {"dims": 2, "neighbours": 1, "width": 8, "multipliers": [1, 2]}}, 6),
    ],
    ids=["3D", "PET alone", "2D", "2.5D"],
)
@pytest.mark.parametrize("kind", ["unet", "diffusion"])
def test_every_model_of_the_ablation_trains_and_comes_back_from_its_files(changes, channels, kind):
    tiny = {"network": {"width": 8, "multipliers": [1, 2]}, **changes}
    settings = asked(kind=kind, steps=1, patch=16, warmup=0, save_every=1, **tiny)
    known = patient()
    run = prepare_run(settings, [Patient(known.condition[: len(settings.input.modalities)], known.mask)])
    checkpoint = train(run.network, run.data, objective=run.objective, adapter=MaskDenoiser, settings=run.training)
    made = MaskCard(
        "tiny",
        kind,
        asdict(run.network.shape),
        settings.input.model_dump(),
        "",
        neighbours=settings.network.neighbours,
    )
    model = assemble_model(pack_model(made, checkpoint.averages[0.1]), kind=kind)
    assert run.network.shape.condition == channels
    found = model.network(torch.zeros(1, 1, 16, 16, 8), torch.zeros(1), torch.zeros(1, len(settings.input.modalities), 16, 16, 8))
    assert found.shape == (1, 1, 16, 16, 8)


def test_a_diffusion_run_may_start_from_a_plain_model():
    settings = asked(start="plain", network={"width": 8, "multipliers": [1, 2]})
    plain = UNet(prepare_run(settings.model_copy(update={"start": ""}), []).network.shape, seed=3)
    run = prepare_run(settings, [], plain=plain.state_dict())
    assert torch.equal(run.network.last.weight, plain.last.weight)
    with pytest.raises(ConfigError, match="exactly when it is named"):
        prepare_run(settings, [])


def test_a_study_becomes_a_patient_on_the_networks_grid():
    turn = np.diag([-3.0, -3.0, 2.0, 1.0])
    ct, pet = Volume(np.full((20, 20, 30), 25.0), turn), Volume(np.full((20, 20, 30), 2.0), turn)
    mask = np.zeros((20, 20, 30))
    mask[:10] = 1
    found = as_patient(ct, pet, Volume(mask, turn), Conditioning(spacing_mm=3.0))
    assert found.condition.shape == (2, *found.mask.shape) == (2, 20, 20, 20)
    assert found.condition[0].unique().tolist() == pytest.approx([0.1])
    assert found.mask[:9].max() == 0 and found.mask[11:].min() == 1  # in RAS the mirrored axis runs the other way


def test_impossible_trainings_are_refused():
    for wrong, message in (
        ({"at_start": 0.8, "recycled": 0.3}, "more than 1 together"),
        ({"kind": "unet", "start": "x"}, "a plain model starts from nothing"),
        ({"network": {"neighbours": 1}}, "neighbours are for dims 2"),
    ):
        with pytest.raises(ValueError, match=message):
            asked(**wrong)
