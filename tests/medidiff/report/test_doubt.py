"""The page of a network's mask: its light, every reason, its intervals, and pictures of probability and doubt."""

import json

import numpy as np
from nibabel.eulerangles import euler2mat

from medidiff.io.nifti import write_nifti
from medidiff.io.volume import Volume
from medidiff.report.doubt import doubt_figure, read_doubt, verdicts
from medidiff.report.page import write_study_page
from medidiff.report.scene import read_scene
from medidiff.report.study import find_journals, read_study

REASON = "The mask hardly agrees with a watershed <b>of the PET</b> (Dice 0.20)."


def results(folder):
    """A study with a PET, a mask of `diffusion`, its maps and its record."""
    affine = np.eye(4)
    affine[:3, :3] = euler2mat(0.1, -0.2, 0.15) @ np.diag([-4.0, -4.0, 3.0])
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in (16, 14, 12)], indexing="ij"), -1)
    inside = (np.linalg.norm(grid - [8, 7, 6], axis=-1) < 4).astype(np.float32)
    study = folder / "results" / "A"
    write_nifti(Volume(1 + 6 * inside, affine), study / "convert" / "pet.nii.gz")
    write_nifti(Volume(inside.astype(np.uint8), affine), study / "segment" / "diffusion.nii.gz")
    write_nifti(Volume(0.9 * inside, affine), study / "segment" / "diffusion.probability.nii.gz")
    write_nifti(Volume(0.3 * inside, affine), study / "segment" / "diffusion.entropy.nii.gz")
    numbers = {"mtv_ml": 12.0, "volume_low_ml": 10.0, "volume_high_ml": 15.0, "baseline_dice": 0.2}
    numbers |= {"volume_promised_low_ml": 6.0, "volume_promised_high_ml": 24.0, "light": "yellow", "light_reasons": [REASON]}
    record = {"task": "segment", "study": "A", "method": "diffusion", "result": {"numbers": numbers, "warnings": []}}
    (study / "segment" / "diffusion.json").write_text(json.dumps(record))
    return folder / "results"


def test_a_verdict_holds_the_light_its_reasons_and_the_intervals_of_volume(tmp_path):
    study = read_study(results(tmp_path), find_journals(tmp_path / "logs"), "A")
    (verdict,) = verdicts(study)
    assert (verdict.method, verdict.colour, verdict.reasons) == ("diffusion", "yellow", (REASON,))
    rows = dict(verdict.rows)
    assert rows["volume"] == "12.0 ml" and rows["90 % of the drawn masks"] == "10.0 to 15.0 ml"
    assert rows["promised interval"] == "6.00 to 24.0 ml"


def test_the_figure_has_a_row_for_each_map_and_a_damaged_map_becomes_a_note(tmp_path):
    study = read_study(results(tmp_path), find_journals(tmp_path / "logs"), "A")
    notes = []
    maps = read_doubt(study, "diffusion", notes)
    figure = doubt_figure(maps, read_scene(study), method="diffusion")
    assert sum(ax.get_title(loc="left") == "axial" for ax in figure.axes) == 2 and not notes
    (study.folder / "segment" / "diffusion.entropy.nii.gz").write_bytes(b"no gzip")
    assert list(read_doubt(study, "diffusion", notes)) == ["probability"]
    assert len(notes) == 1 and "segment/diffusion.entropy.nii.gz" in notes[0]


def test_the_page_shows_light_reasons_and_picture_and_escapes_them(tmp_path):
    page = write_study_page(results(tmp_path), tmp_path / "logs", "A", tmp_path / "report" / "A.html")
    text = page.read_text()
    assert 'class="pill yellow"' in text and "hardly agrees" in text and "<b>of the PET</b>" not in text
    assert "A.doubt.diffusion.png" in text and (tmp_path / "report" / "A.doubt.diffusion.png").stat().st_size > 1000
