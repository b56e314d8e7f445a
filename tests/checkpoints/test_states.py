import pytest
import torch
from torch import nn

from interface.checkpoints import Checkpoint, from_states


def test_states_are_ordered_loaded_and_kept_apart_from_training():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    states = {step: {k: torch.full_like(v, float(step)) for k, v in net.state_dict().items()} for step in (5, 0)}
    first, last = from_states(net, states, run="mine", lr=0.1, note="from a colleague")
    assert (first.step, last.step) == (0, 5)
    with torch.no_grad():
        net[0].weight.fill_(99.0)  # training goes on
    module = last.load()
    assert module[0].weight.unique().tolist() == [5.0] and not module.training
    assert not any(p.requires_grad for p in module.parameters())
    assert last.columns() == {"lr": 0.1} and last.remarks() == {"note": "from a colleague"}


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ({}, "empty"),
        ({0: {"weight": torch.zeros(2, 3)}}, "lacks.*bias"),
        ({0: {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "extra": torch.zeros(1)}}, "unknown.*extra"),
        ({0: {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}}, "shape"),
    ],
)
def test_states_that_do_not_fit_are_named(states, word):
    with pytest.raises(ValueError, match=word):
        from_states(nn.Linear(3, 2), states, run="mine")


def test_facts_may_not_overwrite_what_is_measured():
    with pytest.raises(ValueError, match="value"):
        Checkpoint("mine", 0, lambda: nn.Identity(), facts={"value": 3})
    with pytest.raises(ValueError, match="run"):
        Checkpoint("", 0, lambda: nn.Identity())
    with pytest.raises(ValueError, match="step"):
        Checkpoint("mine", -1, lambda: nn.Identity())
