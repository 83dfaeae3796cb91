"""The study table."""

import pytest

from medidiff.errors import ConfigError
from medidiff.studies import Study, read_studies, write_studies


def table(folder, *lines, header="study\tkind\tpath\tstatus"):
    path = folder / "studies.tsv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_what_is_written_comes_back_with_paths_from_the_tables_folder(tmp_path):
    (tmp_path / "a b ü").mkdir()
    studies = [
        Study("CT-1", "petct", "a b ü", ct="1.2.3", truth="rs.dcm"),
        Study("X", "ct", "gone", status="reject", reason="tab\there"),
    ]
    path = tmp_path / "studies.tsv"
    path.write_text(write_studies(studies))
    read = read_studies(path)
    assert read["CT-1"].path == str(tmp_path / "a b ü")
    assert (read["CT-1"].ct, read["CT-1"].truth) == ("1.2.3", "rs.dcm")
    assert read["X"].reason == "tab here"


def test_free_columns_are_kept(tmp_path):
    path = table(tmp_path, f"A\tct\t{tmp_path}\tok\tCHUM", header="study\tkind\tpath\tstatus\tcentre")
    assert read_studies(path)["A"].more == {"centre": "CHUM"}


def test_all_mistakes_are_listed_with_their_lines(tmp_path):
    path = table(
        tmp_path, "a/b\tct\t.\tok", "A\tct\t.\tok", "A\tct\t.\tok", "B\txx\t.\tok", "C\tct\tnowhere\tok", "D\tct\t.\tmaybe"
    )
    with pytest.raises(ConfigError, match="5 mistakes") as caught:
        read_studies(path)
    message = str(caught.value)
    for part in (
        "line 2: study 'a/b'",
        "line 4: study 'A' stands already in line 3",
        "line 5: kind 'xx'",
        "line 6: path",
        "line 7: status",
    ):
        assert part in message


def test_a_rejected_study_may_have_lost_its_path(tmp_path):
    assert read_studies(table(tmp_path, "A\tct\tgone\treject"))["A"].status == "reject"


def test_commas_instead_of_tabs_and_an_empty_table_are_named(tmp_path):
    with pytest.raises(ConfigError, match="separated by commas; use tabs"):
        read_studies(table(tmp_path, "A,ct,.", header="study,kind,path"))
    with pytest.raises(ConfigError, match="no study"):
        read_studies(table(tmp_path))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_studies(tmp_path / "absent.tsv")


@pytest.mark.slow
def test_ten_thousand_lines_are_read_in_one_pass(tmp_path):
    path = table(tmp_path, *[f"S-{i}\tct\t.\tok" for i in range(10_000)])
    assert len(read_studies(path)) == 10_000
