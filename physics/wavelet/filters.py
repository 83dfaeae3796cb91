"""The families, boundary modes and lengths on which a wavelet transform can be undone."""

from functools import cache

import pywt

MODES = ("zero", "symmetric", "periodization")
IMPRECISE = ("dmey",)  # its table of filters reconstructs to 9e-3 alone


@cache
def families() -> tuple[str, ...]:
    """PyWavelets' names of the families that reconstruct: haar, db, sym, coif, bior and rbio."""
    return tuple(name for name in pywt.wavelist(kind="discrete") if name not in IMPRECISE)


def check_transform(family: str, mode: str) -> None:
    """ValueError unless the family reconstructs and the mode is one of `MODES`."""
    if family in IMPRECISE:
        raise ValueError(f"family: {family} does not reconstruct (9e-3). Choose another, as bior2.4.")
    if family not in families():
        raise ValueError(f"family: {family!r} is not known; expected haar, db1-38, sym2-20, coif1-17, biorN.M or rbioN.M.")
    if mode not in MODES:
        raise ValueError(f"mode: {mode!r} is not supported; choose zero, symmetric or periodization.")


def check_length(size: int, mode: str, *, levels: int, axis: str) -> None:
    """ValueError unless an axis of `size` points, named `axis` in the message, can be transformed `levels` times."""
    if size < 2:
        raise ValueError(f"{axis} has {size} points, expected at least 2. Give a longer array, or leave this axis out.")
    if mode == "periodization" and size % 2**levels:
        raise ValueError(
            f"{axis} has {size} points; periodization at level {levels} needs a multiple of {2**levels}. "
            f"Crop, or use mode zero or symmetric at level 1."
        )


def taps(family: str) -> int:
    """Length of the filters of a family, all four padded to it."""
    return pywt.Wavelet(family).dec_len


def coefficients(size: int, family: str, mode: str) -> int:
    """How many coefficients each band has of `size` points: n/2 in periodization, else floor((n + taps - 1) / 2)."""
    return size // 2 if mode == "periodization" else (size + taps(family) - 1) // 2


def points(bands: int, family: str, mode: str) -> int:
    """The even number of points of which each band has `bands` coefficients."""
    return 2 * bands if mode == "periodization" else 2 * bands - taps(family) + 2
