"""One trial: a folder is read in a process of its own with limits, and what came of it is one word."""

import hashlib
import json
import os
import resource
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medidiff.errors import MedidiffError

SECONDS = 10  # of processor time, of any reading
WAITING_S = 120  # of time on the clock, which others who use the machine stretch
MEGABYTES = 1000  # resident, of the whole process
ADDRESS_BYTES = 3 << 30  # beyond what the process maps already: an allocation that would harm the machine fails
CANARY = "CANARY"  # stands in every name and number of a patient that the corpus writes


@dataclass(frozen=True)
class Found:
    """What a reader gave: where it lies, as numbers, and a hash of what it holds."""

    grid: tuple[float, ...]
    content: str


@dataclass(frozen=True)
class Outcome:
    """How a reading ended.

    word    read; refused: with our own error; crashed: with another error or a signal; hung; large
    """

    word: str
    message: str
    seconds: float
    megabytes: float
    found: Found | None = None


def found(grid: Iterable[float], *values: object) -> Found:
    """A reader's result in short. Raises AssertionError where a number of it is not finite: no reader may give that."""
    grid = np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in grid]) if grid else np.zeros(0)
    assert np.isfinite(grid).all(), "the grid is not finite"
    total = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            assert value.dtype.kind not in "fc" or np.isfinite(value).all(), "values are not finite"
            total.update(f"{value.dtype} {value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        else:
            total.update(repr(value).encode("utf-8", "surrogatepass"))
    return Found(tuple(grid.tolist()), total.hexdigest())


def attempt(read: Callable[[Path], Found], folder: Path) -> Outcome:
    """What `read(folder)` comes to in a child process; its standard error goes to `folder` + ".said"."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _limit(folder)
        _answer(read, folder, send)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        told = pipe.read()
    _, status, used = os.wait4(child, 0)
    megabytes = used.ru_maxrss / 1024
    word, message, result = _judged(status, told)
    if word in ("read", "refused") and megabytes > MEGABYTES:
        word = "large"
    return Outcome(word, message, used.ru_utime + used.ru_stime, megabytes, result)


def _limit(folder: Path) -> None:
    with open(folder.with_name(folder.name + ".said"), "wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ADDRESS_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))  # ends the process, also inside a decoder
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(WAITING_S)


def _answer(read: Callable[[Path], Found], folder: Path, send: int) -> None:
    try:
        result = read(folder)
        told = {"word": "read", "grid": result.grid, "content": result.content}
    except MedidiffError as error:
        told = {"word": "refused", "message": f"{type(error).__name__}: {error}"}
    except BaseException as error:
        told = {"word": "crashed", "message": _place(error)}
    with os.fdopen(send, "wb") as pipe:
        pipe.write(json.dumps(told).encode("utf-8", "replace"))
    os._exit(0)


def _place(error: BaseException) -> str:
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/medidiff/" in code.co_filename:
            place = f"{code.co_filename.rpartition('/medidiff/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}: {str(error)[:200]}"


def _judged(status: int, told: bytes) -> tuple[str, str, Found | None]:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return (
            ("hung" if number in (signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL) else "crashed"),
            f"ended by {signal.Signals(number).name}",
            None,
        )
    answer = json.loads(told)
    result = Found(tuple(answer["grid"]), answer["content"]) if answer["word"] == "read" else None
    return answer["word"], answer.get("message", ""), result
