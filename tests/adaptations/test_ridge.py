"""The ridge probe: its minimiser is that of other packages, and its two numbers are told apart."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as Reference

from interface.adaptations import LinearProbe, Ridge


def sample(n=300, seed=0, unit="nats"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)) * [1, 2, 3, 0.1] + 2
    score = x[:, 0] - x[:, 1]
    return x, (score + rng.logistic(size=n) > 0).astype(int) if unit == "nats" else score + rng.normal(size=n)


@pytest.mark.parametrize("lam", [0.001, 0.1, 3.0])
def test_the_head_is_that_of_other_packages(lam):
    x, y = sample(unit="squared")
    head, other = Ridge(lam).fit(x, y), Reference(alpha=lam / 2 * len(x)).fit(x, y)
    np.testing.assert_allclose(head.predict(x), other.predict(x), rtol=1e-8)
    x, y = sample()
    # two classes of weights ±w/2: the penalty is a quarter of ||w||² in all
    other = LogisticRegression(C=1 / (len(x) * lam / 2), tol=1e-10, max_iter=10_000).fit(x, y)
    head = Ridge(lam).fit(x, y)
    loss = -np.log(other.predict_proba(x)[np.arange(len(x)), y])
    # what a proven gap allows: strong convexity bounds the distance to the minimiser, where the loss has gradient lam ||w||
    allowed = float((2 * lam * head.solution.gap).sqrt() * head.solution.weight.norm())
    assert float(head.loss(x, y).mean()) == pytest.approx(loss.mean(), abs=1e-5 + allowed)


@pytest.mark.parametrize("unit", ["nats", "squared"])
def test_the_objective_exceeds_the_loss_by_the_penalty_and_both_exceed_the_linear_probes_loss(unit):
    fit, test = sample(unit=unit), sample(seed=1, unit=unit)
    probe = Ridge(0.3)
    loss, objective = probe.bracket(fit, test), probe.objectives(fit, test)[0]
    weight = probe.fit(*fit).solution.weight
    penalty = 0.15 * float(weight.square().sum())
    assert objective.low - loss.low == pytest.approx(penalty) == objective.high - loss.high
    assert LinearProbe().bracket(fit, test).low < loss.low < objective.low
    assert loss.low.how == "plug_in" and not loss.certified and loss.solved


def test_a_vanishing_penalty_leaves_the_linear_probe_and_a_large_one_the_constant():
    fit, test = sample(), sample(seed=1)
    linear = LinearProbe().bracket(fit, test)
    assert Ridge(1e-7).bracket(fit, test).low == pytest.approx(linear.low, abs=1e-5)
    share = fit[1].mean()
    assert Ridge(1e6).bracket(fit, test).low == pytest.approx(-share * np.log(share) - (1 - share) * np.log(1 - share), abs=1e-4)


@pytest.mark.parametrize("unit", ["nats", "squared"])
def test_invariant_to_rotations_and_offsets_and_not_to_scale(unit):
    x, y = sample(unit=unit)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    value = float(Ridge(0.2).fit(x, y).solution.value)
    assert float(Ridge(0.2).fit(x @ rotation - 7, y).solution.value) == pytest.approx(value, abs=2e-6)
    assert abs(float(Ridge(0.2).fit(0.1 * x, y).solution.value) - value) > 1e-3


def test_both_sides_of_the_objective_enclose_its_population_value():
    # x, y jointly Gaussian: least E(y - wx)² + lam/2 w² is 1 + lam / (2 + lam) at w = 2 / (2 + lam)
    rng, lam, problems, n = np.random.default_rng(0), 0.8, 800, 20
    x, x_test = rng.normal(size=(2, problems, n, 1))
    y, y_test = (part[..., 0] + rng.normal(size=(problems, n)) for part in (x, x_test))
    truth, loss = 1 + lam / (2 + lam), 1 + (lam / (2 + lam)) ** 2
    objectives = Ridge(lam).objectives((x, y), (x_test, y_test))
    low, high = (np.array([getattr(b, side) for b in objectives]) for side in ("low", "high"))
    assert low.mean() + 2 * low.std() / problems**0.5 < truth < high.mean() - 2 * high.std() / problems**0.5
    brackets = Ridge(lam).brackets((x, y), (x_test, y_test))
    assert np.mean([b.low for b in brackets]) < loss < np.mean([b.high for b in brackets])


def test_gaps_are_proven_in_both_losses():
    x, y = sample(unit="squared")
    fit = Ridge(0.01).fit(x, y).solution
    assert 0 <= float(fit.gap) < 1e-12 and fit.status == ["ok"]
    moved = torch.tensor(x) @ (fit.weight[0, 0] + 0.01) + fit.intercept
    worse = float((torch.tensor(y) - moved).square().mean() + 0.005 * (fit.weight + 0.01).square().sum())
    assert worse > float(fit.value)


@pytest.mark.parametrize("lam", [0.0, -1.0, np.inf, np.nan])
def test_an_unusable_penalty_is_refused(lam):
    with pytest.raises(ValueError, match="Ridge: lam"):
        Ridge(lam)
