"""Checkpoint folders: the newest whole one is found, torn ones are passed over, other settings are refused."""

from functools import partial

import pytest
import torch

from medidiff.diffusion.checkpoint import pack, settings_hash, unpack
from medidiff.diffusion.denoiser import edm
from medidiff.diffusion.networks.mlp import MLP
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.train import Session, Training, train
from medidiff.diffusion.training_set import Tensors
from medidiff.errors import DataError
from medidiff.io.checkpoint_files import MANIFEST, read_checkpoint, write_checkpoint

SETTINGS = "3fa2" * 16


def save(folder, step, settings=SETTINGS):
    return write_checkpoint(
        folder, {"model.safetensors": b"m%d" % step, "card.json": b"c%d" % step}, step=step, settings=settings
    )


def test_the_newest_checkpoint_comes_back_and_two_are_kept(tmp_path):
    for step in (9, 10, 100):
        save(tmp_path, step)
    assert read_checkpoint(tmp_path, settings=SETTINGS) == {"model.safetensors": b"m100", "card.json": b"c100"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]


def test_an_empty_folder_means_a_new_run(tmp_path):
    assert read_checkpoint(tmp_path / "none", settings=SETTINGS) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text('{"files": '),
        lambda folder: (folder / "model.safetensors").write_bytes(b"m"),
        lambda folder: (folder / "model.safetensors").unlink(),
    ],
    ids=["no manifest", "half a manifest", "short file", "missing file"],
)
def test_a_torn_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    save(tmp_path, 10)
    damage(save(tmp_path, 20))
    assert read_checkpoint(tmp_path, settings=SETTINGS)["card.json"] == b"c10"
    save(tmp_path, 30)
    assert read_checkpoint(tmp_path, settings=SETTINGS)["card.json"] == b"c30"


def test_only_torn_checkpoints_are_an_error_with_advice(tmp_path):
    (save(tmp_path, 10) / "card.json").write_bytes(b"")
    with pytest.raises(DataError, match="no whole checkpoint: step-00000010 are torn; delete them"):
        read_checkpoint(tmp_path, settings=SETTINGS)


def test_a_run_that_was_killed_in_its_first_checkpoint_begins_anew(tmp_path):
    (save(tmp_path, 10) / "manifest.json").unlink()  # which is written last
    assert read_checkpoint(tmp_path, settings=SETTINGS) is None
    save(tmp_path, 10)
    assert read_checkpoint(tmp_path, settings=SETTINGS)["card.json"] == b"c10"


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    save(tmp_path, 10)
    with pytest.raises(DataError, match="made with settings 3fa23fa2, these are 91bc91bc; restore"):
        read_checkpoint(tmp_path, settings="91bc" * 16)


def test_training_killed_while_it_saves_ends_in_the_same_bytes(tmp_path):
    settings = Training(steps=15, batch=2, warmup=0, save_every=5, first_look=10**6, look_every=10**6)
    data, name = Tensors({"x0": torch.randn(5, 3)}), settings_hash({"steps": 15})

    def run(folder, save):
        files = read_checkpoint(folder, settings=name)
        return train(MLP(3, width=8), data, objective=Denoising(1.0), adapter=partial(edm, sd=1.0), settings=settings,
                     session=Session(save=save, resume=unpack(files) if files else None))  # fmt: skip

    def to_disk(checkpoint):
        write_checkpoint(tmp_path, pack(checkpoint), step=checkpoint.step, settings=name)

    def killed_at_ten(checkpoint):
        if checkpoint.step < 10:
            return to_disk(checkpoint)
        (tmp_path / "step-00000010").mkdir()
        (tmp_path / "step-00000010" / "model.safetensors").write_bytes(pack(checkpoint)["model.safetensors"])
        raise KeyboardInterrupt

    whole = run(tmp_path / "nowhere", lambda checkpoint: None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, killed_at_ten)
    resumed = run(tmp_path, to_disk)
    assert pack(resumed) == pack(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000015"]
