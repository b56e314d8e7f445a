import os
import subprocess
import sys
from pathlib import Path

import pytest

from interface import provenance

ROOT = Path(__file__).parents[1]


def foreign_distribution(folder):
    """A distribution `python-interface` that installs a package of our name."""
    (folder / "interface").mkdir()
    (folder / "interface" / "__init__.py").write_text("class Interface: ...\n")
    info = folder / "python_interface-1.6.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: python-interface\nVersion: 1.6.1\n")
    (info / "top_level.txt").write_text("interface\n")
    (info / "RECORD").write_text("interface/__init__.py,,\n")


def test_a_foreign_package_of_our_name_is_named(tmp_path, monkeypatch):
    foreign_distribution(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="pip uninstall python-interface"):
        provenance.check_not_shadowed()


def test_the_sweep_says_which_module_shadows_the_package(tmp_path):
    foreign_distribution(tmp_path)
    done = subprocess.run(
        [sys.executable, str(ROOT / "studies" / "run_sweep.py"), "--list"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert str(tmp_path / "interface") in done.stderr and "pip uninstall python-interface" in done.stderr


def test_the_digest_follows_the_measuring_code_only(tmp_path, monkeypatch):
    import shutil

    shutil.copytree(ROOT / "interface", tmp_path / "interface", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "interface" / "provenance.py"))
    digest = provenance.code_digest.__wrapped__
    before = digest()
    (tmp_path / "interface" / "report" / "page.py").write_text("changed = True\n")
    assert digest() == before
    (tmp_path / "interface" / "pretexts" / "autoencoding.py").write_text("changed = True\n")
    assert digest() != before and before[0] == "c" and len(before) == 12
