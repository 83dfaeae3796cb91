"""Damaged files end in a typed error or a checked chromatogram, never in another exception."""

import random

import h5py
import numpy as np
import pytest

from medidiff.errors import MedidiffError
from medidiff.io.chromatogram.andi import write_andi
from medidiff.io.chromatogram.csvfile import write_csv
from medidiff.io.chromatogram.reading import read_chromatogram
from medidiff.io.chromatogram.trace import Chromatogram

MADE = Chromatogram(0.5 * np.arange(40), 3 + (np.arange(40) % 7.0), "mV", "FID")
JCAMP = (
    "##TITLE= a\n##DATA TYPE= CHROMATOGRAM\n##XUNITS= SECONDS\n##FIRSTX= 0\n##LASTX= 19\n##NPOINTS= 20\n"
    "##XYDATA= (X++(Y..Y))\n0A2%JkT3B4 5 6 7 8 9\n10 1 2 3 4 5 6 7 8 9 10\n##END=\n"
)
MZML = """<mzML><run><chromatogramList><chromatogram id="TIC" defaultArrayLength="4"><cvParam accession="MS:1000235"/>
<binaryDataArray><cvParam accession="MS:1000523"/><cvParam accession="MS:1000576"/>
<cvParam accession="MS:1000595" unitAccession="UO:0000010"/><binary>AAAA</binary></binaryDataArray></chromatogram>
</chromatogramList></run></mzML>"""


def whole(folder, kind):
    path = folder / f"whole.{kind}"
    if kind == "cdf":
        write_andi(path, MADE)
    elif kind == "nc4":
        with h5py.File(path, "w") as file:
            file["ordinate_values"], file["actual_delay_time"], file["actual_sampling_interval"] = MADE.signal, 0.0, 0.5
    else:
        path.write_text({"csv": write_csv(MADE), "jdx": JCAMP, "mzML": MZML}[kind])
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["cdf", "nc4", "csv", "jdx", "mzML"])
def test_a_damaged_file_is_refused_or_read(tmp_path, kind):
    original, chance = whole(tmp_path, kind), random.Random(1)
    path = tmp_path / f"damaged.{'cdf' if kind == 'nc4' else kind}"
    refused = 0
    for _ in range(150):
        content = bytearray(original)
        for _ in range(chance.choice([1, 2, 8])):
            content[chance.randrange(len(content))] = chance.choice([0, 255, 45, 57, 60, 35, chance.randrange(256)])
        path.write_bytes(content[: chance.randrange(len(content))] if chance.random() < 0.2 else content)
        try:
            found = read_chromatogram(path)
        except MedidiffError as error:
            assert "damaged" in str(error)
            refused += 1
        else:
            assert np.isfinite(found.signal).all() and (np.diff(found.times) > 0).all()
    assert refused > 5
