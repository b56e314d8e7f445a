"""Runs that are trained together: none depends on its neighbours."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from interface.encoders import MLP, Transformer
from interface.training import Adam, Stack, pretrain
from interface.training.loop import _parts
from tests.training.runs import ALL, IMAGES, ODD, OTHERS, OneByOne, Users, assert_same_bits, other_runs, states


@pytest.mark.parametrize("runs", ALL, ids=lambda runs: f"{runs[0].pretext.name}-{runs[0].encoder.name}")
def test_a_run_does_not_depend_on_its_neighbours_bit_for_bit(runs):
    together = states(runs)
    assert_same_bits(states(runs[3:4]), together)
    assert_same_bits(states(runs[1:4][::-1]), together)
    assert_same_bits(states(runs, memory=3e5), together)  # memory cuts the group


@pytest.mark.parametrize("runs", ODD, ids=lambda runs: f"{runs[0].pretext.name}-{runs[0].encoder.name}")
def test_at_odd_sizes_a_run_depends_on_its_neighbours_by_round_off_only(runs):
    together = states(runs)
    for key, state in states(runs[3:4]).items():
        for name, value in state.items():
            torch.testing.assert_close(value, together[key][name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("world", OTHERS, ids=lambda world: f"{world[0].name}-{world[1].name}")
def test_every_encoder_trains_and_no_run_depends_on_its_neighbours(world, monkeypatch):
    runs = other_runs(*world)
    together = states(runs)
    assert_same_bits(states(runs[2:3]), together)
    monkeypatch.setattr("interface.training.stack.PIECE", 1.0)  # a product a run
    assert_same_bits(states(runs), together)
    for run in runs:
        start, end = together[run.run, 0], together[run.run, 8]
        moved = [name for name in start if not torch.equal(start[name], end[name])]
        assert set(moved) == set(start), "a parameter did not move"
    equal_seed, other_seed = (together[runs[i].run, 0] for i in (1, 2))
    first = together[runs[0].run, 0]
    drawn = [name for name in first if first[name].any()]
    assert all(torch.equal(first[name], equal_seed[name]) for name in first)
    assert not any(torch.equal(first[name], other_seed[name]) for name in drawn)


def test_a_loop_over_runs_gives_the_stack_to_round_off():
    stacked, looped = (states(other_runs(IMAGES, kind(16, 16))) for kind in (MLP, OneByOne))
    for (a, step), state in zip(stacked, stacked.values(), strict=True):
        twin = next(
            b for (b, s), other in zip(looped, looped.values(), strict=True) if s == step and same_place(stacked, a, looped, b)
        )
        for name, value in state.items():
            torch.testing.assert_close(value, looped[twin, step][name], rtol=1e-4, atol=1e-5)


def same_place(some, a, others, b):
    return list(dict.fromkeys(r for r, _ in some)).index(a) == list(dict.fromkeys(r for r, _ in others)).index(b)


def test_a_run_that_diverges_leaves_its_neighbours_alone():
    good = other_runs(IMAGES, MLP(16, 16))
    bad = replace(good[0], optimizer=Adam(1e30, 16))
    together = states([bad, *good])
    assert_same_bits(states(good), together)
    assert not all(torch.isfinite(value).all() for value in together[bad.run, 8].values())


def test_memory_counts_what_encoders_hold_and_splits_the_group_without_a_trace():
    for encoder in (MLP(16, 16), Transformer(16, 1, 2, 16, patch=4)):
        runs = other_runs(IMAGES, encoder)
        cut = states(runs, memory=2.5 * runs[0].saved_bytes())
        assert_same_bits(cut, states(runs))
    small, large = (other_runs(IMAGES, e) for e in (MLP(16, 16), Transformer(16, 4, 2, 16, patch=1)))
    assert len(list(_parts(small, 3e6))) == 1 < len(list(_parts(large, 3e6)))
    assert [run for part in _parts(large, 3e6) for run in part] == large


def test_without_a_momentum_there_is_no_teacher():
    run = other_runs(IMAGES, MLP(16, 16))[0]
    assert Stack([run], "cpu").teacher is None and run.build().teacher is None
    assert not any(name.startswith("teacher") for name in run.build().state_dict())


def test_numbers_that_are_not_parameters_are_refused():
    class Normed(Users):
        def build(self, input_dim):
            return nn.Sequential(nn.Linear(input_dim, self.features), nn.BatchNorm1d(self.features))

    with pytest.raises(ValueError, match=r"keeps encoder\.1\.num_batches_tracked, .* allowed: parameters only"):
        list(pretrain(other_runs(IMAGES, Normed(4))[:1]))
