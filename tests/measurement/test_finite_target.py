import pytest
import torch

from interface.adaptations import LinearProbe
from interface.checkpoints import Checkpoint
from interface.measurement import Transfer
from interface.measurement.batch import batches
from interface.measurement.finite_target import finite_losses, has_finite_target
from interface.populations import GaussianFactor, HiddenMarkov
from interface.theory import entropy

WORLD = HiddenMarkov(index=2, length=5)


class Reading(torch.nn.Module):
    """Features of sequences (n, 5) by a function."""

    def __init__(self, read):
        super().__init__()
        self.read = read

    def forward(self, x):
        return self.read(x).float()


def measured(read, target=WORLD):
    checkpoint = Checkpoint("run", 0, lambda: Reading(read))
    (batch,) = batches([checkpoint], device="cpu", batch_size=512)
    (found,) = finite_losses(batch, Transfer(target))
    return found


def last_token(x):
    return torch.nn.functional.one_hot(x[:, -1], 4)


def test_a_table_of_the_last_token_reaches_the_entropy_given_it():
    x, p, y = WORLD.support()
    joint = torch.zeros(4, 3, dtype=torch.float64).index_add(0, x[:, -1], p[:, None] * y)
    mass = joint.sum(1)
    found = measured(last_token)
    assert found == pytest.approx(float(mass.numpy() @ entropy((joint / mass[:, None]).numpy())), abs=1e-9)
    assert (found.how, found.stderr, found.status) == ("exact", 0.0, "ok")
    assert found > WORLD.bayes_risk()


def test_log_posteriors_reach_the_bayes_risk_and_a_constant_the_entropy_of_the_label():
    assert measured(lambda x: WORLD.posterior(x).log()) == pytest.approx(WORLD.bayes_risk(), abs=1e-9)
    _, p, y = WORLD.support()
    assert measured(lambda x: torch.ones(len(x), 2)) == pytest.approx(float(entropy((p @ y).numpy())), abs=1e-9)


def test_brackets_of_samples_cover_the_exact_minimum():
    exact, probe, covered = measured(last_token), LinearProbe(), 0
    for seed in range(40):
        fit, test = (WORLD.sample(1500, torch.Generator().manual_seed(2 * seed + half)) for half in (0, 1))
        sides = [(last_token(part.x).float(), part.y) for part in (fit, test)]
        (bracket,) = probe.brackets((sides[0][0][None], sides[0][1]), (sides[1][0][None], sides[1][1]), n_classes=3)
        low, high = bracket.interval()
        covered += low <= exact <= high
    assert covered >= 34  # 38 expected; below that with probability 2e-3


def test_only_a_linear_probe_on_a_finite_target_is_a_sum():
    assert has_finite_target(Transfer(WORLD))
    assert not has_finite_target(Transfer(WORLD, n_labels=10))
    assert not has_finite_target(Transfer(GaussianFactor()))
    assert not has_finite_target(Transfer(HiddenMarkov(length=9)))
