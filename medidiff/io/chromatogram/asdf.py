"""The packed ordinates of JCAMP-DX (McDonald and Wilks 1988): AFFN, PAC, SQZ, DIF and DUP forms."""

import re

import numpy as np

from medidiff.errors import DataError

SQUEEZED = {letter: str(digit) for digit, letter in enumerate("@ABCDEFGHI")} | {
    letter: f"-{digit}" for digit, letter in enumerate("abcdefghi", start=1)
}
DIFFERENCE = {letter: str(digit) for digit, letter in enumerate("%JKLMNOPQR")} | {
    letter: f"-{digit}" for digit, letter in enumerate("jklmnopqr", start=1)
}
REPEATED = {letter: str(digit) for digit, letter in enumerate("STUVWXYZs", start=1)}
TOKEN = re.compile(r"[@A-Ia-i%J-Rj-rS-Zs]\d*|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]\d+)?")
LONGEST = 1 << 26  # values


def decode_lines(file: str, lines: list[str]) -> np.ndarray:
    """The ordinates (sample,) of lines that each begin with an abscissa.

    file    name for messages
    lines   body of a table (X++(Y..Y))

    A line that ends in difference form is followed by its last ordinate once more, as a check. Raises DataError where
    the check fails, or where a character belongs to no form.
    """
    values: list[float] = []
    must_check = False
    for number, line in enumerate((line for line in lines if line.strip()), start=1):
        tokens = _tokens(file, line, number=number)
        before = values[-1] if values else 0.0
        found, must_check_next = _ordinates(file, tokens[1:], number=number)
        if must_check and found:
            if found[0] != before:
                raise DataError(
                    f"{file}: data line {number} begins with {found[0]:g}, its check value is {before:g}. Copy it again."
                )
            found = found[1:]
        values += found
        must_check = must_check_next
        if len(values) > LONGEST:
            raise DataError(f"{file}: more than {LONGEST} values. Export a shorter trace.")
    return np.array(values)


def _tokens(file: str, line: str, *, number: int) -> list[str]:
    rest = TOKEN.sub("", line).strip().replace(" ", "").replace("\t", "").replace(",", "")
    if rest:
        raise DataError(f"{file}: {rest[:8]!r} in data line {number}, expected numbers or JCAMP letters. Copy it again.")
    return TOKEN.findall(line)


def _ordinates(file: str, tokens: list[str], *, number: int) -> tuple[list[float], bool]:
    """The ordinates of one line, and whether the last of them was given as a difference."""
    found: list[float] = []
    step: float | None = None  # the last difference; None: the last value was absolute
    for token in tokens:
        letter = token[0]
        if letter in REPEATED:
            times = int(REPEATED[letter] + token[1:]) - 1
            if not found or len(found) + times > LONGEST:
                raise DataError(f"{file}: repeat {token!r} in data line {number} without a value before. Copy the file again.")
            found += [found[-1] + (step or 0.0) * (n + 1) for n in range(times)]
        elif letter in DIFFERENCE:
            if not found:
                raise DataError(f"{file}: data line {number} begins with a difference, expected a value. Copy the file again.")
            step = float(DIFFERENCE[letter] + token[1:])
            found.append(found[-1] + step)
        else:
            step = None
            found.append(float(SQUEEZED[letter] + token[1:]) if letter in SQUEEZED else float(token))
    return found, step is not None
