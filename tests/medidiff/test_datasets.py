"""Public data by name: found in a mirror, downloaded, resumed, refused when its bytes differ."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from medidiff import datasets
from medidiff.errors import ConfigError, DataError
from medidiff.io import download

CONTENT = {f"P_{p}/{name}": bytes(f"{p}{name}", "ascii") * n for p in (1, 2) for name, n in (("ct.bin", 40_000), ("pet.bin", 9))}


class Server(ThreadingHTTPServer):
    """Serves `content`; `cut_after` closes the next connections after so many bytes; `seen` records (path, Range)."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.cuts, self.seen, self.ranges = dict(content), [], [], True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.seen.append((self.path[1:], asked))
        content = self.server.content.get(self.path[1:])
        if content is None:
            return self.send_error(404)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(content[start:] if cut is None else content[start : start + cut])
        return None

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    server = Server(CONTENT)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def file_entry(path, content, url):
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "url": url}


def write_entry(catalogue: Path, /, name="toy", **changes):
    entry = {
        "name": name,
        "title": "two patients",
        "licence": "CC0-1.0",
        "citation": [],
        "source": {"repository": "nobody/toys", "commit": "0", "folder": ".", "checked": "-"},
        "derived": None,
        "base_url": "http://127.0.0.1:9/",
        "folder": "toys",
        "archive": None,
        "files": [file_entry(path, content, path) for path, content in CONTENT.items()],
    } | changes
    catalogue.mkdir(exist_ok=True)
    (catalogue / f"{name}.json").write_text(json.dumps(entry))


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "CATALOGUE", tmp_path / "catalogue")
    monkeypatch.setattr(download, "PAUSE_S", 0)
    monkeypatch.setenv("MEDIDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEDIDIFF_MIRROR", raising=False)


def final_files(folder: Path):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def test_a_set_is_downloaded_with_its_bytes_and_progress_ends_at_the_total(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    told = []
    folder = datasets.get("toy", progress=lambda here, total: told.append((here, total)))
    assert {path: (folder / path).read_bytes() for path in final_files(folder)} == CONTENT
    total = sum(map(len, CONTENT.values()))
    assert told[-1] == (total, total) and told == sorted(told)
    assert datasets.locate("toy") == datasets.verify("toy") == folder == tmp_path / "cache" / "toy"


def test_what_is_here_and_intact_is_not_asked_for_again(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    folder = datasets.get("toy")
    (folder / "P_2/pet.bin").write_bytes(b"torn")
    server.seen.clear()
    datasets.get("toy")
    assert server.seen == [("P_2/pet.bin", None)]
    assert (folder / "P_2/pet.bin").read_bytes() == CONTENT["P_2/pet.bin"]


def test_a_subset_gets_only_the_named_patients(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    folder = datasets.get("toy", subset=["P_2"])
    assert final_files(folder) == ["P_2/ct.bin", "P_2/pet.bin"]
    assert datasets.locate("toy", subset=["P_2"]) == folder
    with pytest.raises(ConfigError, match=r"Run `medidiff data get toy`"):
        datasets.locate("toy")
    with pytest.raises(ConfigError, match=r"no part 'P_3'; did you mean 'P_\d'"):
        datasets.get("toy", subset=["P_3"])


def test_a_connection_that_breaks_is_taken_up_where_it_stopped(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    server.cuts = [100_000]
    folder = datasets.get("toy", subset=["P_1"])
    assert server.seen[:2] == [("P_1/ct.bin", None), ("P_1/ct.bin", "bytes=100000-")]
    assert (folder / "P_1/ct.bin").read_bytes() == CONTENT["P_1/ct.bin"]


def test_an_interrupted_call_keeps_what_came_and_the_next_call_asks_for_the_rest(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    server.cuts = [100_000, 50_000, 1_000]
    with pytest.raises(DataError, match=r"connection closed early\)\. 151000 of 280000 bytes are here and kept"):
        datasets.get("toy", subset=["P_1"])
    folder = tmp_path / "cache" / "toy"
    assert final_files(folder) == []
    server.seen.clear()
    datasets.get("toy", subset=["P_1"])
    assert server.seen[0] == ("P_1/ct.bin", "bytes=151000-")
    assert (folder / "P_1/ct.bin").read_bytes() == CONTENT["P_1/ct.bin"]
    assert not list(folder.rglob(".part.*"))


def test_a_server_that_cannot_resume_sends_the_whole_file_again(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    server.cuts, server.ranges = [100_000], False
    folder = datasets.get("toy", subset=["P_1"])
    assert (folder / "P_1/ct.bin").read_bytes() == CONTENT["P_1/ct.bin"]


def test_wrong_bytes_are_refused_and_nothing_of_them_stays(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    server.content["P_1/ct.bin"] = CONTENT["P_1/ct.bin"][:-1] + b"!"
    with pytest.raises(
        DataError, match=r"toy: P_1/ct\.bin arrived with other bytes .* thrown away\. Run `medidiff data get toy`"
    ):
        datasets.get("toy")
    assert [p for p in (tmp_path / "cache" / "toy").rglob("*") if p.is_file()] == [tmp_path / "cache/toy/.lock"]


def test_a_kept_part_of_another_version_is_thrown_away_and_the_next_call_succeeds(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    part = tmp_path / "cache/toy/P_1/.part.ct.bin"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"?" * 100)
    with pytest.raises(DataError, match="other bytes"):
        datasets.get("toy", subset=["P_1"])
    assert server.seen == [("P_1/ct.bin", "bytes=100-")] and not part.exists()
    assert (datasets.get("toy", subset=["P_1"]) / "P_1/ct.bin").read_bytes() == CONTENT["P_1/ct.bin"]


def test_a_set_that_a_mirror_packs_is_downloaded_file_by_file_without_one(server, tmp_path):
    archive = write_archive(tmp_path / "mirror", members_of(CONTENT))
    write_entry(tmp_path / "catalogue", base_url=server.url, archive=archive)
    folder = datasets.get("toy")
    assert {path: (folder / path).read_bytes() for path in final_files(folder)} == CONTENT


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    write_entry(tmp_path / "catalogue")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MEDIDIFF_CACHE", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"toy cannot be written .*MEDIDIFF_CACHE"):
        datasets.get("toy")


def test_names_with_spaces_and_signs_are_asked_for_as_they_are(server, tmp_path):
    name = "P_1/a <b> + c.json"
    server.content = {"P_1/a%20%3Cb%3E%20%2B%20c.json": b"odd"}
    write_entry(tmp_path / "catalogue", base_url=server.url, files=[file_entry(name, b"odd", name)])
    assert (datasets.get("toy") / name).read_bytes() == b"odd"


def test_a_server_that_sends_more_than_the_catalogue_says_is_cut_off(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    server.content["P_1/ct.bin"] = CONTENT["P_1/ct.bin"] + b"x" * 5_000_000
    here = []
    folder = datasets.get("toy", subset=["P_1"], progress=lambda done, total: here.append(done))
    assert max(here) == len(CONTENT["P_1/ct.bin"]) + len(CONTENT["P_1/pet.bin"])
    assert (folder / "P_1/ct.bin").read_bytes() == CONTENT["P_1/ct.bin"]


def test_an_absent_file_is_one_clear_error_after_one_request(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    del server.content["P_1/ct.bin"]
    with pytest.raises(DataError, match=r"/P_1/ct\.bin: could not be downloaded \(HTTP status 404"):
        datasets.get("toy")
    assert server.seen == [("P_1/ct.bin", None)]


def test_a_server_that_is_gone_is_one_clear_error(tmp_path):
    write_entry(tmp_path / "catalogue")  # port 9 answers nobody
    with pytest.raises(DataError, match=r"could not be downloaded \(.*refused.*MEDIDIFF_MIRROR"):
        datasets.get("toy")
    assert final_files(tmp_path / "cache" / "toy") == []


def test_derived_files_say_that_only_a_mirror_has_them(tmp_path):
    files = [file_entry(path, content, None) for path, content in CONTENT.items()]
    write_entry(tmp_path / "catalogue", files=files, derived="cropped from the published volumes")
    with pytest.raises(DataError, match=r"4 of 4 files .* no public address \(cropped from .*Set MEDIDIFF_MIRROR"):
        datasets.get("toy")
    with pytest.raises(ConfigError, match=r"cropped from the published volumes\): set MEDIDIFF_MIRROR"):
        datasets.locate("toy")


def write_mirror(folder: Path):
    for path, content in CONTENT.items():
        (folder / "toys" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "toys" / path).write_bytes(content)


def test_a_mirror_is_used_where_it_lies(tmp_path, monkeypatch):
    write_entry(tmp_path / "catalogue")
    write_mirror(tmp_path / "mirror")
    monkeypatch.setenv("MEDIDIFF_MIRROR", str(tmp_path / "mirror"))
    assert datasets.locate("toy") == datasets.get("toy") == tmp_path / "mirror" / "toys"
    assert not (tmp_path / "cache").exists()


def test_a_mirror_with_other_bytes_is_refused(tmp_path, monkeypatch):
    write_entry(tmp_path / "catalogue")
    write_mirror(tmp_path / "mirror")
    (tmp_path / "mirror/toys/P_1/pet.bin").write_bytes(b"?" * len(CONTENT["P_1/pet.bin"]))
    monkeypatch.setenv("MEDIDIFF_MIRROR", str(tmp_path / "mirror"))
    for call in (datasets.get, datasets.verify):
        with pytest.raises(DataError, match=r"toy: bytes differ from the catalogue's sha256 in P_1/pet\.bin \(folder"):
            call("toy")


def test_a_mirror_that_is_no_folder_is_said(tmp_path, monkeypatch):
    write_entry(tmp_path / "catalogue")
    monkeypatch.setenv("MEDIDIFF_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"MEDIDIFF_MIRROR names .*nowhere, which is not a folder"):
        datasets.locate("toy")


def write_archive(mirror: Path, members, changed=b""):
    """A tar of (TarInfo, content) in the mirror; returns the catalogue's words for it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    mirror.mkdir(exist_ok=True)
    (mirror / "toy.tar.xz").write_bytes(packed.getvalue() + changed)
    return {"path": "toy.tar.xz", "size": len(packed.getvalue()), "sha256": hashlib.sha256(packed.getvalue()).hexdigest()}


def members_of(content):
    return [(tarfile.TarInfo(path), data) for path, data in content.items()]


def test_an_archive_of_the_mirror_is_unpacked_into_the_cache(tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "mirror", members_of(CONTENT))
    write_entry(tmp_path / "catalogue", archive=archive)
    monkeypatch.setenv("MEDIDIFF_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(ConfigError, match="medidiff data get toy"):
        datasets.locate("toy")
    folder = datasets.get("toy")
    assert {path: (folder / path).read_bytes() for path in final_files(folder)} == CONTENT
    assert datasets.locate("toy") == folder
    assert not list(folder.glob(".unpack.*"))


def evil_members():
    link = tarfile.TarInfo("P_1/pet.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "../../../secret"
    hard = tarfile.TarInfo("P_1/pet.bin")
    hard.type, hard.linkname = tarfile.LNKTYPE, "/etc/hostname"
    return {
        "climbs out": (tarfile.TarInfo("../evil"), b"x"),
        "absolute": (tarfile.TarInfo("/tmp/evil"), b"x"),
        "symbolic link": (link, b""),
        "hard link": (hard, b""),
        "bomb": (tarfile.TarInfo("P_1/pet.bin"), b"0" * 1_000_000),
        "stranger": (tarfile.TarInfo("P_1/more.bin"), b"x"),
    }


@pytest.mark.parametrize("kind", evil_members())
def test_an_archive_that_holds_anything_else_is_refused_and_leaves_nothing(kind, tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "mirror", [*members_of({"P_1/ct.bin": CONTENT["P_1/ct.bin"]}), evil_members()[kind]])
    write_entry(tmp_path / "catalogue", archive=archive)
    monkeypatch.setenv("MEDIDIFF_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(DataError, match=r"toy\.tar\.xz could not be unpacked \(it holds .* not a file of the catalogue"):
        datasets.get("toy")
    assert final_files(tmp_path / "cache") == [] and not (tmp_path / "cache" / "evil").exists()


def test_an_archive_that_was_changed_is_refused(tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "mirror", members_of(CONTENT), changed=b"more")
    write_entry(tmp_path / "catalogue", archive=archive)
    monkeypatch.setenv("MEDIDIFF_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(DataError, match=r"is not the archive of the catalogue \(sha256 differs\)"):
        datasets.get("toy")


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "", "a\\..\\x"])
def test_the_catalogue_itself_cannot_name_a_path_outside(path, tmp_path):
    write_entry(tmp_path / "catalogue", files=[file_entry(path, b"x", None)])
    with pytest.raises(ValueError, match="inside the folder"):
        datasets.catalogue()


def test_an_unknown_set_names_the_nearest(tmp_path):
    write_entry(tmp_path / "catalogue", name="petct-toys")
    with pytest.raises(ConfigError, match=r"data set 'petct_toy' is not in the catalogue; did you mean 'petct-toys'\?"):
        datasets.dataset("petct_toy")


def test_two_calls_at_once_fill_the_folder_once(server, tmp_path):
    write_entry(tmp_path / "catalogue", base_url=server.url)
    datasets.catalogue()
    threads = [threading.Thread(target=datasets.get, args=("toy",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path for path, _ in server.seen) == sorted(CONTENT)


class TestOurCatalogue:
    """What the project ships."""

    @pytest.fixture(autouse=True)
    def real(self, monkeypatch):
        monkeypatch.setattr(datasets, "CATALOGUE", Path(datasets.__file__).with_name("catalogue"))

    def test_every_entry_says_title_licence_citation_and_source(self):
        entries = datasets.catalogue()
        assert {"petct-sts", "petct-sts-native", "petct-sts-dicom", "ct-openkbp"} <= set(entries)
        for name, entry in entries.items():
            assert entry.title and entry.licence and entry.citation and entry.source.repository and entry.files, name
            assert entry.derived or all(file.url for file in entry.files), f"{name}: files without address need a reason"
            assert entry.base_url.startswith("https://"), name

    def test_patients_are_members(self):
        assert datasets.dataset("petct-sts-dicom").members == ("STS_002", "STS_008", "STS_019")
        assert len(datasets.dataset("petct-sts").members) == 34
        assert len(datasets.dataset("ct-openkbp").members) == 170

    def test_no_patient_of_the_unseen_test_set_is_named(self):
        for name in ("petct-sts", "petct-sts-native", "petct-sts-dicom"):
            assert all(int(member[4:]) % 3 for member in datasets.dataset(name).members)

    @pytest.mark.realdata
    @pytest.mark.parametrize("name", ["petct-sts", "petct-sts-native", "petct-sts-dicom", "ct-openkbp", "suv-headers-json"])
    def test_real_files_have_the_catalogues_hashes(self, name, mirror, monkeypatch):
        monkeypatch.setenv("MEDIDIFF_MIRROR", str(mirror))
        entry = datasets.dataset(name)
        sample = entry.members[:: max(1, len(entry.members) // 4)]
        datasets.get(name, subset=sample)
        datasets.verify(name, subset=sample)

    @pytest.mark.realdata
    @pytest.mark.slow
    def test_all_real_files_have_the_catalogues_hashes(self, mirror, monkeypatch):
        monkeypatch.setenv("MEDIDIFF_MIRROR", str(mirror))
        for name in datasets.catalogue():
            datasets.get(name)
            datasets.verify(name)

    @pytest.mark.realdata
    def test_the_real_dicom_set_comes_over_http_interrupted_and_resumed(self, mirror, tmp_path, monkeypatch):
        entry = datasets.dataset("petct-sts-dicom")
        files = entry.select(["STS_019"])
        server = Server({file.url: (mirror / entry.folder / file.path).read_bytes() for file in files})
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        write_entry(tmp_path / "catalogue", **json.loads(entry.model_dump_json()) | {"base_url": server.url})
        monkeypatch.setattr(datasets, "CATALOGUE", tmp_path / "catalogue")
        server.cuts = [1000]
        folder = datasets.get(entry.name, subset=["STS_019"])
        assert datasets.verify(entry.name, subset=["STS_019"]) == folder == tmp_path / "cache" / entry.name
        assert server.seen[1] == (files[0].url, "bytes=1000-") and len(server.seen) == len(files) + 1
        server.shutdown()
        server.server_close()


def test_importing_the_catalogue_imports_nothing_heavy():
    code = "import sys, medidiff.datasets as d; d.catalogue(); print({'torch', 'numpy', 'pooch', 'requests'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
