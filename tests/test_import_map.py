"""The import map: left of the table nothing needs pandas, right of it nothing needs torch, and layers point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "interface"
BASE = {"core", "seeds", "threads"}
ALLOWED = {
    "core": set(),
    "seeds": set(),
    "threads": set(),
    "provenance": set(),
    "estimators": BASE,
    "theory": BASE,
    "convex": BASE,
    "populations": BASE | {"theory"},
    "encoders": BASE | {"theory"},
    "pretexts": BASE | {"theory", "convex", "populations", "encoders"},
    "adaptations": BASE | {"convex", "encoders"},
    "training": BASE | {"populations", "encoders", "pretexts", "checkpoints"},
    "checkpoints": {"core"},
    "measurement": BASE
    | {"theory", "populations", "encoders", "pretexts", "adaptations", "training", "checkpoints", "estimators", "provenance"},
    "table": {"core"},
    "analysis": {"core", "seeds", "table"},
    "hypotheses": {"core", "seeds", "table", "analysis"},
    "report": {"core", "table", "analysis", "hypotheses", "theory"},
    "lock": set(),
    "sweep": {"measurement", "training", "adaptations"},
    "jobs": {"core", "sweep", "measurement", "training", "table", "provenance", "checkpoints"},
    "additions": {"core", "lock", "measurement", "table", "provenance", "theory"}
    | {"populations", "encoders", "pretexts", "adaptations", "training", "checkpoints"},
    "workers": {"sweep", "jobs", "lock"},
}
PARTS = {path.stem if path.suffix == ".py" else path.name for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}


def imported(path: Path) -> set[str]:
    """Parts of the package and foreign top-level packages that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(part: str) -> list[Path]:
    path = ROOT / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_layers_point_one_way(part):
    for file in files(part):
        used = {name.split(".")[1] for name in imported(file) if name.startswith("interface.") and name.split(".")[1] in PARTS}
        assert used - {part} <= ALLOWED[part], f"{file.relative_to(ROOT)} imports {sorted(used - {part} - ALLOWED[part])}"


KINDS = ("estimators", "populations", "pretexts", "adaptations")  # folders of things of one kind


@pytest.mark.parametrize("part", KINDS)
def test_things_of_one_kind_do_not_import_each_other(part):
    """They share their `_base`; `adaptations.bracket` is a function of all adaptations, not one of them."""
    things = {path.stem for path in (ROOT / part).glob("*.py") if not path.name.startswith("_")} - {"bracket"}
    for file in files(part):
        if file.stem in things:
            used = {name.split(".")[2] for name in imported(file) if name.startswith(f"interface.{part}.") and name.count(".") >= 2}
            assert not used & (things - {file.stem}), f"{file.relative_to(ROOT)} imports {sorted(used & things)}"


@pytest.mark.parametrize("part", ["table", "analysis", "hypotheses", "report"])
def test_right_of_the_table_nothing_imports_torch(part):
    for file in files(part):
        assert not any(name.split(".")[0] == "torch" for name in imported(file)), file


@pytest.mark.parametrize("module", ["interface", "interface.estimators", "interface.theory"])
def test_the_base_is_light(module):
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'pandas', 'statsmodels', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_part_is_on_the_map():
    assert PARTS - {"__pycache__", "__init__", "cli"} == set(ALLOWED)
