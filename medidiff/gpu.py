"""Which card a step works on: steps that run side by side on one machine never share one."""

import fcntl
import logging
import os
import tempfile
import time
from pathlib import Path

from medidiff.errors import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT_MIN = 60.0  # for a card that other steps hold

log = logging.getLogger("medidiff")


def visible_cards(devices: Path = Path("/dev")) -> list[str]:
    """Ids of the cards that this process may use: those that CUDA_VISIBLE_DEVICES names, else all of the machine."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [each.strip() for each in named.split(",") if each.strip() not in ("", "-1")]
    numbers = (path.name.removeprefix("nvidia") for path in devices.glob("nvidia[0-9]*"))
    return sorted(numbers, key=int)


def claim_device(asked: str, *, wait_min: float = WAIT_MIN, devices: Path = Path("/dev")) -> str:
    """`cpu`, or `cuda` with one card of its own for this process until it ends.

    asked      cpu, cuda, or auto: cuda where there is a card
    wait_min   how long to wait for a card that others hold, minutes
    devices    folder of the device files

    The one card that Slurm or the user gave is taken. Of several, the first that no other step of this user holds: a lock on a
    file per card, which the kernel frees however the holder ends. Call it before CUDA is used, which reads the choice only once.
    Raises ConfigError where cuda is asked for and cannot be had, or every card is held for too long.
    """
    cards = [] if asked == "cpu" else visible_cards(devices)
    if len(cards) > 1:
        os.environ[VISIBLE] = _free_card(cards, wait_min)
    if cards and _has_cuda():
        return "cuda"
    if asked == "cuda":
        found = f"card {', '.join(cards)}, which the installed torch cannot use" if cards else "no card"
        raise ConfigError(f"device cuda on {os.uname().nodename}: found {found}. Use cpu or auto, or a machine with a card.")
    return "cpu"


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _free_card(cards: list[str], wait_min: float) -> str:
    """The id of a card that is this process's from now on."""
    start = os.getpid() % len(cards)  # steps that begin together try different cards first
    order = cards[start:] + cards[:start]
    ends = time.monotonic() + 60 * wait_min
    told = 0.0
    while True:
        for card in order:
            if _is_taken(card):
                return card
        now = time.monotonic()
        if now >= ends:
            holders = ", ".join(f"{card} by process {_lock_of(card).read_text() or 'unknown'}" for card in cards)
            raise ConfigError(
                f"no card was free for {wait_min:g} minutes: {holders}. Wait for them, or let fewer steps run at once: "
                "--resources gpu=N with N the number of cards."
            )
        if now >= told:
            log.info("all %d cards are in use by other steps; waiting", len(cards))
            told = now + 60
        time.sleep(min(1.0, ends - now))


def _is_taken(card: str) -> bool:
    """Tries to make a card this process's; its lock is kept by a descriptor that closes when the process ends."""
    descriptor = os.open(_lock_of(card), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return True


def _lock_of(card: str) -> Path:
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"medidiff-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"gpu{''.join(letter for letter in card if letter.isalnum() or letter == '-')}.lock"
