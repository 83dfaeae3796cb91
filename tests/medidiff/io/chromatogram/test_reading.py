import sys
from types import SimpleNamespace

import numpy as np
import pytest

from medidiff.errors import ConfigError, DataError
from medidiff.io.chromatogram.andi import write_andi
from medidiff.io.chromatogram.csvfile import write_csv
from medidiff.io.chromatogram.reading import read_chromatogram
from medidiff.io.chromatogram.storage import Curves, read_curves, write_curves
from medidiff.io.chromatogram.trace import Chromatogram

MADE = Chromatogram(0.5 * np.arange(60), 3 + 20 * np.exp(-0.5 * ((np.arange(60) - 30) / 5.0) ** 2), "mV", "FID")


def test_the_content_decides_on_the_reader(tmp_path):
    write_andi(tmp_path / "misnamed.txt", MADE)
    (tmp_path / "a.csv").write_text(write_csv(MADE))
    for name in ("misnamed.txt", "a.csv"):
        found = read_chromatogram(tmp_path / name)
        np.testing.assert_allclose(found.times, MADE.times)
        np.testing.assert_allclose(found.signal, MADE.signal, rtol=1e-6)


def test_unknown_and_missing_files_are_named(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    with pytest.raises(DataError, match=r"a\.pdf: no known chromatogram format"):
        read_chromatogram(tmp_path / "a.pdf")
    with pytest.raises(DataError, match=r"b\.cdf: does not exist"):
        read_chromatogram(tmp_path / "b.cdf")


def vendor(*files):
    return SimpleNamespace(read=lambda path: SimpleNamespace(datafiles=list(files)))


def data_file(name="FID1A.ch", labels=("",), minutes=0.01):
    data = np.stack([np.arange(30.0) % 7 + n for n in range(len(labels))], axis=1)
    times = minutes * np.arange(30)
    return SimpleNamespace(name=name, xlabels=times, ylabels=np.array(labels), data=data, detector="FID", metadata={"unit": "pA"})


def test_vendor_folders_are_in_minutes_and_several_traces_need_a_name(tmp_path, monkeypatch):
    folder = tmp_path / "run.D"
    folder.mkdir()
    monkeypatch.setitem(sys.modules, "rainbow", vendor(data_file()))
    found = read_chromatogram(folder)
    np.testing.assert_allclose(found.times, 0.6 * np.arange(30))
    assert (found.unit, found.detector) == ("pA", "FID")
    monkeypatch.setitem(sys.modules, "rainbow", vendor(data_file(), data_file("DAD.uv", ("220", "254"))))
    with pytest.raises(DataError, match=r"run\.D: 3 traces fit 'no name', expected one of FID1A\.ch:, DAD\.uv:220, DAD\.uv:254"):
        read_chromatogram(folder)
    assert read_chromatogram(folder, trace="DAD.uv:254").signal[0] == 1.0


def test_without_rainbow_the_message_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "run.D").mkdir()
    monkeypatch.setitem(sys.modules, "rainbow", None)
    with pytest.raises(ConfigError, match="vendor files need rainbow-api, which is not installed: `pip install rainbow-api`"):
        read_chromatogram(tmp_path / "run.D")


def test_a_folder_that_rainbow_cannot_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "run.D").mkdir()

    def fail(path):
        raise Exception(f"cannot parse {path}")

    monkeypatch.setitem(sys.modules, "rainbow", SimpleNamespace(read=fail))
    with pytest.raises(DataError, match=r"run\.D: rainbow-api cannot read it"):
        read_chromatogram(tmp_path / "run.D")


def test_stored_curves_read_back_and_equal_content_gives_equal_bytes(tmp_path):
    values = {"signal": MADE.signal, "components": np.stack([MADE.signal, 2 * MADE.signal])}
    curves = Curves(MADE.times, values, ("m/p-xylene", "benzene"), {"unit": "mV"})
    for name in ("a.h5", "b.h5"):
        write_curves(tmp_path / name, curves)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    found = read_curves(tmp_path / "a.h5")
    np.testing.assert_array_equal(found.times, MADE.times)
    np.testing.assert_array_equal(found.values["components"][1], 2 * MADE.signal)
    assert (found.names, found.facts) == (("m/p-xylene", "benzene"), {"unit": "mV"})
    (tmp_path / "a.h5").write_bytes((tmp_path / "b.h5").read_bytes()[:900])
    with pytest.raises(DataError, match=r"a\.h5: not readable as stored curves"):
        read_curves(tmp_path / "a.h5")
