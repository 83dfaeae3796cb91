"""Throughput of the wavelet transform, forward and inverse, beside PyWavelets, ptwt and pytorch_wavelets where installed.

    python -m benchmarks.wavelets [--quick]

One level over both axes of (batch, 1, n, n), float32, one thread; interleaved, median of 5 processor times. The floor is a copy.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pywt
import torch

from physics.wavelet.transform import Wavelet

SIZES, FAMILIES, CELLS, ROUNDS = (32, 64, 128, 512), ("haar", "db4", "bior2.4"), 1 << 20, 5


def contenders(u: torch.Tensor, family: str) -> Iterator[tuple[str, Callable, Callable]]:
    """Name, forward and inverse of every transform that is installed."""
    ours = Wavelet(family)
    w = ours.forward(u)
    yield "ours", lambda: ours.forward(u), lambda: ours.inverse(w)
    array = u.numpy()
    found = pywt.dwt2(array, family, "periodization")
    yield (
        "PyWavelets",
        lambda: pywt.dwt2(array, family, "periodization"),
        lambda: pywt.idwt2(found, family, "periodization"),
    )
    if find_spec("ptwt"):
        import ptwt

        flat = u[:, 0]
        parts = ptwt.wavedec2(flat, family, mode="periodic", level=1)
        yield "ptwt", lambda: ptwt.wavedec2(flat, family, mode="periodic", level=1), lambda: ptwt.waverec2(parts, family)
    if find_spec("pytorch_wavelets"):
        from pytorch_wavelets import DWTForward, DWTInverse

        down, up = DWTForward(1, family, "periodization"), DWTInverse(family, "periodization")
        bands = down(u)
        yield "pytorch_wavelets", lambda: down(u), lambda: up(bands)


def rows(*, quick: bool) -> Iterator[dict]:
    """One row for each size, family and direction: Mcells/s of everybody."""
    for size in SIZES[:2] if quick else SIZES:
        for family in FAMILIES[:1] if quick else FAMILIES:
            u = torch.randn(max(1, CELLS // size**2), 1, size, size, generator=torch.Generator().manual_seed(0))
            runs = list(contenders(u, family))
            for direction, place in (("forward", 1), ("inverse", 2)):
                spent: dict[str, list[float]] = {run[0]: [] for run in runs} | {"copy": []}
                for _ in range(ROUNDS):
                    for run in runs:
                        spent[run[0]].append(_seconds(run[place]))
                    spent["copy"].append(_seconds(u.clone))
                rates = {name: u.numel() / 1e6 / statistics.median(times) for name, times in spent.items()}
                yield {"case": f"{family} {size}x{size} {direction}", "mcells_per_s": rates}


def _seconds(run: Callable) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def main() -> None:
    """Prints the table: our rate, and ours over each peer's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two sizes, one family")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for row in rows(quick=arguments.quick):
        rates = row["mcells_per_s"]
        others = ", ".join(f"{name} {rates['ours'] / rate:.2f}" for name, rate in rates.items() if name != "ours")
        print(f"{row['case']:28s} {rates['ours']:7.0f} Mcells/s; ours over: {others}", flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
