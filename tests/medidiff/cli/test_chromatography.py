"""Series of chromatograms on the command line."""

import csv
import json
import subprocess
import sys

import pytest

from medidiff.compute import dask_client
from medidiff.errors import ConfigError
from medidiff.phantoms.chromatogram import AROMATICS, write_chromatogram
from medidiff.phantoms.trace_settings import ChromatogramPhantom

SETTINGS = json.dumps({"analytes": [{"name": name} for name in AROMATICS]})


CALLS = """
import json, sys
from medidiff.cli.app import app
for words in json.loads(sys.argv[1]):
    try:
        app(["fit-many", *words])
    except SystemExit as end:
        print(end.code)
"""


def fit_many(*calls):
    """Exit statuses of several calls, and all that they said."""
    words = json.dumps([[str(word) for word in call] for call in calls])
    done = subprocess.run([sys.executable, "-c", CALLS, words], capture_output=True, text=True)
    return [int(line) for line in done.stdout.splitlines()], done.stderr


def test_a_folder_becomes_one_table_and_no_table_is_read_or_trace_overwritten(tmp_path):
    for i in range(2):
        settings = ChromatogramPhantom(seed=i, format="csv")
        write_chromatogram(settings, tmp_path / "made")
        (tmp_path / "made" / settings.file).rename(tmp_path / f"run {i}.csv")
    trace, table, record = tmp_path / "run 1.csv", tmp_path / "fits.tsv", tmp_path / "record.json"
    table.write_text("file\tanalyte\tretention\tof an earlier run\n")
    before = trace.read_bytes()
    codes, said = fit_many((tmp_path, table, "--settings", SETTINGS, "--record", record), (tmp_path / "run 0.csv", trace))
    assert codes == [0, 2], said
    assert "Name the table last" in said and trace.read_bytes() == before
    rows = list(csv.DictReader(table.read_text().splitlines(), delimiter="\t"))
    assert [(row["file"], row["analyte"]) for row in rows] == [(f"run {i}.csv", name) for i in range(2) for name in AROMATICS]
    assert float(rows[0]["retention"]) == pytest.approx(2.428, rel=0.01)
    assert json.loads(record.read_text())["result"]["numbers"]["converged"] == 2


def test_a_scheduler_and_workers_of_its_own_exclude_each_other_and_one_that_is_not_there_is_named(monkeypatch):
    with pytest.raises(ConfigError, match="give one of them"), dask_client("tcp://127.0.0.1:9", workers=1):
        pass
    monkeypatch.setattr("medidiff.compute.PATIENCE_S", 0.2)
    with pytest.raises(ConfigError, match="no scheduler answers"), dask_client("tcp://127.0.0.1:9"):
        pass
    with dask_client() as client:
        assert client is None
