"""Token worlds end to end: pretrained on each token task, measured in every reading, against sums over all sequences."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from interface.encoders import Recurrent, Transformer
from interface.measurement import Transfer, measure, n_rows
from interface.measurement.batch import batches
from interface.populations import HiddenMarkov, StandardLibrary
from interface.pretexts import MaskedTokens, NextToken
from interface.pretexts.masked_tokens import MaskedSequence
from interface.pretexts.next_token import Sequences
from interface.theory import hidden_state_bound, squared_probe_loss
from interface.training import Adam, Pretraining, pretrain

V, LENGTH = 4, 4
WORLD = HiddenMarkov(3, vocabulary=V, length=LENGTH, concepts=2)
MODELS = [
    (NextToken(V), Recurrent(8, 4, V, layers=2)),
    (NextToken(V), Transformer(8, 2, 2, 4, causal=True, vocabulary=V)),
    (MaskedTokens(V), Transformer(8, 2, 2, 4, vocabulary=V)),
    (MaskedTokens(V), Recurrent(8, 4, V, layers=2)),
]
READINGS = [
    (1, "last"),
    (2, "last"),
    (1, "mean"),
    (None, "last"),
    (None, "mean"),
    (None, "all"),
    (None, "probabilities"),
    (None, None),
]
models = pytest.mark.parametrize(("pretext", "encoder"), MODELS, ids=lambda one: one.name)
next_token = pytest.mark.parametrize(("pretext", "encoder"), MODELS[:2], ids=lambda one: one.name)


def pretrained(pretext, encoder, sizes=(2000,), source=WORLD, steps=(0, 40)):
    runs = [Pretraining(source, pretext, encoder, n, Adam(1e-2, 32), steps) for n in sizes]
    return runs, list(pretrain(runs))


def contexts(**label):
    """What comes before a last token: its final position is one whose output pretraining trains."""
    return replace(WORLD, length=LENGTH - 1, **label)


def readings(population):
    return [Transfer(population, depth=depth, readout=readout) for depth, readout in READINGS]


def probability(x):
    """p(x) of sequences by the forward recursion, a sum over all paths of hidden states."""
    initial, transition, emission = WORLD.model()
    ahead = initial * emission.T[x[:, 0]]
    for token in x.T[1:]:
        ahead = ahead @ transition * emission.T[token]
    return ahead.sum(1)


ALL = np.array(list(product(range(V), repeat=LENGTH)))
CHANCE = probability(ALL)


def cross_entropy(log_q, position):
    """Mean over all sequences of -log q of the token at a position; log q (sequences, V)."""
    return float(CHANCE @ -log_q[np.arange(len(ALL)), ALL[:, position]])


@models
def test_rows_are_as_announced_and_each_reading_has_its_own(pretext, encoder):
    runs, checkpoints = pretrained(pretext, encoder)
    cells = [*readings(contexts()), *readings(contexts(label="concept").shift("vocabulary", 1.0))]
    rows = list(measure(checkpoints, cells, n_pre=300))
    assert len(rows) == sum(n_rows(run, cells) for run in runs)
    assert {row.status for row in rows if row.quantity != "l_pre_calibrated"} <= {"ok", "crossed"}
    adapted = [row for row in rows if row.quantity == "l_adapt"]
    assert {row.how for row in adapted} == {"exact"}
    bayes = {row.target: row.value for row in rows if row.quantity == "l_adapt_bayes"}
    assert len(bayes) == 2 and all(row.value >= bayes[row.target] - 1e-9 for row in adapted)
    values = {(row.step, row.target, row.depth, row.readout): row.value for row in adapted}
    for step, target in product((0, 40), bayes):
        at = {reading: values[step, target, *reading] for reading in READINGS}
        own = at.pop((None, None))
        assert own == at[None, "last" if encoder.causal else "mean"]
        assert at[None, "all"] < at[None, "last"] + 1e-9  # a probe that may read more
        assert at[None, "last"] > at[2, "last"] - 1e-9 or isinstance(encoder, Transformer)  # an affine map of fewer numbers
        assert len({round(value, 9) for value in at.values()}) == len(at)
    for quantity in ("l_pre", "l_pre_excess"):
        before, after = (row.value for row in rows if row.quantity == quantity)
        assert 0 < after < before


@next_token
def test_next_token_loss_is_the_sum_over_all_sequences_of_what_prefixes_predict(pretext, encoder):
    _, checkpoints = pretrained(pretext, encoder)
    rows = {(row.step, row.quantity): row for row in measure(checkpoints, [])}
    floor = 0.0
    for position in range(1, LENGTH):
        prefix = ALL[:, :position]
        joint = np.array([CHANCE[(prefix == one).all(1)] @ one_hot_of(position, (prefix == one).all(1)) for one in prefix])
        floor += cross_entropy(np.log(joint / joint.sum(1, keepdims=True)), position) / (LENGTH - 1)
    for checkpoint in checkpoints:
        module, loss = checkpoint.load(), 0.0
        for position in range(1, LENGTH):  # nothing but the prefix is given
            scores = module.head(module.encoder(torch.from_numpy(ALL[:, :position]), readout="last"))
            loss += cross_entropy(scores.double().log_softmax(-1).numpy(), position) / (LENGTH - 1)
        raw, excess = (rows[checkpoint.step, name] for name in ("l_pre", "l_pre_excess"))
        assert (raw.how, raw.stderr) == (excess.how, excess.stderr) == ("exact", 0.0)
        assert raw.value == pytest.approx(loss, abs=1e-6)
        assert excess.value == pytest.approx(loss - floor, abs=1e-6)


def one_hot_of(position, rows):
    return np.eye(V)[ALL[rows, position]]


@pytest.mark.parametrize(("pretext", "encoder"), MODELS[2:], ids=lambda one: one.name)
def test_masked_loss_is_that_over_all_sequences_and_masks_within_its_error(pretext, encoder):
    _, checkpoints = pretrained(pretext, encoder)
    rows = {(row.step, row.quantity): row for row in measure(checkpoints, [])}
    floor = 0.0
    for position in range(LENGTH):  # .15 of 4 tokens is one
        others = np.delete(ALL, position, 1)
        joint = np.array([CHANCE[(others == one).all(1)] @ one_hot_of(position, (others == one).all(1)) for one in others])
        floor += cross_entropy(np.log(joint / joint.sum(1, keepdims=True)), position) / LENGTH
    for checkpoint in checkpoints:
        module, loss = checkpoint.load(), 0.0
        for position in range(LENGTH):
            x = torch.from_numpy(ALL).clone()
            x[:, position] = V
            scores = module.head(module.encoder(x, readout="all")[:, position])
            loss += cross_entropy(scores.double().log_softmax(-1).numpy(), position) / LENGTH
        raw, excess = (rows[checkpoint.step, name] for name in ("l_pre", "l_pre_excess"))
        assert abs(raw.value - loss) < 4 * raw.stderr
        assert excess.value == pytest.approx(raw.value - floor, abs=1e-9)
        assert loss > floor


@next_token
def test_the_hidden_state_is_read_off_the_probabilities_up_to_the_excess(pretext, encoder):
    """Theorem: with emission of full row rank, E* <= E|p - q|^2 / sigma^2 <= KL / sigma^2 for the state of either concept."""
    _, checkpoints = pretrained(pretext, encoder, sizes=(40, 4000), steps=(0, 20, 250))
    x, weights, state = contexts().support()
    emission = WORLD.model().emission[: WORLD.states]
    excess = {(row.run, row.step): row.value for row in measure(checkpoints, []) if row.quantity == "l_pre_excess"}
    padded = torch.cat([x, x[:, :1]], 1)  # any token to come: what is predicted of it does not depend on it
    p = WORLD.predictive(padded)[:, -1].numpy()
    (batch,) = batches(checkpoints, device="cpu", batch_size=512)
    losses = []
    for checkpoint, q in zip(checkpoints, batch.features(x, readout="probabilities").double().numpy(), strict=True):
        bound = hidden_state_bound(emission, p, q / q.sum(1, keepdims=True), weights.numpy())
        losses.append(squared_probe_loss(q, state.numpy(), weights.numpy()))
        assert losses[-1] <= bound.squared <= bound.kl
        least = np.linalg.svd(emission, compute_uv=False)[-1]
        assert bound.kl <= (LENGTH - 1) * excess[checkpoint.run, checkpoint.step] / least**2 + 1e-6  # one position of t - 1
    assert losses[-1] < 0.5 * losses[0]  # many sequences, trained


@models
def test_a_run_alone_gives_what_it_gives_in_a_group(pretext, encoder):
    runs, together = pretrained(pretext, encoder, sizes=(50, 2000))
    _, alone = pretrained(pretext, encoder)
    cells = readings(contexts(label="concept"))

    def values(checkpoints):
        rows = [row for row in measure(checkpoints, cells, n_pre=200) if row.run == runs[1].run and row.unit != "s"]
        return {(row.step, row.depth, row.readout, row.quantity): row.value for row in rows}

    found, wanted = values(alone), values(together)
    assert found.keys() == wanted.keys()
    for key, value in found.items():
        assert value == pytest.approx(wanted[key], rel=1e-3, abs=2e-5), key


@pytest.mark.parametrize(
    ("pretext", "encoder"),
    [
        (NextToken(128), Recurrent(8, 3, 128)),
        (NextToken(128), Transformer(8, 1, 2, 3, causal=True, vocabulary=128)),
        (MaskedTokens(128), Transformer(8, 1, 2, 3, vocabulary=128)),
    ],
    ids=lambda one: one.name,
)
def test_real_text_end_to_end(pretext, encoder):
    """Bytes that one half of the draws lacks are met in the other: no loss is infinite."""
    library = StandardLibrary(length=12)
    runs, checkpoints = pretrained(pretext, encoder, source=library, steps=(0, 40))
    target = replace(library, part="evaluation")
    cells = [
        Transfer(one, depth=depth, readout="mean")
        for one in (target, target.shift("domain", 1.0), target.shift("library", 0.5))
        for depth in (None, 1)
    ]
    rows = list(measure(checkpoints, cells, n_pre=20, n_fit=300, n_test=300))
    assert len(rows) == sum(n_rows(run, cells) for run in runs)
    assert all(np.isfinite(row.value) for row in rows)
    found = {(row.step, row.quantity): row for row in rows}
    assert found[40, "l_pre"].value < found[0, "l_pre"].value
    brackets = [row for row in rows if row.quantity == "l_adapt_gap"]
    assert len(brackets) == 2 * len(cells) and all(row.status == "ok" and row.value <= 1e-6 for row in brackets)
    assert len({row.target for row in brackets}) == 3 and {row.shift for row in brackets} == {"none", "domain", "library"}


@pytest.mark.parametrize("pretext", [NextToken(3), MaskedTokens(3)], ids=lambda one: one.name)
def test_a_token_that_the_fit_sample_lacks_costs_much_and_not_infinitely_much(pretext):
    """Features that say nothing: the best head is the tokens' frequencies."""

    def embed(x, readout=None):
        return torch.zeros(1, *x.shape, 2)

    def views(tokens):
        if isinstance(pretext, NextToken):
            return Sequences(torch.cat([tokens[:, :1], tokens], 1))
        return MaskedSequence(tokens, torch.zeros_like(tokens), tokens)

    fit = torch.tensor([[0], [0], [0], [1]])
    (bracket,) = pretext.profile(embed, views(fit), views(torch.tensor([[0], [2]])))
    share = one_hot(fit, 3).double().mean((0, 1))[:2]
    assert bracket.low == pytest.approx(float(-(share * share.log()).sum()), abs=1e-7)
    assert bracket.solved and 5 < bracket.high < 20
    assert bracket.low.status == "ok"
