"""Risks after N labels: announced rows, parts that sum, exact worlds against large samples, common draws, refusals."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from interface.adaptations import (
    FineTuning,
    FromScratch,
    GradientProbe,
    LinearProbe,
    LoRA,
    NearestNeighbours,
    ProbeThenFineTuning,
    Ridge,
)
from interface.checkpoints import from_states
from interface.core import Bracket, Estimate, fingerprint
from interface.encoders import MLP, LinearEncoder, Transformer
from interface.hypotheses import probing_first_keeps_fine_tuning_right, the_probe_wins_with_few_labels
from interface.measurement import Transfer, measure, n_rows
from interface.measurement.batch import batches
from interface.measurement.decomposition import Loss, decompose
from interface.measurement.measuring import LABELLED_ROWS
from interface.populations import GaussianFactor, Glyphs, HiddenMarkov, Pool
from interface.pretexts import Autoencoding, FixedMask, MaskedPrediction, Supervised
from interface.seeds import generator
from interface.table import wide
from interface.theory import bayes_loss
from interface.theory.least_squares import population_loss
from interface.training import Adam, Pretraining, pretrain

PARTS = LABELLED_ROWS[2:]
SHORT = {"steps": 30, "lr": 3e-3}
TUNINGS = (FineTuning(**SHORT), ProbeThenFineTuning(**SHORT), LoRA(rank=2, **SHORT), FromScratch(**SHORT), GradientProbe(steps=30))
WORLD = GaussianFactor()
GLYPHS = Glyphs()


def trained(encoder, *, pretext=None, steps=(0, 200), seeds=(0,)):
    pretext = pretext or Autoencoding()
    return [Pretraining(WORLD, pretext, encoder, 500, Adam(3e-3), steps, seed, views=pretext.n_views) for seed in seeds]


def glyph_run(steps=(0, 60)):
    return Pretraining(GLYPHS, MaskedPrediction(), MLP(16, 4), 200, Adam(1e-3), steps, views=4)


def by_cell(rows):
    """(run, step, target, adaptation, n_labels, replicate) -> quantity -> row, of the cells with counted labels."""
    cells = {}
    for row in rows:
        if row.n_labels is not None and row.quantity != "l_adapt_bayes":
            key = (row.run, row.step, row.target, row.adaptation, row.n_labels, row.replicate)
            cells.setdefault(key, {})[row.quantity] = row
    return cells


@pytest.mark.parametrize("encoder", [LinearEncoder(3), MLP(20, 3, bias=False)], ids=lambda e: e.name)
@pytest.mark.parametrize("pretext", [Autoencoding(), FixedMask()], ids=lambda p: p.name)
def test_exact_parts_sum_to_the_excess_and_the_rows_are_those_announced(encoder, pretext):
    runs = trained(encoder, pretext=pretext)
    cells = [Transfer(WORLD), Transfer(WORLD.shift("concept", 1.0))]
    cells += [
        Transfer(WORLD, a, n, n_labels=m) for a in (LinearProbe(), Ridge(), *TUNINGS) for n, m in ((0, 12), (0, 200), (1, 200))
    ]
    rows = list(measure(list(pretrain(runs)), cells))
    assert len(rows) == sum(n_rows(run, cells) for run in runs) == len({key(r) for r in rows})
    minimum = {(r.run, r.step): r.value for r in rows if r.quantity == "l_adapt" and r.n_labels is None and r.shift == "none"}
    found = by_cell(rows)
    assert len(found) == 2 * 21
    for (run, step, _, adaptation, _, _), parts in found.items():
        assert tuple(parts) == LABELLED_ROWS and all(r.how == "exact" and r.unit == "squared" for r in parts.values())
        assert sum(parts[part].value for part in PARTS) == pytest.approx(parts["adapt_excess"].value, abs=1e-6)
        assert parts["adapt_excess"].value == pytest.approx(parts["l_adapt"].value - bayes_loss(WORLD.moments()), abs=1e-9)
        assert parts["adapt_representation"].value == pytest.approx(minimum[run, step] - bayes_loss(WORLD.moments()), abs=1e-9)
        assert min(parts[part].value for part in PARTS[:2]) >= -1e-9 and parts["adapt_excess"].value >= -1e-9
        if adaptation == "LinearProbe":
            assert parts["adapt_optimisation"].value == 0


def key(row):
    return row.run, row.step, row.target, row.adaptation, row.n_labels, row.replicate, row.quantity


@pytest.mark.parametrize("adaptation", [LinearProbe(), *TUNINGS], ids=lambda a: type(a).__name__)
def test_an_exact_risk_is_what_a_large_sample_gives(adaptation):
    """The adapted predictor is rebuilt here, from the streams that the docstring names, and sampled."""
    (run,) = trained(MLP(20, 3, bias=False))
    checkpoint = list(pretrain([run]))[-1]
    target = WORLD.shift("covariate", 1.0)
    (row,) = (r for r in measure([checkpoint], [Transfer(target, adaptation, 3, n_labels=40)], seed=5) if r.quantity == "l_adapt")
    x, y = target.sample(40, generator("labels", fingerprint(target), 5, 3))
    module = checkpoint.load().encoder
    big = target.sample(200_000, generator("large"))
    if isinstance(adaptation, LinearProbe):
        losses = adaptation.learn(module(x), y).loss(module(big.x), big.y)
    else:
        states = {name: value.unsqueeze(0) for name, value in module.state_dict().items()}
        stream = generator("tuning", fingerprint(target), 5, 3)
        losses = adaptation.tune(module, states, x, y, n_classes=None, generator=stream).loss(big.x, big.y)[0]
    assert row.how == "exact" and row.status == "ok"
    assert abs(float(losses.mean()) - row.value) < 4 * float(losses.std()) / len(losses) ** 0.5


def test_the_mean_over_label_draws_is_that_of_least_squares():
    """Linear features of a Gaussian: E R_N = L* (N - 1) / (N - r - 1) without, one more regressor with an intercept."""
    (run,) = trained(LinearEncoder(3), steps=(200,))
    checkpoints = list(pretrain([run]))
    n = 20
    cells = [Transfer(WORLD), *(Transfer(WORLD, replicate=m, n_labels=n) for m in range(400))]
    rows = [r for r in measure(checkpoints, cells) if r.quantity in ("l_adapt", "adapt_generalisation")]
    least = next(r.value for r in rows if r.n_labels is None)
    risks = np.array([r.value for r in rows if r.n_labels and r.quantity == "l_adapt"])
    expected = population_loss(least, 3, n - 1) * (n + 1) / n  # an estimated mean costs a row, and its own error
    assert abs(risks.mean() - expected) < 4 * risks.std() / 20
    assert (risks >= least - 1e-9).all() and np.std(risks) > 0  # the definition of L*; draws differ


def test_sampled_parts_sum_and_agree_with_independent_draws():
    run = glyph_run()
    checkpoints = list(pretrain([run]))
    cells = [Transfer(GLYPHS)]
    cells += [Transfer(GLYPHS, a, 0, n_labels=n) for a in (LinearProbe(), NearestNeighbours(k=4), *TUNINGS) for n in (20, 300)]
    first, second = (list(measure(checkpoints, cells, seed=0, n_fit=3000, n_test=n)) for n in (1500, 3000))
    assert len(first) == n_rows(run, cells) == len({key(r) for r in first})
    found, other = by_cell(first), by_cell(second)
    pooled = []
    for cell, parts in found.items():
        assert tuple(parts) == LABELLED_ROWS
        assert all(
            r.how == "held_out" and r.unit == "nats" and math.isfinite(r.value) and r.stderr is not None for r in parts.values()
        )
        assert sum(parts[part].value for part in PARTS) == pytest.approx(parts["adapt_excess"].value, abs=1e-6)
        assert [parts[q].status for q in LABELLED_ROWS[1:3]] == ["floor_unknown"] * 2
        assert parts["l_adapt"].status == "ok" and parts["l_adapt"].n == 1500
        for quantity, row in parts.items():  # test samples of other sizes are other draws; labels and heads are the same
            error = (row.stderr**2 + other[cell][quantity].stderr ** 2) ** 0.5
            pooled.append(abs(row.value - other[cell][quantity].value) <= 2 * error + 1e-6)
        independent = [parts["adapt_representation"], other[cell]["adapt_generalisation"], parts["adapt_optimisation"]]
        error = sum(r.stderr**2 for r in (*independent, parts["adapt_excess"])) ** 0.5
        pooled.append(abs(sum(r.value for r in independent) - parts["adapt_excess"].value) <= 2 * error)
    assert np.mean(pooled) > 0.8  # two standard errors, and cells share their draws


def test_paired_errors_are_smaller_than_added_ones():
    g = generator("paired")
    losses = torch.rand(500, generator=g).double()
    close = Loss.sampled(losses + 0.01 * torch.rand(500, generator=g)), Loss.sampled(losses)
    side = Estimate(0.2, stderr=0.01, how="held_out", n=500)
    parts = decompose(*close, Bracket(side, Estimate(0.3, stderr=0.01, how="held_out", n=400), gap=0.0), None)
    assert parts.optimisation.stderr < 0.1 * parts.risk.stderr
    assert parts.representation == pytest.approx(0.25) and parts.representation.stderr == pytest.approx(0.5 * 2**0.5 * 0.01)
    assert parts.excess.status == "floor_unknown" and parts.generalisation.n == 400
    infinite = decompose(Loss.sampled(torch.tensor([1.0, math.inf])), close[1], side, Estimate(0.1, stderr=0.0, how="exact"))
    assert infinite.risk.status == infinite.excess.status == infinite.optimisation.status == "absent_class"
    assert infinite.excess == math.inf and infinite.excess.stderr is None and infinite.representation.status == "ok"


def test_draws_are_common_to_checkpoints_and_a_run_does_not_depend_on_its_neighbours():
    runs = trained(MLP(20, 3, bias=False), steps=(0, 50), seeds=(0, 1))
    checkpoints = list(pretrain(runs))
    cells = [Transfer(WORLD, a, m, n_labels=30) for a in (LinearProbe(), *TUNINGS) for m in (0, 1)]
    together, alone = by_cell(measure(checkpoints, cells)), by_cell(measure(checkpoints[3:], cells[::-1]))
    for cell, parts in alone.items():
        for quantity, row in parts.items():
            assert row.value == pytest.approx(together[cell][quantity].value, rel=1e-6, abs=1e-6)
    scratch = {v["l_adapt"].value for k, v in together.items() if k[3].startswith("FromScratch")}
    assert len(scratch) == 2  # one for each draw of labels, whatever the checkpoint


def test_adapted_in_domain_and_read_under_shift():
    (run,) = trained(LinearEncoder(3), steps=(200,))
    checkpoints = list(pretrain([run]))
    target = WORLD.shift("concept", 1.0)
    own, elsewhere = (
        by_cell(measure(checkpoints, [Transfer(target, a, 0, n_labels=500, adapted_on=where) for a in (LinearProbe(), TUNINGS[1])]))
        for where in (None, WORLD)
    )
    assert own.keys() == elsewhere.keys()
    for cell, parts in elsewhere.items():
        assert parts["l_adapt"].value > own[cell]["l_adapt"].value + 0.05  # learnt for the wrong label
        assert parts["adapt_representation"].value == own[cell]["adapt_representation"].value  # that of the target
        assert parts["adapt_generalisation"].value > 0.05


def test_the_rows_are_what_the_claims_read():
    kinds = (LinearProbe(), FineTuning(), ProbeThenFineTuning())
    rows = []
    for i in range(3):
        run = Pretraining(GaussianFactor(index=i), Autoencoding(), LinearEncoder(3), 500, Adam(3e-3), (50,), i)
        source, shifted = run.source, run.source.shift("covariate", 1.0)
        cells = [Transfer(source, a, 0, n_labels=n) for a in kinds[:2] for n in (8, 40)]
        cells += [Transfer(shifted, a, 0, n_labels=40, adapted_on=source) for a in kinds[1:]]
        rows += list(measure(list(pretrain([run])), cells))
    risk = {(r.instance, r.adaptation, r.n_labels, r.strength): r.value for r in rows if r.quantity == "l_adapt"}
    instances = sorted({cell[0] for cell in risk})
    frame = wide(rows)
    few, first = the_probe_wins_with_few_labels.test(frame), probing_first_keeps_fine_tuning_right.test(frame)
    gaps = [[risk[i, "FineTuning", n, 0.0] - risk[i, "LinearProbe", n, 0.0] for i in instances] for n in (8, 40)]
    assert f"{np.mean(gaps[0]):.3g} [" in few.detail and f"{np.mean(gaps[1]):.3g} [" in few.detail
    under_shift = [risk[i, "FineTuning", 40, 1.0] - risk[i, "ProbeThenFineTuning", 40, 1.0] for i in instances]
    assert first.theta.estimate == pytest.approx(np.mean(under_shift))


class Reader(nn.Module):
    """Somebody else's module."""

    def __init__(self):
        super().__init__()
        self.body, self.norm = nn.Linear(5, 8), nn.BatchNorm1d(8)

    def forward(self, x):
        return torch.tanh(self.norm(self.body(x)))


def others(embed=None):
    torch.manual_seed(0)
    states = {step: Reader().state_dict() for step in (0, 10)}
    g = generator("others")
    x = torch.randn(900, 5, generator=g)
    pool = Pool(x.numpy(), (x[:, 0] * x[:, 1] > 0).long().numpy(), name="others")
    checkpoints = from_states(Reader(), states, run="mine", embed=embed) if embed else from_states(Reader(), states, run="mine")
    return checkpoints, pool


def test_somebody_elses_checkpoints_on_a_pool_are_tuned_too():
    checkpoints, pool = others()
    cells = [
        Transfer(pool, a, 0, n_labels=200) for a in (LinearProbe(), FineTuning(steps=200, lr=1e-2), ProbeThenFineTuning(steps=5))
    ]
    found = by_cell(measure(checkpoints, cells))
    assert len(found) == 6
    for cell, parts in found.items():
        assert sum(parts[part].value for part in PARTS) == pytest.approx(parts["adapt_excess"].value, abs=1e-6)
        if cell[3].startswith("FineTuning"):
            assert parts["adapt_optimisation"].value < -0.05  # features of a product can be learnt and are not there
    with pytest.raises(ValueError, match="n_labels is 400, but the fit third of 'others' holds 300"):
        list(measure(checkpoints, [Transfer(pool, n_labels=400)]))


def test_an_embedding_without_gradients_is_refused():
    checkpoints, pool = others(torch.no_grad()(lambda module, x: module(x)))
    with pytest.raises(ValueError, match="no gradient reaches the encoder's parameters"):
        list(measure(checkpoints, [Transfer(pool, FineTuning(steps=2), n_labels=20)]))


def test_sequences_are_tuned():
    source = HiddenMarkov(concepts=2)
    encoder = Transformer(8, 1, 2, 3, vocabulary=source.vocabulary, causal=True)
    run = Pretraining(source, Supervised(), encoder, 30, Adam(1e-2, 16), (0, 5))
    cells = [
        Transfer(source, a, n_labels=60)
        for a in (LinearProbe(), FineTuning(steps=60, lr=1e-2), LoRA(steps=5), FromScratch(steps=5))
    ]
    rows = list(measure(list(pretrain([run])), cells, n_fit=400, n_test=400))
    assert len(rows) == n_rows(run, cells)
    for parts in by_cell(rows).values():
        assert all(math.isfinite(r.value) and r.how == "exact" and r.status == "ok" for r in parts.values())
        assert parts["adapt_excess"].value > -1e-9 and parts["adapt_generalisation"].value > -1e-6  # by definition
        assert sum(parts[part].value for part in PARTS) == pytest.approx(parts["adapt_excess"].value, abs=1e-6)


@pytest.mark.parametrize("adaptation", [LinearProbe(), FineTuning(**SHORT)], ids=lambda a: type(a).__name__)
def test_an_enumerated_risk_is_what_a_large_sample_gives(adaptation):
    source = HiddenMarkov(concepts=2)
    encoder = Transformer(8, 1, 2, 3, vocabulary=source.vocabulary, causal=True)
    (checkpoint,) = pretrain([Pretraining(source, Supervised(), encoder, 30, Adam(1e-2, 16), (5,))])
    (row,) = (r for r in measure([checkpoint], [Transfer(source, adaptation, n_labels=50)], seed=5) if r.quantity == "l_adapt")
    x, y = source.sample(50, generator("labels", fingerprint(source), 5, None))
    module, big = checkpoint.load().encoder, source.sample(20_000, generator("large"))
    if isinstance(adaptation, LinearProbe):
        losses = adaptation.learn(module(x), y, n_classes=source.n_classes).loss(module(big.x), big.y)
    else:
        states = {name: value.unsqueeze(0) for name, value in module.state_dict().items()}
        stream = generator("tuning", fingerprint(source), 5, None)
        losses = adaptation.tune(module, states, x, y, n_classes=source.n_classes, generator=stream).loss(big.x, big.y)[0]
    assert row.how == "exact" and abs(float(losses.mean()) - row.value) < 4 * float(losses.std()) / len(losses) ** 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"adaptation": FineTuning()}, "FineTuning needs n_labels. With unlimited labels and updates it reaches the least loss"),
        ({"adaptation": LoRA(), "n_labels": 8, "depth": 1}, r"LoRA with depth 1, readout None; allowed: None"),
        ({"adapted_on": WORLD}, "adapted_on needs n_labels"),
        ({"adapted_on": GLYPHS, "n_labels": 8}, r"adapted_on has input_dim, n_classes \(256, 10\)"),
        ({"n_labels": 0}, "n_labels is 0"),
    ],
)
def test_what_a_cell_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Transfer(WORLD, **arguments)


def test_cells_that_differ_in_where_they_adapt_alone_are_refused():
    (run,) = trained(LinearEncoder(3), steps=(0,))
    target = WORLD.shift("concept", 1.0)
    cells = [Transfer(target, n_labels=8), Transfer(target, n_labels=8, adapted_on=WORLD)]
    with pytest.raises(ValueError, match="adapted_on is no part of it"):
        list(measure(list(pretrain([run])), cells))


def test_a_diverged_tuning_is_named():
    (run,) = trained(MLP(20, 3, bias=False), steps=(0,))
    (batch,) = batches(list(pretrain([run])), device="cpu", batch_size=8)
    wild = FineTuning(steps=20, lr=1e6, optimizer="gradient")
    rows = [r for r in measure(batch.checkpoints, [Transfer(WORLD, wild, n_labels=30)]) if r.quantity in LABELLED_ROWS]
    words = {r.quantity: r.status for r in rows}
    assert words["l_adapt"] == words["adapt_excess"] == words["adapt_optimisation"] == "diverged"
    assert words["adapt_representation"] == words["adapt_generalisation"] == "ok"
