"""Throughput of the wavelet transform, forward and inverse, beside PyWavelets, ptwt and pytorch_wavelets where installed.

    python -m benchmarks.wavelets [--quick]

One level over both axes, float32, one thread, interleaved, median of 5 processor times; the floor is a copy of the array.
`python -m benchmarks.operators --only wavelets` writes the same rows.
"""

import argparse
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pywt
import torch

from benchmarks.record import Row, interleaved, line
from physics.wavelet.transform import Wavelet

FAMILIES = ("haar", "db4", "bior2.4")
SHAPES = ((64, 1, 32, 64), (8, 1, 256, 256), (2, 1, 1024, 1024))
REPEATS = 5


def wavelet_rows(*, is_quick: bool = False) -> Iterator[Row]:
    """One row per family, shape, direction and peer, in Mcells/s; ratio above 1: ours is faster.

    is_quick   the first family and shape alone
    """
    for family in FAMILIES[:1] if is_quick else FAMILIES:
        for shape in SHAPES[:1] if is_quick else SHAPES:
            u = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            runs = contenders(u, family)
            for place, direction in enumerate(("forward", "inverse")):
                with torch.inference_mode():
                    spent = interleaved({name: run[place] for name, run in runs.items()} | {"copy": u.clone}, REPEATS)
                rate = {name: u.numel() / seconds / 1e6 for name, seconds in spent.items()}
                case = f"{family}, {' x '.join(map(str, shape))}, float32, {direction}"
                for peer in runs.keys() - {"ours"}:
                    ratio = rate["ours"] / rate[peer]
                    yield Row("dwt_throughput", case, rate["ours"], "Mcells/s", rate[peer], peer, ratio, floor=rate["copy"])


def contenders(u: torch.Tensor, family: str) -> dict[str, tuple[Callable, Callable]]:
    """Forward and inverse of every transform that is installed, by name."""
    ours, array = Wavelet(family), u.numpy()
    w, found = ours.forward(u), pywt.dwt2(array, family, "periodization")
    runs = {
        "ours": (lambda: ours.forward(u), lambda: ours.inverse(w)),
        "PyWavelets": (
            lambda: pywt.dwt2(array, family, "periodization"),
            lambda: pywt.idwt2(found, family, "periodization"),
        ),
    }
    if find_spec("ptwt"):
        import ptwt

        flat = u[:, 0]
        parts = ptwt.wavedec2(flat, family, mode="periodic", level=1)
        forward = lambda: ptwt.wavedec2(flat, family, mode="periodic", level=1)
        runs["ptwt (periodic)"] = (forward, lambda: ptwt.waverec2(parts, family))
    if find_spec("pytorch_wavelets") and find_spec("pkg_resources"):
        from pytorch_wavelets import DWTForward, DWTInverse

        down, up = DWTForward(1, family, "periodization"), DWTInverse(family, "periodization")
        bands = down(u)
        runs["pytorch_wavelets"] = (lambda: down(u), lambda: up(bands))
    return runs


def main() -> None:
    """Prints the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the first family and shape alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for row in wavelet_rows(is_quick=arguments.quick):
        print(line(row), flush=True)


if __name__ == "__main__":
    main()
