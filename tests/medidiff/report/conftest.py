"""A results folder as the workflow leaves it: oblique CT and PET around one ball, two methods, one failed study."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medidiff.report import figures, page, viewer
from medidiff.report.study import find_journals, read_study

CENTRE = np.array([18.0, -31.0, 44.0])  # of the ball, RAS mm
RADIUS = 9.0


def rotation(*degrees):
    """Turns about x, y, z, in this order."""
    x, y, z = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def oblique_affine(shape, spacing, degrees, *, signs=(-1, -1, 1), centre=CENTRE):
    """An affine whose box has its middle near the ball; signs (-1, -1, 1) store the voxels as DICOM does (LPS)."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(*degrees) @ np.diag(np.multiply(signs, spacing))
    affine[:3, 3] = np.add(centre, (6.0, -4.0, 3.0)) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


CT_SHAPE, PET_SHAPE = (40, 36, 22), (17, 18, 16)
CT_AFFINE = oblique_affine(CT_SHAPE, (2.0, 2.2, 4.0), (8, -5, 12))
PET_AFFINE = oblique_affine(PET_SHAPE, (5.0, 4.5, 4.0), (-6, 4, 10))


def distance(shape, affine, point=CENTRE):
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return np.linalg.norm(indices @ affine[:3, :3].T + affine[:3, 3] - point, axis=-1)


def ball(shape, affine, radius=RADIUS, point=CENTRE):
    return (distance(shape, affine, point) <= radius).astype(np.uint8)


@dataclass
class Workspace:
    """`results` and `logs` of a run, filled by the methods."""

    root: Path
    attempts: int = field(default=0)
    centre = CENTRE  # of the ball, RAS mm
    radius = RADIUS
    ct_affine, pet_affine = CT_AFFINE, PET_AFFINE
    ct_shape, pet_shape = CT_SHAPE, PET_SHAPE

    @property
    def results(self):
        return self.root / "results"

    @property
    def logs(self):
        return self.root / "logs"

    @property
    def report(self):
        return self.results / "report"

    def study(self, name, **options):
        return read_study(self.results, find_journals(self.logs), name, **options)

    def volume(self, study, name, array, affine):
        path = self.results / study / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nibabel.Nifti1Image(array, affine)
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        nibabel.save(image, path)
        return path

    def record(self, study, name, task, method="", *, numbers=None, warnings=(), **more):
        path = self.results / study / name
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "task": task,
            "study": study,
            "method": method,
            "settings": {},
            "command": [task, "in.nii.gz"],
            "result": {"numbers": numbers or {}, "warnings": list(warnings), "outputs": {}},
            "run": {"seconds": 1.5},
        }
        path.write_text(json.dumps(record | more))

    def attempt(self, study, step, method="", *, status=0, **facts):
        """status None: it never came to an end."""
        self.attempts += 1
        path = self.logs / step / (f"{study}_{method}.jsonl" if method else f"{study}.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        start = {
            "id": f"a{self.attempts}",
            "step": step,
            "start": "2026-01-02T03:04:05+00:00",
            "command": [step, "--study", study],
        }
        with open(path, "a") as file:
            file.write(json.dumps(start | {"host": "node3"}) + "\n")
            if status is not None:
                file.write(json.dumps({"id": start["id"], "exit": status, "seconds": 2.0, "peak_rss_mb": 300.0} | facts) + "\n")

    def petct(self, study, *, dice=None):
        """A study that went through: CT -50 HU, ball of 60 HU and SUV 8, `suv2` is a smaller ball, `suv4` a shifted one."""
        dice = dice or {"suv2": 0.9, "suv4": 0.6}
        ct = np.where(ball(CT_SHAPE, CT_AFFINE), 60, -50).astype(np.int16)
        pet = np.where(ball(PET_SHAPE, PET_AFFINE), 8.0, 0.5).astype(np.float32)
        self.volume(study, "convert/ct.nii.gz", ct, CT_AFFINE)
        self.volume(study, "convert/pet.nii.gz", pet, PET_AFFINE)
        self.volume(study, "convert/truth_pet.nii.gz", ball(PET_SHAPE, PET_AFFINE), PET_AFFINE)
        self.volume(study, "segment/suv2.nii.gz", ball(PET_SHAPE, PET_AFFINE, 0.7 * RADIUS), PET_AFFINE)
        self.volume(study, "segment/suv4.nii.gz", ball(PET_SHAPE, PET_AFFINE, RADIUS, np.add(CENTRE, (8, 0, 0))), PET_AFFINE)
        self.record(
            study, "convert/convert.json", "convert", numbers={"pet": {"unit": "BQML", "weight_kg": 71.5}}, warnings=["odd dose"]
        )
        self.attempt(study, "convert")
        for method, value in dice.items():
            self.record(study, f"segment/{method}.json", "segment", method, numbers={"volume_ml": 3.25})
            self.record(study, f"evaluate/{method}.json", "evaluate", method, numbers={"dice": value, "hd95_mm": 4.5})
            self.attempt(study, "segment", method)
            self.attempt(study, "evaluate", method)

    def failed(self, study, message="slice 18 is missing. Re-export the series."):
        self.attempt(
            study, "convert", status=3, error_class="DataError", error=message, log_tail=["Traceback", f"DataError: {message}"]
        )


@pytest.fixture(scope="session", autouse=True)
def nilearn():
    """Imported once, outside the tests: it takes seconds."""
    import nilearn.plotting  # noqa: F401


@pytest.fixture(autouse=True)
def coarse_pictures(monkeypatch):
    """Figures and viewers with few pixels: drawing them is what takes the time."""
    for module, name, value in (
        (figures, "DPI", 45),
        (figures, "PIXELS", 90),
        (viewer, "VOXELS", 60_000),
        (page, "VOXELS", 60_000),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)
