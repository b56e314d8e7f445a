"""The main job: pretrain, measure, judge, draw. `python studies/run_sweep.py --help` lists the options."""

import sys
from pathlib import Path

try:
    from interface.cli import run_sweep
except ImportError as error:
    sys.exit(f"run_sweep: {error}\nInstall the package first, from the project's folder: pip install -c constraints.txt -e .")

if __name__ == "__main__":
    sys.exit(run_sweep(sweeps=Path(__file__).parent / "sweeps"))
