"""Cards are shared out one to a step, whatever ends the step; and what cannot be had is one clear error."""

import os
import subprocess
import sys

import pytest
import torch

from medidiff.errors import ConfigError
from medidiff.gpu import VISIBLE, claim_device, visible_cards

CLAIM = """
import sys, time, torch
torch.cuda.is_available = lambda: True
from medidiff.gpu import claim_device
import os
print(claim_device("auto", wait_min=0.5), os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
time.sleep(60)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A folder of device files of as many cards as asked for, and nothing claimed yet."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv(VISIBLE, "")
    monkeypatch.delenv(VISIBLE)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def make(cards: int):
        folder = tmp_path / "dev"
        folder.mkdir()
        for name in ("nvidiactl", "nvidia-uvm", *(f"nvidia{i}" for i in range(cards))):
            (folder / name).touch()
        return folder

    return make


def test_the_cards_of_a_machine_are_its_numbered_device_files(machine):
    assert visible_cards(machine(11)) == [str(i) for i in range(11)]


def test_the_cards_that_slurm_or_the_user_gave_are_the_only_ones(machine, monkeypatch):
    folder = machine(4)
    monkeypatch.setenv(VISIBLE, "2, GPU-5a")
    assert visible_cards(folder) == ["2", "GPU-5a"]
    monkeypatch.setenv(VISIBLE, "")
    assert visible_cards(folder) == []


def test_one_given_card_is_taken_without_a_lock(machine, monkeypatch, tmp_path):
    monkeypatch.setenv(VISIBLE, "3")
    assert claim_device("cuda", devices=machine(4)) == "cuda" and os.environ[VISIBLE] == "3"
    assert not list(tmp_path.rglob("*.lock"))


def test_steps_side_by_side_get_different_cards_and_a_killed_one_frees_its_own(machine):
    folder = machine(2)
    environment = os.environ | {VISIBLE: "0,1"}
    holder = subprocess.Popen([sys.executable, "-c", CLAIM], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        device, taken = holder.stdout.readline().split()
        assert device == "cuda" and taken in ("0", "1")
        assert claim_device("auto", devices=folder) == "cuda"
        mine = os.environ.pop(VISIBLE)
        assert {mine, taken} == {"0", "1"}
        with pytest.raises(ConfigError, match=rf"no card was free for 0 minutes: .*{taken} by process {holder.pid}.*gpu=N"):
            claim_device("auto", wait_min=0, devices=folder)
    finally:
        holder.kill()
        holder.wait()
    assert claim_device("auto", wait_min=0.1, devices=folder) == "cuda" and os.environ[VISIBLE] == taken


def test_cuda_without_a_card_or_without_a_torch_that_can_use_it_is_refused(machine, monkeypatch):
    folder = machine(1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"found card 0, which the installed torch cannot use\. Use cpu or auto"):
        claim_device("cuda", devices=folder)
    assert claim_device("auto", devices=folder) == "cpu"
    with pytest.raises(ConfigError, match="found no card"):
        claim_device("cuda", devices=folder / "none")


def test_a_step_on_the_processor_claims_no_card(machine, tmp_path):
    assert claim_device("cpu", devices=machine(2)) == "cpu"
    assert VISIBLE not in os.environ and not list(tmp_path.rglob("*.lock"))
