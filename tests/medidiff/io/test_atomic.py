"""Files appear whole or not at all."""

import os
import socket
import subprocess
import sys

import pytest

from medidiff.errors import DataError
from medidiff.io.atomic import atomic_path, write_bytes, write_text


def test_the_final_name_appears_with_the_whole_content(tmp_path):
    write_text(tmp_path / "new folder" / "ü.txt", "whole")
    assert (tmp_path / "new folder" / "ü.txt").read_text() == "whole"
    assert os.listdir(tmp_path / "new folder") == ["ü.txt"]


def test_an_error_inside_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_temporary_name_keeps_the_suffix_that_libraries_look_at(tmp_path):
    with atomic_path(tmp_path / "x.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"1")


def test_a_folder_that_cannot_be_written_is_a_data_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="could not be written"):
        write_bytes(tmp_path / "file" / "x", b"")


def can_mount() -> bool:
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="mount namespaces are not allowed here")
@pytest.mark.parametrize("kilobytes", [64, 256, 1024])
def test_a_full_disk_leaves_no_stump_and_says_how_much_is_free(tmp_path, kilobytes):
    code = (
        "import sys, os; from medidiff.io.atomic import write_bytes\n"
        "from medidiff.errors import DataError\n"
        f"try: write_bytes('{tmp_path}/big.bin', bytes(2**22))\n"
        f"except DataError as e: print(e); print(os.listdir('{tmp_path}'))"
    )
    script = f'mount -t tmpfs -o size={kilobytes}k none {tmp_path} && exec python -c "$CODE"'
    import sys

    environment = {**os.environ, "CODE": code, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, env=environment)
    assert "No space left" in done.stdout and "MB are free there" in done.stdout, done.stderr
    assert done.stdout.strip().endswith("[]")


def test_what_a_killed_writer_left_goes_with_the_next_write_of_the_name(tmp_path):
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    host = socket.gethostname()
    dead = tmp_path / f".tmp.{host}.{done.stdout.strip()}.mask[1].nii.gz"
    alive = tmp_path / f".tmp.{host}.{os.getppid()}.mask[1].nii.gz"
    elsewhere = tmp_path / f".tmp.{host}-2.1.mask[1].nii.gz"
    other = tmp_path / f".tmp.{host}.{done.stdout.strip()}.mask[2].nii.gz"
    for path in (dead, alive, elsewhere, other):
        path.write_bytes(b"half")
    write_bytes(tmp_path / "mask[1].nii.gz", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in (alive, elsewhere, other, tmp_path / "mask[1].nii.gz")
    )
