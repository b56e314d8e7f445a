"""Pretraining losses of networks trained on a language that can be enumerated, and the theorems about their outputs."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from interface.core import fingerprint
from interface.encoders import MLP, LinearEncoder, Recurrent
from interface.measurement import Transfer, loss_arrays, measure, n_rows
from interface.measurement.batch import Batch, batches
from interface.measurement.pretraining import has_excess, pretraining_losses
from interface.populations import Examples, GaussianFactor, Glyphs, HiddenMarkov, Pool
from interface.pretexts import (
    Autoencoding,
    Clustering,
    InfoNCE,
    MaskedTokens,
    NextToken,
    SelfDistillation,
    Supervised,
    VariationalAutoencoding,
)
from interface.seeds import generator
from interface.theory import divergence, hidden_state_bound, output_probe_bound, squared_probe_loss
from interface.training import Adam, Pretraining, pretrain

WORLD = HiddenMarkov(index=1, length=5)
STEPS = (0, 20, 120)


@pytest.fixture(scope="module")
def trained():
    """Checkpoints of two networks of different size that were trained to predict the next token."""
    runs = [
        Pretraining(WORLD, NextToken(4), Recurrent(width, 6, vocabulary=4), 4000, Adam(1e-2), STEPS, seed=width)
        for width in (2, 12)
    ]
    return list(pretrain(runs))


def outputs(checkpoint, x):
    """q(token | tokens before it) of the trained model, (k, t - 1, V), by the modules themselves."""
    module = checkpoint.load()
    with torch.no_grad():
        return torch.softmax(module.head(module.encoder(x, readout="all"))[:, :-1].double(), -1)


def test_the_loss_is_the_sum_over_all_sequences(trained):
    support = WORLD.support()
    rows = {(r.run, r.step, r.quantity): r for r in measure(trained, [Transfer(WORLD)], n_pre=2000, n_fit=300, n_test=300)}
    assert len(rows) == sum(n_rows(c.spec, [Transfer(WORLD)]) for c in trained if c.step == 0)
    for checkpoint in trained:
        q = outputs(checkpoint, support.x)
        hard = -q.gather(2, support.x[:, 1:, None]).squeeze(2).log().mean(1)
        row, excess = (rows[checkpoint.run, checkpoint.step, name] for name in ("l_pre", "l_pre_excess"))
        assert row.value == pytest.approx(float(support.p @ hard), abs=1e-5)
        assert (row.how, row.stderr, excess.how) == ("exact", 0.0, "exact")
        p = WORLD.predictive(support.x)[:, 1:]
        assert excess.value == pytest.approx(float(support.p @ torch.from_numpy(divergence(p, q)).mean(1)), abs=1e-5)
        assert excess.value > 0
        profiled = rows[checkpoint.run, checkpoint.step, "l_pre_profiled"]
        assert row.value > profiled.value - 4 * profiled.stderr
    for run in {checkpoint.run for checkpoint in trained}:
        assert rows[run, 120, "l_pre_excess"].value < 0.5 * rows[run, 0, "l_pre_excess"].value


def test_theorems_about_outputs_hold_for_trained_networks(trained):
    """A probe on q reads the next state, and any other task, within the bounds that the excess gives."""
    support, emission = WORLD.support(), WORLD.model().emission
    x, weights = support.x, support.p.numpy()
    task = np.random.default_rng(0).normal(size=len(x))
    tightness = []
    for checkpoint in trained:
        for position in range(1, 4):  # outputs after so many tokens and one more
            q, p = outputs(checkpoint, x)[:, position].numpy(), WORLD.predictive(x)[:, position + 1].numpy()
            state = WORLD.belief(x)[:, position].numpy()
            observed, bound = squared_probe_loss(q, state, weights), hidden_state_bound(emission, p, q, weights)
            assert observed <= bound.squared * (1 + 1e-6) <= bound.kl * (1 + 1e-5)
            tightness.append(observed / bound.squared)
            for target in (state, task):
                assert squared_probe_loss(q, target, weights) <= output_probe_bound(target, p, q, weights) + 1e-9
    assert max(tightness) > 0.02  # the bound says something


def test_beyond_enumeration_all_checkpoints_share_their_draws(trained):
    """On the same language with longer sequences, which is sampled: the same networks, whose errors go together."""
    longer = replace(WORLD, length=9)
    run = Pretraining(longer, NextToken(4), Recurrent(12, 6, vocabulary=4), 1000, Adam(1e-2), STEPS)
    (batch,) = list(batches(list(pretrain([run])), device="cpu", batch_size=64))
    losses = pretraining_losses(batch, seed=0, n=2000)
    for loss in losses:
        assert loss.raw == pytest.approx(loss.units.mean())
        assert (loss.raw.how, loss.excess.how) == ("monte_carlo", "monte_carlo")
        assert loss.excess > -4 * loss.excess.stderr
        assert abs(loss.raw - longer.floor() - loss.excess) < 4.5 * (loss.raw.stderr**2 + longer.floor().stderr ** 2) ** 0.5
    assert losses[-1].excess.stderr < losses[-1].raw.stderr / 2  # the optimal model has the same luck
    (found,) = loss_arrays(batch.checkpoints, losses).values()
    assert found["step"].tolist() == list(STEPS)
    np.testing.assert_allclose(np.diag(found["l_pre_covariance"]), [loss.raw.stderr**2 for loss in losses], rtol=1e-5)
    assert found["l_pre_covariance"][1, 2] > 0.5 * found["l_pre_covariance"][2, 2]  # hard sequences are hard for both
    exact = pretraining_losses(Batch(tuple(trained[:3]), tuple(c.load() for c in trained[:3]), "cpu", 64), seed=0, n=200)
    assert loss_arrays(trained[:3], exact) == {}


def test_where_masks_are_drawn_the_loss_is_sampled_and_its_floor_is_not():
    run = Pretraining(WORLD, MaskedTokens(4), Recurrent(6, 6, vocabulary=4), 1000, Adam(1e-2), (0, 100))
    kept = {}
    rows = list(measure(list(pretrain([run])), [], n_pre=1500, arrays=kept.__setitem__))
    assert len(rows) == n_rows(run, [])
    found = {(r.step, r.quantity): r for r in rows}
    for step in run.steps:
        raw, excess = found[step, "l_pre"], found[step, "l_pre_excess"]
        assert (raw.how, excess.how) == ("monte_carlo", "monte_carlo")
        assert excess.stderr == pytest.approx(raw.stderr)
        assert excess.value > -4 * excess.stderr
    assert list(kept) == [run.run]
    errors = [found[step, "l_pre"].stderr for step in kept[run.run]["step"].tolist()]
    np.testing.assert_allclose(np.sqrt(np.diag(kept[run.run]["l_pre_covariance"])), errors, rtol=1e-5)


def test_without_a_known_floor_no_excess_is_recorded():
    run = Pretraining(Glyphs(), Supervised(), MLP(8, 4), 200, Adam(), (0,))
    assert not has_excess(run)
    assert "l_pre_excess" not in {row.quantity for row in measure(list(pretrain([run])), [], n_pre=200)}


def test_a_teacher_labels_what_its_student_is_measured_on():
    run = Pretraining(Glyphs(), SelfDistillation(), MLP(16, 8), 300, Adam(), (0, 5), views=2)
    checkpoints = list(pretrain([run]))
    first = list(measure(checkpoints, [], n_pre=256))
    other = checkpoints[1].load()
    with torch.no_grad():
        for parameter in other.teacher.parameters():
            parameter.mul_(3.0).add_(0.1)
    moved = [type(c)(c.run, c.step, (lambda: other) if c.step else c.load, spec=c.spec) for c in checkpoints]
    changed = list(measure(moved, [], n_pre=256))
    values = [{(r.step, r.quantity): r.value for r in rows} for rows in (first, changed)]
    assert values[0][0, "l_pre"] == values[1][0, "l_pre"]
    assert values[0][5, "l_pre"] != values[1][5, "l_pre"]
    assert fingerprint(run) == checkpoints[0].run


@pytest.mark.parametrize("pretext", [InfoNCE(), Supervised()], ids=lambda p: p.name)
def test_the_loss_at_its_best_temperature_is_recorded(pretext):
    """Of the trained modules, by another minimiser; and unlike the raw loss it is blind to the scale of a softmax head."""
    run = Pretraining(Glyphs(), pretext, MLP(16, 4), 200, Adam(3e-3), (0, 40), views=2)
    checkpoints = list(pretrain([run]))
    rows = list(measure(checkpoints, [], n_pre=384))
    assert len(rows) == n_rows(run, [])
    found = {(row.step, row.quantity): row for row in rows}
    drawn = Glyphs().views(768, pretext.n_views, generator("pre", fingerprint(Glyphs()), 0))
    views = pretext.draw(Examples(drawn.x[384:], drawn.y[384:]), generator("any"))
    for checkpoint in checkpoints:
        row, raw = (found[checkpoint.step, name] for name in ("l_pre_calibrated", "l_pre"))
        module = checkpoint.load()
        if isinstance(pretext, InfoNCE):
            a, b = (torch.nn.functional.normalize(module.head(module.encoder(x)), dim=-1).view(3, 128, -1) for x in views)
            scores, labels = torch.cat([a @ b.mT, b @ a.mT]).flatten(0, 1), torch.arange(128).repeat(6)
        else:
            scores, labels = module.head(module.encoder(views.x)), views.y

        def losses(log_scale, scores=scores.double(), labels=labels):
            return torch.nn.functional.cross_entropy(np.exp(log_scale) * scores, labels, reduction="none")

        best = minimize_scalar(lambda log_scale, losses=losses: float(losses(log_scale).mean()), bracket=(-1, 2), tol=1e-12)
        assert row.value == pytest.approx(best.fun, abs=1e-6)
        units = losses(best.x).view(2, 3, 128).mean((0, 2)) if isinstance(pretext, InfoNCE) else losses(best.x)
        assert row.stderr == pytest.approx(float(units.std()) / len(units) ** 0.5, rel=1e-3)
        assert row.value < raw.value
        assert (row.how, row.n, row.unit, row.status) == ("held_out", raw.n, "nats", "ok")
    other = copy.deepcopy(checkpoints[1].load())
    with torch.no_grad():
        for parameter in list(other.head.parameters())[-2:]:
            parameter.mul_(5.0)
    (changed,) = (
        {r.quantity: r.value for r in measure([type(c)(c.run, c.step, lambda: other, spec=c.spec)], [], n_pre=384)}
        for c in checkpoints[1:]
    )
    assert changed["l_pre_calibrated"] == pytest.approx(found[40, "l_pre_calibrated"].value, abs=1e-6)
    assert (abs(changed["l_pre"] - found[40, "l_pre"].value) < 1e-4) == isinstance(pretext, InfoNCE)


def test_what_is_no_cross_entropy_has_no_temperature():
    run = Pretraining(Glyphs(), Autoencoding(hidden=8), MLP(8, 4), 200, Adam(), (0,))
    rows = list(measure(list(pretrain([run])), [], n_pre=200))
    assert len(rows) == n_rows(run, []) and "l_pre_calibrated" not in {row.quantity for row in rows}


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_a_finite_pool_as_a_source(shape):
    """Trained on the pool, measured on its own third by hand, and adapted to on the other two."""
    x = torch.randn(300, *shape, dtype=torch.float64, generator=generator("x"))
    pool = Pool(x, (x.flatten(1)[:, 0] > 0).long(), name="ward")
    run = Pretraining(pool, Autoencoding(), MLP(8, 3), 200, Adam(1e-2, 32), (0, 60))
    checkpoints = list(pretrain([run]))
    rows = list(measure(checkpoints, [Transfer(pool)]))
    assert len(rows) == n_rows(run, [Transfer(pool)])
    found = {(row.step, row.quantity): row for row in rows}
    held = pool.thirds(0)[0].x[50:].flatten(1).float()
    for checkpoint in checkpoints:
        module = checkpoint.load()
        losses = (module.head(module.encoder(held)) - held).square().sum(1)
        row = found[checkpoint.step, "l_pre"]
        assert (row.value, row.n) == (pytest.approx(float(losses.mean()), rel=1e-5), 50)
        assert found[checkpoint.step, "l_pre_profiled"].value > 0
        assert found[checkpoint.step, "l_adapt"].n == 100
    assert found[60, "l_pre"].value < found[0, "l_pre"].value


def test_a_finite_pool_has_one_view_and_enough_examples():
    pool = Pool(torch.randn(9, 4, generator=generator("x")), [0, 1, 0] * 3, name="ward")
    for pretext, views in ((InfoNCE(), 1), (InfoNCE(), 2), (Autoencoding(), 2)):
        with pytest.raises(ValueError, match="'ward', which holds one view"):
            Pretraining(pool, pretext, MLP(4, 2), 9, views=views)
    run = Pretraining(pool, Autoencoding(), MLP(4, 2), 9, steps=(0,))
    with pytest.raises(ValueError, match="holds 9 examples; allowed: at least 10"):
        list(measure(list(pretrain([run])), []))


@pytest.mark.parametrize("pretext", [InfoNCE(), Clustering(), SelfDistillation()], ids=lambda p: p.name)
@pytest.mark.parametrize("n", [128, 300])
def test_n_pre_is_whole_batches_where_batches_are_the_unit(pretext, n):
    run = Pretraining(Glyphs(), pretext, MLP(4, 2), 20, steps=(0,), views=2)
    with pytest.raises(ValueError, match=f"n_pre is {n}; allowed for {pretext.name}: a multiple of 128 from 256 up"):
        list(measure(list(pretrain([run])), [], n_pre=n))


def test_n_pre_is_two_examples_at_least():
    run = Pretraining(Glyphs(), Supervised(), MLP(4, 2), 20, steps=(0,))
    with pytest.raises(ValueError, match="n_pre is 1; allowed for Supervised: an integer >= 2"):
        list(measure(list(pretrain([run])), [], n_pre=1))


@pytest.mark.parametrize(
    ("pretext", "encoder"),
    [(VariationalAutoencoding(variance=0.3), LinearEncoder(3)), (Autoencoding(), MLP(16, 3))],
    ids=lambda p: p.name,
)
def test_the_excess_over_a_gaussian_floor_is_recorded_where_only_the_loss_is_sampled(pretext, encoder):
    world = GaussianFactor()
    run = Pretraining(world, pretext, encoder, 5000, Adam(1e-2), (0, 400))
    assert has_excess(run)
    rows = list(measure(list(pretrain([run])), [], n_pre=2000))
    assert len(rows) == n_rows(run, [])
    found = {(row.step, row.quantity): row for row in rows}
    values = np.linalg.eigvalsh(world.moments().covariance)[::-1]
    if isinstance(pretext, Autoencoding):
        floor = values[3:].sum()
    else:  # minus the log-likelihood of probabilistic PCA with this noise: kept variances above it, all else at it
        model = np.r_[values[:3].clip(min=0.3), np.full(len(values) - 3, 0.3)]
        floor = 0.5 * (np.log(2 * np.pi * model) + values / model).sum()
    for step in run.steps:
        raw, excess = found[step, "l_pre"], found[step, "l_pre_excess"]
        assert excess.value == pytest.approx(raw.value - floor, abs=1e-4)
        assert excess.stderr == pytest.approx(raw.stderr) and excess.value > -4 * excess.stderr
    assert found[400, "l_pre_excess"].value < 0.5 * found[0, "l_pre_excess"].value
