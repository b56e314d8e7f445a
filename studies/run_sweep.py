"""The main job: pretrain, measure, judge, draw. `python studies/run_sweep.py --help` lists the options."""

import importlib.util
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

INSTALL = "pip install -c constraints.txt -e ."


def what_to_do() -> str:
    """Why `interface` could not be imported: not installed, or shadowed by a foreign package of that name."""
    found = importlib.util.find_spec("interface")
    if found is None:
        return f"Install the package first, from the project's folder: {INSTALL}"
    foreign = [name for name in packages_distributions().get("interface", []) if name != "pretraining-adaptation-interface"]
    remove = f"pip uninstall {' '.join(foreign)}" if foreign else "remove that folder from PYTHONPATH"
    return f"Another module named 'interface' is found first, at {found.origin}: {remove}, then {INSTALL}"


try:
    from interface.cli import run_sweep
except ImportError as error:
    sys.exit(f"run_sweep: {error}\n{what_to_do()}")

if __name__ == "__main__":
    sys.exit(run_sweep(sweeps=Path(__file__).parent / "sweeps"))
