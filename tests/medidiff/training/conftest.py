"""A training file so small that a run takes a second."""

import pytest

from medidiff.training.settings import TrainingFile

TINY = {
    "name": "tiny",
    "title": "Digital chests of 16 x 16 pixels",
    "not_for": "Anything but tests",
    "prior": {
        "sets": [
            {
                "kind": "chest",
                "first_seed": 5,
                "patients": 1,
                "first_validation_seed": 50,
                "validation_patients": 1,
                "chest": {"rows": 16, "columns": 16, "slices": 4, "pixel_mm": 12.0, "slice_mm": 9.0},
            }
        ],
        "crop": 16,
        "network": {"width": 8, "multipliers": [1, 2], "stem": 2},
        "sd": 0.4,
        "steps": 6,
        "batch": 2,
        "warmup": 1,
        "look_every": 3,
        "save_every": 3,
    },
}


@pytest.fixture(scope="session")
def tiny():
    """changes of the prior's settings -> the file of a tiny run."""

    def make(**changes) -> TrainingFile:
        return TrainingFile.model_validate(TINY | {"prior": TINY["prior"] | changes})

    return make
