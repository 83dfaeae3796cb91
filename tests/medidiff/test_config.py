"""Settings: checked as a whole, wrong ones reported with line and nearest key."""

import json

import pytest

from medidiff.config import load, read_config, schema
from medidiff.errors import ConfigError
from medidiff.reference import markdown

MISTAKES = """\
title: wrong in three places
studies: {table: studies.tsv}
segment:
  methodz: [suv2]
  watershed:
    seed_suv: -1
devise: cpu
"""


def test_all_mistakes_are_reported_at_once_with_line_and_nearest_key(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(MISTAKES)
    with pytest.raises(ConfigError, match="3 mistakes") as caught:
        read_config(path)
    message = str(caught.value)
    assert "line 4: segment.methodz: unknown key; did you mean `methods`?" in message
    assert "line 6: segment.watershed.seed_suv" in message
    assert "line 7: devise: unknown key; did you mean `device`?" in message
    assert caught.value.exit_status == 2


def test_a_phantom_with_a_wrong_key_is_named_with_its_patient():
    with pytest.raises(ConfigError, match=r"studies\.phantoms\.P1\.vendr: unknown key; did you mean `vendor`"):
        load({"studies": {"phantoms": {"P1": {"vendr": "ge"}}}})


@pytest.mark.parametrize(
    "source", [{}, {"table": "a.tsv", "dataset": "petct-sts-dicom"}, {"table": "a.tsv", "programmes": ["A"]}]
)
def test_studies_come_from_a_table_alone_or_from_the_other_sources(source):
    with pytest.raises(ConfigError, match="exactly one of `table` and the others"):
        load({"studies": source})


def test_other_sources_go_together_under_names_that_differ():
    scans = {"A": {"ct": {"views": 8}}}
    assert load({"studies": {"dataset": "petct-sts-dicom", "scans": scans}}).studies.scans["A"].kind == "ct"
    with pytest.raises(ConfigError, match="A is named twice among the studies"):
        load({"studies": {"scans": scans, "phantoms": {"A": {"seed": 1}}}})


@pytest.mark.parametrize(("kind", "method", "other"), [("ct", "zerofilled", "MRI"), ("mr", "fbp", "CT")])
def test_a_method_of_the_other_kind_of_measurement_is_refused(kind, method, other):
    with pytest.raises(ConfigError, match=rf"{kind}.methods: {method} is for {other} alone"):
        load({"studies": {"scans": {"A": {"ct": {}}}}, "reconstruct": {kind: {"methods": [method]}}})


def test_a_missing_file_and_broken_yaml_are_configuration_errors(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_config(tmp_path / "broken.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="expected keys and values at the top, found list"):
        read_config(tmp_path / "list.yaml")


def test_settings_are_frozen_and_survive_json():
    config = load({"studies": {"table": "studies.tsv"}})
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3
    assert load(json.loads(config.model_dump_json())) == config


def test_the_schema_is_json_and_names_every_section():
    text = json.dumps(schema())
    assert all(f'"{name}"' in text for name in ("studies", "convert", "segment", "pathvars"))
    assert schema()["additionalProperties"] is False


def test_the_reference_in_docs_is_the_one_of_the_code(request):
    written = (request.config.rootpath / "docs" / "configuration.md").read_text()
    assert written == markdown(), "run `make reference`"


@pytest.mark.parametrize("name", ["demo.yaml", "demo-real.yaml"])
def test_the_ready_configurations_are_in_order(request, name):
    read_config(request.config.rootpath / "configs" / name)
