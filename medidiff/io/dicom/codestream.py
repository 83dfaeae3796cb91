"""The size that a compressed image states of itself, read before any decoder reserves memory for it."""

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Codestream:
    """What the first bytes of a compressed frame say."""

    rows: int
    columns: int
    bits: int  # of one sample
    is_lossy: bool  # decided by the process for JPEG, never for JPEG 2000 and JPEG-LS


def read_codestream(frame: bytes) -> Codestream | None:
    """Size and precision of a JPEG, JPEG-LS or JPEG 2000 frame; None for anything else.

    (JPEG: ISO 10918-1 B.2.2, frame header; JPEG-LS: ISO 14495-1 C.2.2; JPEG 2000: ISO 15444-1 A.5.1, SIZ.)
    """
    if frame[:2] == b"\xff\xd8":
        return _jpeg(frame)
    start = frame.find(b"\xff\x4f\xff\x51", 0, 1024)
    if start >= 0 and len(frame) >= start + 43:
        width, height, left, top = struct.unpack(">4L", frame[start + 8 : start + 24])
        return Codestream(height - top, width - left, (frame[start + 42] & 0x7F) + 1, False)
    return None


def _jpeg(frame: bytes) -> Codestream | None:
    at = 2
    while at + 9 < len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            bits, rows, columns = struct.unpack(">BHH", frame[at + 4 : at + 9])
            return Codestream(rows, columns, bits, marker in (0xC0, 0xC1, 0xC2, 0xC5, 0xC6, 0xC9, 0xCA, 0xCD, 0xCE))
        at += 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]
    return None
