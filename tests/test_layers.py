"""Who may import whom, and what must stay light."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_import_linter_finds_every_layer_kept():
    done = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_the_snakefile_imports_brings_no_heavy_library():
    code = (
        "import sys, medidiff.config, medidiff.studies, medidiff.plan, medidiff.cli, medidiff.cli.app\n"
        "heavy = {'torch', 'numpy', 'scipy', 'nibabel', 'pydicom', 'matplotlib', 'pandas', 'monai'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_is_longer_than_five_hundred_lines():
    files = [path for folder in ("medidiff", "physics") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 50
    assert not [path.name for path in files if len(path.read_text().splitlines()) > 500]


def test_nothing_unpickles_or_evaluates():
    forbidden = ("import pickle", "yaml.load(", "allow_pickle=True", "weights_only=False", "eval(", "exec(")
    for folder in ("medidiff", "physics"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text().replace(".eval(", "").replace("def eval(", "")
            assert not [word for word in forbidden if word in text], path
