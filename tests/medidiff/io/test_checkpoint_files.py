"""Checkpoint folders: the newest whole one is found, torn ones are passed over, other settings are refused."""

import pytest

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


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    save(tmp_path, 10)
    with pytest.raises(DataError, match="made with settings 3fa23fa2, these are 91bc91bc; restore"):
        read_checkpoint(tmp_path, settings="91bc" * 16)
