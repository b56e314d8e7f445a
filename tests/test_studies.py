"""Laws over every sweep that ships."""

import ast
from pathlib import Path

import pytest

from interface.sweep import load

SWEEPS = sorted((Path(__file__).parents[1] / "studies" / "sweeps").glob("*.py"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_says_what_it_asks_and_every_run_is_in_one_job(path):
    documentation = ast.get_docstring(ast.parse(path.read_text()))
    assert "?" in documentation.splitlines()[0] or ":" in documentation.splitlines()[0]
    assert "python studies/run_sweep.py" in documentation
    sweep = load(path, 1.0)
    names = [run.run for run in sweep.pretrainings]
    assert len(set(names)) == len(names)
    assert sorted(run.run for job in sweep.jobs for run in job.runs) == sorted(names)
    assert all(len({run.steps for run in job.runs}) == 1 for job in sweep.jobs)
    assert [job.seconds for job in sweep.jobs] == sorted((job.seconds for job in sweep.jobs), reverse=True)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_scale_changes_the_number_of_instances_and_not_the_design(path):
    small, full = load(path, 0.5), load(path, 1.0)
    assert {run.run for run in small.pretrainings} < {run.run for run in full.pretrainings}


def test_targets_are_shared_by_the_runs_of_an_instance_and_pretext():
    default = load(SWEEPS[0], 0.2)
    cells = {}
    for run in default.pretrainings:
        key = (run.source.instance, run.pretext.name)
        keys = tuple(transfer.key() for transfer in default.transfers(run))
        assert cells.setdefault(key, keys) == keys
        assert len(set(keys)) == len(keys)


def test_from_scale_2_the_default_sweep_has_a_smaller_encoder_and_a_typeface_more():
    once, twice = load(SWEEPS[0], 1.0), load(SWEEPS[0], 2.0)
    encoders = {run.encoder.name for run in twice.pretrainings} - {run.encoder.name for run in once.pretrainings}
    assert encoders == {"MLP(32,8)"}
    run = next(run for run in twice.pretrainings if run.source.instance == "Glyphs-0")
    names = [{cell.target.applied.name for cell in sweep.transfers(run)} for sweep in (once, twice)]
    assert names[1] - names[0] == {"mono"}
