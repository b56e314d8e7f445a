"""The study of pretexts against the untrained encoder covers every pretext of images, and runs."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from tests.pretexts.settings import EXPORTED, TOKENS

STUDY = Path(__file__).parents[2] / "studies" / "pretexts_beat_untrained.py"


def test_every_pretext_of_images_is_in_it():
    spec = importlib.util.spec_from_file_location(STUDY.stem, STUDY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {type(pretext) for pretext in module.PRETEXTS} == EXPORTED - set(TOKENS)


def test_it_runs():
    command = [sys.executable, str(STUDY), "--quick", "--only", "Supervised"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=STUDY.parents[1], check=True)
    assert done.stdout.strip().splitlines()[-1].endswith("beats the untrained encoder")
