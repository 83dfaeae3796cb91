"""Files of training: what they may say, and that those of the shipped models say what the models are."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from medidiff.errors import ConfigError
from medidiff.training.settings import read_training

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "configs" / "priors").glob("*.yaml"))
PRIORS = ("ct-chest", "ct-head-neck", "mr-brain")


@pytest.mark.parametrize("name", PRIORS)
def test_the_files_of_the_project_are_right_and_named_after_their_model(name):
    assert read_training(ROOT / "configs" / "priors" / f"{name}.yaml").name == name


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("name: Not A Name\ntitle: x\nprior: {sets: [{kind: chest}], stepz: 5}\n")
    with pytest.raises(ConfigError, match=r"(?s)name: .*not_for: .*prior\.stepz: "):
        read_training(path)
    path.write_text("name: [\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_training(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_training(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": 18}, "crop 18: expected a multiple of 4"),
        ({"channels": 2}, "channels 2: the sets chest have another number"),
        ({"crop": 32}, "crop 32: expected rows and columns of the chest, 16 x 16"),
        (
            {"sets": [{"kind": "ct", "dataset": "ct-openkbp", "validation": ["pt_1"]}]},
            "validation: pt_1 is not held out; name it in held_out too",
        ),
        (
            {"sets": [{"kind": "chest", "first_seed": 3, "patients": 5, "first_validation_seed": 7, "validation_patients": 2}]},
            "validation patients are among those to learn from",
        ),
    ],
)
def test_settings_that_cannot_go_together_are_refused(tiny, changes, message):
    with pytest.raises(ValidationError, match=message):
        tiny(**changes)
