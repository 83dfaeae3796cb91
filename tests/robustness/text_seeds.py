"""Small inputs of text: chromatograms, configurations, study tables, records, cards and weights of models."""

import base64
import json
import shutil
import struct
import zlib
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import yaml

from medidiff.config import read_config
from medidiff.dehazing.model import assemble_model as assemble_echo
from medidiff.dehazing.model import pack_model as pack_echo
from medidiff.diffusion.card import pack_prior
from medidiff.diffusion.checkpoint import Checkpoint, pack, unpack
from medidiff.diffusion.prior import assemble_prior
from medidiff.io.checkpoint_files import read_checkpoint, write_checkpoint
from medidiff.io.chromatogram.andi import write_andi
from medidiff.io.chromatogram.csvfile import read_peak_table, write_csv
from medidiff.io.chromatogram.reading import read_chromatogram
from medidiff.io.layouts.nnunet import list_nnunet
from medidiff.io.prior_files import read_prior, read_whole, write_prior
from medidiff.journal import read_journal
from medidiff.operators.model import assemble_operator, pack_operator
from medidiff.reconstruction.intervals import calibrate, from_json, to_json
from medidiff.record import Record, read_record
from medidiff.segmentation.model import assemble_model as assemble_mask
from medidiff.studies import Study, read_studies, write_studies
from tests.medidiff.dehazing.conftest import small_model
from tests.medidiff.diffusion.test_prior import card as prior_card
from tests.medidiff.diffusion.test_prior import network as prior_network
from tests.medidiff.io.chromatogram.test_fuzz import MADE
from tests.medidiff.operators.examples import operator
from tests.robustness.hdf5_mutations import ARRAYS
from tests.robustness.mutation import Mutation, files_of
from tests.robustness.seed import Seed
from tests.robustness.text_mutations import JSON, TEXTS, XML, YAML
from tests.robustness.trial import Found, found

ROOT = Path(__file__).parents[2]
CONFIG = {
    "title": "A test",
    "studies": {"phantoms": {"A": {"seed": 1, "ct_spacing_mm": [3.0, 3.0, 5.0]}, "B": {"seed": 2}}},
    "segment": {"methods": ["suv2.5", "watershed"], "watershed": {"background_suv": 1.2}},
}

JCAMP = (  # absolute values, packed digits, differences and repeats
    "##TITLE= a\n##DATA TYPE= CHROMATOGRAM\n##XUNITS= SECONDS\n##YUNITS= MV\n##FIRSTX= 0\n##LASTX= 19\n##NPOINTS= 20\n"
    "##XYDATA= (X++(Y..Y))\n0A2JKT\n4A7 18 19 20 21 22\n9 1 2 3 4 5 6 7 8 9 10 11\n##END=\n"
)


def _only(folder: Path, name: str) -> Path:
    """The file of a folder with this name, or where it was."""
    return next((path for path in files_of(folder) if path.name == name), folder / name)


def _trace(name: str):
    def read(folder: Path) -> Found:
        made = read_chromatogram(_only(folder, name))
        assert (np.diff(made.times) > 0).all(), "times do not rise"
        return found([made.times], made.signal, made.unit)

    return read


def _mzml() -> str:
    def array(values: np.ndarray, kind: str, unit: str) -> str:
        packed = base64.b64encode(zlib.compress(struct.pack(f"<{len(values)}d", *values))).decode()
        return (
            f'<binaryDataArray><cvParam accession="MS:1000523"/><cvParam accession="MS:1000574"/>'
            f'<cvParam accession="{kind}" unitAccession="{unit}"/><binary>{packed}</binary></binaryDataArray>'
        )

    arrays = array(MADE.times, "MS:1000595", "UO:0000010") + array(MADE.signal, "MS:1000515", "MS:1000131")
    opening = '<chromatogram id="TIC" defaultArrayLength="40"><cvParam accession="MS:1000235"/>'
    return f'<?xml version="1.0"?><mzML><run><chromatogramList>{opening}{arrays}</chromatogram></chromatogramList></run></mzML>'


def _mzml_bomb(folder: Path, random: np.random.Generator) -> None:
    packed = base64.b64encode(zlib.compress(bytes(300 << 20), 9)).decode()
    text = (folder / "a.mzML").read_text()
    before, after = text.split("<binary>", 1)
    claimed = before.replace('defaultArrayLength="40"', 'defaultArrayLength="67108864"')
    (folder / "a.mzML").write_text(f"{claimed}<binary>{packed}</binary>{after.split('</binary>', 1)[1]}")


def _repeats(folder: Path, random: np.random.Generator) -> None:
    text = (folder / "a.jdx").read_text()
    (folder / "a.jdx").write_text(text.replace("0A2", "0A2S999999999", 1))


def _write_nc4(folder: Path) -> None:
    with h5py.File(folder / "a.cdf", "w") as file:
        file["ordinate_values"], file["actual_delay_time"], file["actual_sampling_interval"] = MADE.signal, 0.0, 0.5


def _write_table(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "x").write_text("x")
    studies = [Study(name.upper(), "petct", name, truth="RTSTRUCT", split="test") for name in ("a", "b")]
    (folder / "studies.tsv").write_text(write_studies(studies))


def _read_table(folder: Path) -> Found:
    studies = read_studies(folder / "studies.tsv")
    assert all("/" not in name and ".." not in name for name in studies), "a name that can leave its folder"
    return found([], sorted(studies))


def _write_record(folder: Path) -> None:
    (folder / "out.txt").write_text("x")
    record = Record("segment", "A", "suv2.5", 1, {"a": 1}, [folder / "out.txt"], [folder / "out.txt"], numbers={"ml": 3.5})
    record.write(folder / "record.json")


def _write_journal(folder: Path) -> None:
    lines = [{"id": "a", "start": 1, "step": "segment"}, {"id": "a", "end": 2, "exit": 0}]
    (folder / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _write_calibration(folder: Path) -> None:
    shares = np.sort(np.random.default_rng(3).uniform(0, 3, (6, 200)), axis=1)
    from medidiff.reconstruction.intervals import SHARES

    made = calibrate([tuple(row[: len(SHARES)]) for row in shares], floor=0.1, conditions={"method": "nadds"})
    (folder / "a.json").write_text(to_json(made))


@cache
def _prior() -> dict[str, bytes]:
    weights = prior_network().state_dict()
    return pack_prior(prior_card(weights), weights)


@cache
def _echo() -> dict[str, bytes]:
    model, network = small_model("regress")
    return pack_echo(model.card, network.state_dict())


@cache
def _operator() -> dict[str, bytes]:
    made = operator()
    return pack_operator(made.card, made.networks)


def _write_checkpoint(folder: Path) -> None:
    weights = prior_network().state_dict()
    for step in (1, 2):
        write_checkpoint(folder, pack(Checkpoint(step, weights, {0.1: weights}, {})), step=step, settings="a" * 64)


def _read_checkpoint(folder: Path) -> Found:
    files = read_checkpoint(folder, settings="a" * 64)
    return found([], None if files is None else unpack(files).step)


def _write_nnunet(folder: Path) -> None:
    (folder / "imagesTr").mkdir()
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz"}))


def _read_nnunet(folder: Path) -> Found:
    from medidiff.errors import DataError

    try:
        return found([], len(list_nnunet(folder)))
    except DataError as error:
        if "found no case" in str(error):  # the table of channels was read, and there is no case in the seed
            return found([], 0)
        raise


SEEDS = (
    Seed("andi", lambda f: write_andi(f / "a.cdf", MADE), _trace("a.cdf")),
    Seed("andi netcdf-4", _write_nc4, _trace("a.cdf"), ARRAYS),
    Seed(
        "mzml",
        lambda f: (f / "a.mzML").write_text(_mzml()),
        _trace("a.mzML"),
        (Mutation("bomb", "refused", _mzml_bomb), *TEXTS, *XML),
    ),
    Seed("jcamp", lambda f: (f / "a.jdx").write_text(JCAMP), _trace("a.jdx"), (Mutation("repeats", "refused", _repeats), *TEXTS)),
    Seed("chromatogram csv", lambda f: (f / "a.csv").write_text(write_csv(MADE)), _trace("a.csv"), TEXTS),
    Seed(
        "peak table",
        lambda f: (f / "a.csv").write_text("name,RT (min)\nbenzene,1.2\ntoluene,3.4\n"),
        lambda f: found([], *read_peak_table(_only(f, "a.csv"))),
        TEXTS,
    ),
    Seed(
        "configuration",
        lambda f: (f / "run.yaml").write_text(yaml.safe_dump(CONFIG)),
        lambda f: found([], read_config(_only(f, "run.yaml"))),
        TEXTS + YAML,
    ),
    Seed("study table", _write_table, _read_table, TEXTS),
    Seed("record", _write_record, lambda f: found([], read_record(_only(f, "record.json"))), TEXTS + JSON),
    Seed("journal", _write_journal, lambda f: found([], read_journal(_only(f, "a.jsonl"))), TEXTS),
    Seed(
        "calibration",
        _write_calibration,
        lambda f: found([], from_json(read_whole(_only(f, "a.json")), name="a.json")),
        TEXTS + JSON,
    ),
    Seed("prior", lambda f: write_prior(f, _prior()), lambda f: found([], assemble_prior(read_prior(f)).card), TEXTS + JSON),
    Seed(
        "echo model",
        lambda f: write_prior(f, _echo()),
        lambda f: found([], assemble_echo(read_prior(f), kind="regress").card),
        TEXTS + JSON,
    ),
    Seed(
        "operator",
        lambda f: write_prior(f, _operator()),
        lambda f: found([], assemble_operator(read_prior(f)).card),
        TEXTS + JSON,
    ),
    Seed(
        "mask model",
        lambda f: shutil.copytree(ROOT / "models/petct-digital", f, dirs_exist_ok=True),
        lambda f: found([], assemble_mask(read_prior(f), kind="diffusion").card),
        TEXTS + JSON,
    ),
    Seed("checkpoint", _write_checkpoint, _read_checkpoint),
    Seed("nnunet", _write_nnunet, _read_nnunet, TEXTS + JSON),
)
