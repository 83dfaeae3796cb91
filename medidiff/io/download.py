"""Receiving one file over HTTP, going on where an earlier attempt stopped."""

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from medidiff.errors import DataError

ATTEMPTS = 3  # connections in one call; each goes on where the last one stopped
PAUSE_S = 1.0  # between them
TIMEOUT_S = 30  # without a byte
CHUNK_BYTES = 1 << 18


def receive(url: str, part: Path, *, size: int, progress: Callable[[int], None]) -> None:
    """The whole file in `part`; what is there already is not asked for again (HTTP Range).

    url        http or https address
    part       file that grows; it stays when the connection fails, for the next call
    size       bytes the file has; a server that sends more is cut off
    progress   called with the number of bytes in `part`

    Raises DataError when the address does not exist, or the server or the network fails ATTEMPTS times.
    The caller checks the hash: a partial file of another version is found out only there.
    """
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE_S if attempt else 0)
        try:
            _append(url, part, size, progress)
            if _length(part) == size:
                return
            reason, lasting = "the connection closed early", False
        except urllib.error.HTTPError as error:
            reason, lasting = f"HTTP status {error.code}, {error.reason}", error.code in (401, 403, 404, 410)
            if error.code == 416:
                part.unlink(missing_ok=True)
        except (OSError, http.client.HTTPException) as error:
            reason, lasting = str(getattr(error, "reason", "") or error) or type(error).__name__, False
        if lasting:
            break
    raise DataError(
        f"{url}: could not be downloaded ({reason}). {_length(part)} of {size} bytes are here and kept:"
        " the same command goes on from there. Without a network, set MEDIDIFF_MIRROR to a folder that holds the data."
    )


def _append(url: str, part: Path, size: int, progress: Callable[[int], None]) -> None:
    have = _length(part)
    if have > size:
        part.unlink()
        have = 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "medidiff"} | ({"Range": f"bytes={have}-"} if have else {})
    if have == size:
        progress(have)
        return
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as response:
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-") and response.status == 206
        have = have if resumed else 0
        with open(part, "ab" if resumed else "wb") as file:
            while have < size and (chunk := response.read(min(CHUNK_BYTES, size - have))):
                file.write(chunk)
                have += len(chunk)
                progress(have)
            file.flush()
            os.fsync(file.fileno())


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
