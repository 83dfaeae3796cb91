"""The pages in a real browser, from file://, where the machine allows it without any network."""

import re
import shutil
import subprocess
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from medidiff.report import viewer
from medidiff.report.index import write_index
from medidiff.report.page import write_study_page

pytestmark = pytest.mark.browser

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--virtual-time-budget=8000",
]


@cache
def without_network():
    """The words that run a command in an empty network namespace; none where that is forbidden."""
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            return words
    return []


def browse(page, profile, *flags, prefix=None):
    command = [*(without_network() if prefix is None else prefix), "chromium", *FLAGS, f"--user-data-dir={profile}", *flags]
    return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=60, check=True).stdout


def screenshot(page, folder, width=1200, height=2400):
    path = folder / "shot.png"
    browse(page, folder / "profile", f"--window-size={width},{height}", f"--screenshot={path}")
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def count(picture, colour, tolerance=3):
    return int((np.abs(picture - np.array(colour)).max(axis=-1) <= tolerance).sum())


@pytest.fixture
def study_page(workspace):
    workspace.petct("P-1")
    return write_study_page(workspace.results, workspace.logs, "P-1", workspace.report / "P-1.html")


def test_the_viewer_draws_volume_and_mask(study_page, tmp_path):
    picture = screenshot(study_page.with_name("P-1.viewer.html"), tmp_path, 900, 600)
    greys = picture[(np.ptp(picture, axis=-1) < 6) & (picture.max(axis=-1) > 20)]
    assert len(greys) > 20_000 and len(np.unique(greys[:, 0])) > 20  # the CT, not an empty canvas
    red, green, blue = np.moveaxis(picture, -1, 0)
    yellow = (red > blue + 60) & (green > blue + 40)  # truth and method together
    assert yellow.sum() > 500
    assert count(picture, (90, 169, 255)) > 300  # the cross


def test_the_page_shows_the_viewer_and_the_pictures(study_page, tmp_path):
    with_viewer = screenshot(study_page, tmp_path)
    assert count(with_viewer, (90, 169, 255)) > 200  # the cross: no other thing on the page has its colour
    assert count(with_viewer, (11, 15, 20)) > 20_000  # the ground of the PNG figures
    study_page.with_name("P-1.viewer.html").unlink()
    assert count(screenshot(study_page, tmp_path), (90, 169, 255)) == 0


@pytest.mark.slow
def test_a_click_on_a_heading_sorts_the_index(workspace, tmp_path):
    for study, dice in (("A-1", 0.2), ("B-1", 0.9), ("C-1", 0.5)):
        workspace.record(study, "evaluate/suv2.json", "evaluate", "suv2", numbers={"dice": dice})
        workspace.record(study, "segment/suv2.json", "segment", "suv2", numbers={})
    page = write_index(workspace.results, workspace.logs, ["A-1", "B-1", "C-1", "D-1"], workspace.report / "index.html")
    # a second script clicks: it needs another policy than ours, which lets only the sorting script run
    text = re.sub(r"script-src [^;]*;", "script-src 'unsafe-inline';", page.read_text())
    click = "<script>document.querySelectorAll('#studies thead button')[2].click()</script>"
    for clicks, expected in ((click, "A-1 C-1 B-1 D-1"), (2 * click, "B-1 C-1 A-1 D-1")):
        (tmp_path / "clicked.html").write_text(text.replace("</body>", clicks + "</body>"))
        dom = browse(tmp_path / "clicked.html", tmp_path / "profile", "--dump-dom")
        assert re.findall(r'data-sort="([A-D]-1)"', dom) == expected.split()


class Listener(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def listener():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    server.seen = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def payloads(server, run="document.documentElement.dataset.pwned=1;alert(1)"):
    """Text that leaves a mark, opens a dialog (on which the browser waits for ever) or asks the server for something."""
    url = f"http://127.0.0.1:{server.server_port}"
    return [
        f"<script>{run}</script>",
        f'"><img src="{url}/img" onerror="{run}">',
        f"'><svg onload='{run}'><image href='{url}/svg'/></svg>",
        f'<iframe src="{url}/frame"></iframe><link rel="stylesheet" href="{url}/css">',
        f"</style><style>body{{background:url({url}/style)}}</style>",
        f'</title></pre></table><script src="{url}/script"></script>',
        "{{ 7 * 7 }}{% raw %}",
        "=cmd|' /C calc'!A0",
    ]


@pytest.mark.slow
def test_hostile_text_runs_nothing_and_asks_for_nothing(workspace, listener, tmp_path):
    workspace.petct("P-1")
    for number, text in enumerate(payloads(listener)):
        numbers = {f"dice{text}": text, text: 0.5, "dice": 0.5}
        workspace.record(
            "P-1", f"evaluate/x{number}.json", "evaluate", text, numbers=numbers, warnings=[text], settings={text: text}
        )
        facts = {"error": text, "error_class": text, "log_tail": [text], "host": text}
        workspace.attempt("P-1", "segment", f"x{number}", status=3, **facts)
    page = write_study_page(workspace.results, workspace.logs, "P-1", workspace.report / "P-1.html")
    index = write_index(workspace.results, workspace.logs, ["P-1"], workspace.report / "index.html", title=payloads(listener)[0])
    for path in (page, index):
        dom = browse(path, tmp_path / "profile", "--dump-dom", prefix=[])
        assert "data-pwned" not in dom.split(">")[1] and "49" not in re.findall(r"\{\{.*?\}\}", dom)
    assert listener.seen == []


@pytest.mark.slow
def test_the_check_for_hostile_text_can_fail(listener, tmp_path):
    texts = payloads(listener, "document.documentElement.dataset.pwned=1")
    (tmp_path / "open.html").write_text("<!DOCTYPE html><html><body>" + "".join(texts) + "</body></html>")
    dom = browse(tmp_path / "open.html", tmp_path / "profile", "--dump-dom", prefix=[])
    assert "data-pwned" in dom.split(">")[1] and "/img" in listener.seen


@pytest.mark.slow
def test_the_viewer_asks_for_nothing_even_if_a_link_got_into_it(study_page, listener, tmp_path):
    path = study_page.with_name("P-1.viewer.html")
    path.write_text(path.read_text().replace("</body>", f'<img src="http://127.0.0.1:{listener.server_port}/img"></body>'))
    browse(path, tmp_path / "profile", "--dump-dom", prefix=[])
    assert listener.seen == [] and "default-src 'none'" in viewer.POLICY
