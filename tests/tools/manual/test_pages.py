"""The manual says what the code does: pages written from it, commands, settings, links, tables."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
import yaml

from medidiff import config
from medidiff.acquisition.settings import ScanSettings
from medidiff.chromatography.settings import ChromatographSettings, EluteSettings
from medidiff.cli.app import app
from medidiff.dehazing.settings import DehazeSettings
from medidiff.io.settings import ConvertSettings
from medidiff.io.ultrasound.plain import Description
from medidiff.operators.settings import OperateSettings
from medidiff.operators.systems import SystemSettings
from medidiff.phantoms.recording_settings import EchoPhantom
from medidiff.phantoms.settings import PetCtPhantom
from medidiff.phantoms.trace_settings import ChromatogramPhantom
from medidiff.reconstruction.settings import ReconstructSettings
from medidiff.segmentation.settings import SegmentSettings
from medidiff.training.settings import read_training
from tools.manual.__main__ import PAGES
from tools.manual.measured import benchmark_table, cards_table
from tools.manual.snippets import anchors, blocks, commands, links, pages
from tools.manual.sources import ROOT

BLOCKS = list(blocks())
COMMANDS = [(block, words) for block in BLOCKS for words in commands(block)]
YAML = [block for block in BLOCKS if block.language == "yaml"]
SETTINGS = {
    "convert": ConvertSettings,
    "truth": ConvertSettings,
    "segment": SegmentSettings,
    "chromatograph": ChromatographSettings,
    "fit-many": ChromatographSettings,
    "elute": EluteSettings,
    "simulate": ScanSettings,
    "reconstruct": ReconstructSettings,
    "dehaze": DehazeSettings,
    "trajectories": SystemSettings,
    "operate": OperateSettings,
    "super-resolve": OperateSettings,
    "control": OperateSettings,
    "chromatogram": ChromatogramPhantom,
    "echo": EchoPhantom,
    "petct": PetCtPhantom,
}


def named(pair):
    return f"{pair[0]}-{' '.join(pair[1][1:3])}"


@pytest.mark.parametrize("path", sorted(set(PAGES) - {"docs/configuration.md"}))
def test_pages_written_from_the_code_are_up_to_date(path):
    written = (ROOT / path).read_text(encoding="utf-8")
    assert written == PAGES[path]().rstrip() + "\n", "run `make reference`"


@pytest.mark.parametrize("pair", COMMANDS, ids=map(named, COMMANDS))
def test_every_command_of_the_manual_can_be_given(pair):
    _, words = pair
    command, context, rest = typer.main.get_command(app), None, words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    assert not hasattr(command, "commands"), f"{words[1:]}: no such verb"
    context = command.make_context(command.name, list(rest))
    text = context.params.get("settings")
    if text and command.name in SETTINGS:
        SETTINGS[command.name].model_validate_json(text)
    if context.params.get("facts"):
        json.loads(context.params["facts"])


def test_the_manual_shows_every_pipeline():
    used = {words[1] for _, words in COMMANDS}
    assert {"segment", "reconstruct", "dehaze", "operate", "chromatograph", "scan", "run", "train", "validate"} <= used


def test_an_unknown_option_would_be_found():
    with pytest.raises(Exception, match="No such option"):
        typer.main.get_command(app).commands["segment"].make_context("segment", ["a", "b", "c", "--stepz", "3"])


@pytest.mark.parametrize("block", YAML, ids=str)
def test_every_configuration_of_the_manual_is_accepted(block, tmp_path):
    found = yaml.safe_load(block.text)
    if "default-resources" in found:  # of a profile of snakemake
        assert {"executor", "jobs", "retries", "default-resources", "set-resources"} >= set(found)
    elif "axes" in found:  # the description of a plain array
        Description.model_validate(found)
    elif "not_for" in found:
        (tmp_path / "training.yaml").write_text(block.text)
        read_training(tmp_path / "training.yaml")
    else:
        config.load({"studies": {"table": "studies.tsv"}} | found)


@pytest.mark.parametrize("link", list(links()), ids=str)
def test_every_link_inside_the_project_leads_somewhere(link):
    if re.match(r"https?://", link.target):
        return
    path, _, anchor = link.target.partition("#")
    page = ROOT / link.page
    target = (page.parent / unquote(path)).resolve() if path else page
    assert target.exists(), f"{link}: no such file"
    if anchor:
        assert anchor in anchors(target), f"{link}: no such heading"


def test_every_page_can_be_reached_from_the_first():
    listed = re.findall(r"^(?:.* <)?([\w/-]+)>?$", "\n".join(b.text for b in BLOCKS if b.language == "{toctree}"), re.MULTILINE)
    inside = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in pages() if page.is_relative_to(ROOT / "docs")}
    assert inside == {"index", *listed}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "{measured}"], ids=str)
def test_every_table_of_measured_numbers_has_rows(block):
    option, *rows = block.text.strip().splitlines()
    table = benchmark_table(block.argument, rows, option.removeprefix(":columns:").replace(",", " ").split())
    width = table[0].count("|")
    assert len(table) > 4
    assert all(line.replace("\\|", "").count("|") == width for line in table[:-2])


def test_a_row_that_is_gone_stops_the_manual():
    with pytest.raises(LookupError, match="no row fits"):
        benchmark_table("segmentation", ["dise"], ["case"])


def test_every_shipped_model_is_in_the_table():
    table = "\n".join(cards_table())
    assert all(f"`models/{path.parent.name}`" in table for path in (ROOT / "models").glob("*/card.json"))


def test_pictures_of_the_manual_are_small():
    large = [path.name for path in (ROOT / "docs").rglob("*.png") if path.stat().st_size > 150_000]
    assert not large


@pytest.mark.slow
def test_the_manual_builds_without_a_warning_and_loads_nothing_from_outside(tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "-b", "html", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        assert not re.search(r'(?:src=|<link[^>]+href=)"https?://', page.read_text()), page.name
    assert "<math" in Path(tmp_path, "methods", "generation.html").read_text()
