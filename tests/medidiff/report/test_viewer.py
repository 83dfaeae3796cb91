import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from medidiff.report import viewer
from medidiff.report.scene import Scene, read_scene

GREEN, RED, YELLOW = (61, 220, 132), (239, 71, 111), (255, 209, 102)


@pytest.fixture
def scene(workspace):
    workspace.petct("P-1")
    return read_scene(workspace.study("P-1"))


def sprite(page, name):
    """The sagittal slices of a picture of the viewer: (x, z, y, RGBA), z downwards."""
    params = json.loads(re.search(r"brainsprite\((\{.*?\})\)", page)[1])
    nx, ny, nz = (params["nbSlice"][axis] for axis in "XYZ")
    data = re.search(rf'id="{name}"[^>]*src="data:image/png;base64,([^"]+)"', page, re.S)[1]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))
    tiles = picture.reshape(picture.shape[0] // nz, nz, picture.shape[1] // ny, ny, 4).swapaxes(1, 2).reshape(-1, nz, ny, 4)
    return tiles[:nx], params


def test_the_cross_starts_in_the_ball_and_its_millimetres_are_the_balls(scene, workspace, tmp_path):
    viewer.write_viewer(scene, "suv2", tmp_path / "v.html")
    overlay, params = sprite((tmp_path / "v.html").read_text(), "overlayImg")
    x, y, z = (params["numSlice"][axis] for axis in "XYZ")
    assert tuple(overlay[x, overlay.shape[1] - 1 - z, y][:3]) == YELLOW
    printed = (np.array(params["affine"]) @ [x + 1, y + 1, z + 1, 1])[:3]  # brainsprite's own sum
    assert np.allclose(printed, scene.centre, atol=1.01)
    assert np.linalg.norm(printed - workspace.centre) < 5


def test_the_pictures_are_mirrored_so_that_the_patients_right_is_on_the_left(scene, workspace, tmp_path):
    """suv4 is the ball moved by 8 mm to the patient's right (x grows): its own part must have the lower x in the picture."""
    viewer.write_viewer(scene, "suv4", tmp_path / "v.html")
    overlay, params = sprite((tmp_path / "v.html").read_text(), "overlayImg")
    truth_alone = np.argwhere((overlay[..., :3] == GREEN).all(-1) & (overlay[..., 3] > 0))
    method_alone = np.argwhere((overlay[..., :3] == RED).all(-1) & (overlay[..., 3] > 0))
    assert len(truth_alone) > 50 and len(method_alone) > 50
    assert params["radiological"] is True
    assert method_alone[:, 0].mean() < truth_alone[:, 0].mean() - 3


def test_the_background_shows_the_ball_brighter_than_its_surroundings(scene, tmp_path):
    viewer.write_viewer(scene, "suv2", tmp_path / "v.html")
    page = (tmp_path / "v.html").read_text()
    grey, params = sprite(page, "spriteImg")
    x, y, z = (params["numSlice"][axis] for axis in "XYZ")
    inside = int(grey[x, grey.shape[1] - 1 - z, y, 0])
    assert abs(inside - 255 * (60 + 160) / 400) < 12  # 60 HU in the window from -160 to 240
    assert np.median(grey[..., 0]) < inside


def test_the_file_needs_nothing_from_outside(scene, tmp_path):
    viewer.write_viewer(scene, "suv2", tmp_path / "v.html")
    page = (tmp_path / "v.html").read_text()
    links = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]*)""", re.sub(r"<script>.*?</script>", "", page, flags=re.S))
    assert len(links) == 3 and all(link.startswith("data:image/png;base64,") for link in links)
    assert "default-src 'none'" in page.split("<title>")[0]


def test_a_large_volume_is_sampled_down(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(viewer, "VOXELS", 4000)
    edge_mm = viewer.write_viewer(scene, "", tmp_path / "v.html")
    grey, _ = sprite((tmp_path / "v.html").read_text(), "spriteImg")
    assert edge_mm > 4 and np.prod(grey.shape[:3]) < 5000


def test_pet_alone_without_masks_is_shown(scene, tmp_path):
    viewer.write_viewer(Scene({"PET": scene.images["PET"]}, {}), "", tmp_path / "v.html")
    overlay, _ = sprite((tmp_path / "v.html").read_text(), "overlayImg")
    assert overlay[..., 3].max() == 0


def test_the_same_scene_gives_the_same_bytes(scene, tmp_path):
    for name in "ab":
        viewer.write_viewer(scene, "suv2", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
