import pytest

from medidiff.errors import DataError
from medidiff.io.prior_files import read_prior, write_prior

FILES = {"card.json": b"{}", "model.safetensors": b"weights", "README.md": b"# a prior\n"}


def test_what_was_written_comes_back_without_the_page_for_people(tmp_path):
    write_prior(tmp_path / "models" / "mine", FILES)
    assert read_prior(tmp_path / "models" / "mine") == {name: FILES[name] for name in ("card.json", "model.safetensors")}
    assert (tmp_path / "models" / "mine" / "README.md").read_bytes() == FILES["README.md"]
    assert sorted(path.name for path in (tmp_path / "models" / "mine").iterdir()) == sorted(FILES)


def test_the_card_is_written_last_so_that_a_broken_write_leaves_no_prior(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr("medidiff.io.prior_files.write_bytes", lambda path, content: order.append(path.name))
    write_prior(tmp_path, FILES)
    assert order[-1] == "card.json" and sorted(order) == sorted(FILES)


def test_a_folder_that_is_no_prior_is_refused_with_what_it_lacks(tmp_path):
    with pytest.raises(DataError, match=r"has no model\.safetensors and no card\.json, expected the folder of a trained prior"):
        read_prior(tmp_path)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(DataError, match=r"has no model\.safetensors, expected"):
        read_prior(tmp_path)
