"""How fast line integrals of a volume and their adjoint are, beside those of other toolkits and the limit of the memory.

    OMP_NUM_THREADS=1 python -m benchmarks.projectors [--quick]

Writes results/projectors.json. Times are processor seconds for a volume of 256 x 256 x 64; `--quick` takes 128 x 128 x 16 and
writes nothing. Slow peers are timed on fewer slices and scaled, which their rows say. Peers (ASTRA, scikit-image, deepinv) are
optional: a missing one is a row that says so.
"""

import argparse
import math
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.projector_peers import Projector, installed
from benchmarks.record import Row, clock, faster, interleaved, line, write
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.ct.rays import ray_matrix

PACKAGES = ("torch", "numpy", "scipy", "astra-toolbox", "scikit-image", "deepinv")
VIEWS = (30, 180)


def bandwidth(repeats: int) -> float:
    """Bytes per processor second that a copy of 256 MiB reads and writes."""
    source = torch.ones(2**26)
    target = torch.empty_like(source)
    return 2 * source.nbytes / interleaved({"copy": lambda: target.copy_(source)}, repeats)["copy"]


def balls(slices: int, side: int) -> Tensor:
    """A volume of smooth discs that shrink from slice to slice, (slice, 1, row, column), within the inscribed circle."""
    place = (torch.arange(side) - (side - 1) / 2) / side
    radius = torch.hypot(place[:, None] - 0.1, place[None, :] + 0.05)
    sizes = torch.linspace(0.3, 0.15, slices)[:, None, None]
    return torch.sigmoid((sizes - radius) * side / 2)[:, None]


def build(beam: ParallelBeam) -> tuple[Row, int]:
    """A row of the time in which both matrices are made, and their entries."""
    begin = clock()
    beam.forward(torch.zeros(beam.domain))
    seconds = clock() - begin
    entries = ray_matrix(beam.rays(), beam.grid, dtype=np.float32).nnz
    note = f"once per geometry; {entries} lengths, {16 * entries / 1e6:.0f} MB for both directions"
    return Row(f"build_{len(beam.angles_rad)}", case_of(beam, 1), seconds, "s", note=note), entries


def case_of(beam: ParallelBeam, slices: int) -> str:
    return f"{beam.grid.rows}x{beam.grid.columns}x{slices}, {len(beam.angles_rad)} views of {beam.bins} bins, float32"


def difference(ours: Tensor, theirs: Tensor) -> float:
    """|theirs - ours| / |ours|."""
    return float((theirs - ours).norm() / ours.norm())


def compared(beam: ParallelBeam, x: Tensor, repeats: int, bytes_per_second: float) -> Iterator[Row]:
    """Forward and adjoint of the whole volume against every peer, each way in one interleaved run."""
    made, entries = build(beam)
    yield made
    y = beam.forward(x)
    peers = installed(beam)
    floor = (8 * entries + x.nbytes + y.nbytes) / bytes_per_second
    yield from one_way("forward", beam, x, peers, floor=floor, repeats=repeats)
    yield from one_way("adjoint", beam, y, peers, floor=floor, repeats=repeats)


def one_way(
    way: str, beam: ParallelBeam, values: Tensor, peers: Mapping[str, Projector | None], *, floor: float, repeats: int
) -> Iterator[Row]:
    """Our row with its floor, then one per peer.

    way      `forward` or `adjoint`
    values   a whole volume or its sinograms, (slice, 1, any, any)
    floor    seconds in which the memory could deliver every byte once
    """
    calls = {name: partial(getattr(peer, way), values[: peer.slices]) for name, peer in peers.items() if peer is not None}
    ours = partial(getattr(beam, way), values)
    seconds = interleaved({"ours": ours, **calls}, repeats)
    label, case = f"{way}_{len(beam.angles_rad)}", case_of(beam, len(values))
    yield Row(label, case, seconds["ours"], "s", floor=floor, note=f"{100 * floor / seconds['ours']:.0f} % of the memory's limit")
    for name, peer in peers.items():
        if peer is None:
            yield Row(label, case, seconds["ours"], "s", peer=name, note="not installed")
            continue
        apart = difference(ours()[: peer.slices], calls[name]().float())
        note = f"results differ by {apart:.1e}; {peer.note}; scaled from {peer.slices} slices"
        yield faster(label, case, seconds["ours"], seconds[name] * len(values) / peer.slices, peer=peer.peer, note=note)


@torch.no_grad()
def main() -> None:
    """Time, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small volume; nothing is written")
    quick = parser.parse_args().quick
    side, slices = (128, 16) if quick else (256, 64)
    speed = bandwidth(5)
    rows = [Row("bandwidth", "copy of 256 MiB, read and written", speed / 1e9, "GB/s")]
    print(line(rows[0]), flush=True)
    x = balls(slices, side)
    for views in VIEWS:
        beam = ParallelBeam(Grid(side, side, 1.0), arc(views), bins=math.ceil(side * math.sqrt(2)), bin_mm=1.0)
        for row in compared(beam, x, 3 if quick else 5, speed):
            rows.append(row)
            print(line(row), flush=True)
    if not quick:
        print(write("projectors", rows, PACKAGES))


if __name__ == "__main__":
    main()
