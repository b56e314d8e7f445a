import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from interface.adaptations import LinearBall, LinearProbe, NearestNeighbours
from interface.checkpoints import from_states
from interface.core import fingerprint
from interface.encoders import MLP, LinearEncoder
from interface.measurement import Transfer, measure, n_rows
from interface.populations import GaussianFactor, Glyphs, Pool
from interface.pretexts import Autoencoding, FixedMask, InfoNCE, MaskedPrediction, SpectralContrastive, Supervised
from interface.seeds import generator
from interface.theory import applies, band
from interface.training import Adam, Pretraining, pretrain

WALL = ("train_s", "measure_s")


def gaussian(pretext, encoder, *, n=2000, steps=(0, 40, 400), lr=3e-3, index=0, seed=0):
    return Pretraining(GaussianFactor(index=index), pretext, encoder, n, Adam(lr), steps, seed, views=pretext.n_views)


def glyphs(pretext, *, steps=(0, 60), lr=1e-3, index=0, n=200):
    return Pretraining(Glyphs(index=index), pretext, MLP(16, 4), n, Adam(lr), steps, views=4)


def gaussian_cells(world):
    return [Transfer(world), Transfer(world.shift("misalignment", 1.0)), Transfer(world.shift("covariate", 1.0))]


def values(rows):
    return {
        (r.run, r.step, r.target, r.replicate, r.quantity): (r.value, r.stderr, r.n, r.how, r.status)
        for r in rows
        if r.quantity not in WALL
    }


@pytest.mark.parametrize("pretext", [Autoencoding(), FixedMask(), SpectralContrastive()], ids=lambda p: p.name)
@pytest.mark.parametrize("encoder", [LinearEncoder(3), MLP(20, 3, bias=False)], ids=lambda e: e.name)
def test_exact_world_announced_rows_and_the_band(pretext, encoder):
    """The headline: every trained encoder's L*_adapt lies inside the band that its excess L_pre allows."""
    runs = [gaussian(pretext, encoder, n=n, seed=i) for i, n in enumerate((32, 2000))]
    cells = gaussian_cells(runs[0].source)
    rows = list(measure(list(pretrain(runs)), cells))
    assert len(rows) == sum(n_rows(run, cells) for run in runs) == len({(r.run, r.step, r.target, r.quantity) for r in rows})
    linear = isinstance(encoder, LinearEncoder)
    moments = runs[0].source.moments()
    operator = pretext.operator(moments)
    beyond = () if linear else operator.beyond
    assert applies(pretext.name, linear_encoder=linear, beyond=not linear).holds
    target = operator.target(moments.cov_xy)
    excess = {(r.run, r.step): r.value for r in rows if r.quantity == "l_pre_excess"}
    adapted = [r for r in rows if r.quantity == "l_adapt" and r.shift == "none"]
    assert len(adapted) == 6 and all(r.how == "exact" and r.unit == "squared" for r in adapted)
    for row in adapted:
        ends = band(operator.S, target, 3, excess[row.run, row.step], beyond=beyond)
        loss = row.value - (moments.var_y - target @ target)
        assert ends.low - 1e-6 <= loss <= ends.high + 1e-6, (row.step, float(ends.low), loss, float(ends.high))
        assert excess[row.run, row.step] >= -1e-9
    assert min(excess.values()) < 0.5 * max(excess.values())  # training moved along the band


def test_exact_adaptation_is_what_a_large_sample_gives():
    run = gaussian(Autoencoding(), MLP(20, 3, bias=False))
    checkpoint = list(pretrain([run]))[-1]
    for cell in gaussian_cells(run.source):
        (row,) = (r for r in measure([checkpoint], [cell]) if r.quantity == "l_adapt")
        x, y = cell.target.sample(200_000, generator("large"))
        z = checkpoint.embed(checkpoint.load(), x).double().numpy()
        design = np.c_[z, np.ones(len(z))]
        residual = y.double().numpy() - design @ np.linalg.lstsq(design, y.double().numpy(), rcond=None)[0]
        assert abs(np.mean(residual**2) - row.value) < 4 * np.std(residual**2) / len(z) ** 0.5


def test_sampled_world_announced_rows_solved_brackets_and_their_order():
    runs = [glyphs(p) for p in (Autoencoding(), MaskedPrediction(), InfoNCE(), Supervised())]
    cells = [Transfer(Glyphs()), Transfer(Glyphs().shift("random_label", 1.0))]
    rows = list(measure(list(pretrain(runs)), cells, n_fit=600, n_test=600))
    assert len(rows) == sum(n_rows(run, cells) for run in runs)
    found = {(r.run, r.step, r.shift, r.quantity): r for r in rows}
    for run, step, shift, quantity in found:
        if quantity == "l_adapt_gap":
            low, high = (found[run, step, shift, q].value for q in ("l_adapt_lcb", "l_adapt_ucb"))
            assert low < high and found[run, step, shift, quantity].value <= 1e-6
            assert found[run, step, shift, "l_adapt_lcb"].status == "approximate"  # an unbounded probe is never certified
        if quantity == "l_adapt" and shift == "random_label":
            low, high = (found[run, step, shift, q].value for q in ("l_adapt_lcb", "l_adapt_ucb"))
            assert low < math.log(10) < high  # nothing can be learnt: the optimum is chance
    bayes = [r for r in rows if r.quantity == "l_adapt_bayes"]
    assert len(bayes) == 4 and all(r.value == pytest.approx(math.log(10)) and r.step == 0 for r in bayes)
    assert {r.status for r in rows if r.quantity == "l_pre_profiled" and r.pretext == "InfoNCE"} <= {
        "profile_class_differs", "crossed",
    }  # fmt: skip


def test_a_row_does_not_depend_on_what_is_measured_with_it():
    runs = [glyphs(Autoencoding(), lr=lr, n=n) for lr in (1e-3, 3e-3) for n in (50, 200)]
    cells = [Transfer(Glyphs()), Transfer(Glyphs().shift("inversion", 1.0))]
    checkpoints = list(pretrain(runs))
    together = values(measure(checkpoints, cells, n_fit=500, n_test=500))
    alone = values(measure(list(pretrain(runs[2:3])), cells[1:], n_fit=500, n_test=500))
    cells_alone = [key for key in alone if key[2] is not None]
    assert len(cells_alone) == 2 * 6
    for key in alone:
        assert alone[key][0] == pytest.approx(together[key][0], rel=1e-5, abs=2e-6), key
        assert alone[key][2:] == together[key][2:]


def test_features_are_bitwise_those_of_the_run_alone():
    from interface.measurement.batch import batches

    runs = [glyphs(Autoencoding(), lr=lr) for lr in (1e-3, 2e-3, 3e-3)]
    x = Glyphs().sample(300, generator("x")).x
    (together,) = batches(list(pretrain(runs)), device="cpu", batch_size=64)
    (alone,) = batches(list(pretrain(runs[1:2])), device="cpu", batch_size=64)
    places = [i for i, c in enumerate(together.checkpoints) if c.run == runs[1].run]
    assert torch.equal(together.features(x)[places], alone.features(x))


class Foreign(nn.Module):
    """A model that knows nothing of this package."""

    def __init__(self):
        super().__init__()
        self.body, self.classifier = nn.Linear(6, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.classifier(torch.tanh(self.body(x)))


def foreign_data(n=3000):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 6, generator=g)
    return x, (x[:, 0] + 0.5 * torch.randn(n, generator=g) > 0).long()


def test_a_users_checkpoints_and_pool():
    torch.manual_seed(0)
    model, (x, y) = Foreign(), foreign_data()
    blind = {k: torch.zeros_like(v) for k, v in model.state_dict().items()}
    states = {0: blind, 7: model.state_dict()}

    def pre_loss(module):
        nats = nn.functional.cross_entropy(module(x), y, reduction="none")
        return nats, torch.full_like(nats, 2.0)

    checkpoints = from_states(model, states, run="theirs", embed=lambda m, x: m.body(x), lr=0.1, origin="a zoo")
    rows = list(measure(checkpoints, [Transfer(Pool(x, y, name="toy"))], pre_loss=pre_loss, pre_unit="nats/token"))
    found = {(r.step, r.quantity): r for r in rows}
    assert found[0, "l_pre"].value == pytest.approx(math.log(2) / 2) and found[0, "l_pre"].unit == "nats/token"
    assert found[0, "l_adapt_low"].value == pytest.approx(math.log(2), abs=5e-3)  # blind features: the label's entropy
    assert found[7, "l_adapt_ucb"].value < found[0, "l_adapt_lcb"].value  # a random projection already knows more
    assert found[7, "l_adapt"].n == 1000 and found[7, "l_adapt"].source is None and found[7, "l_adapt"].lr == 0.1
    assert "a zoo" in found[7, "l_adapt"].spec


def test_the_error_of_a_ratio_is_that_of_the_delta_method():
    from interface.measurement.pretraining import ratio_loss

    rng = np.random.default_rng(0)
    spread = []
    for _ in range(400):
        counts = rng.integers(1, 9, size=300).astype(float)
        nats = counts * 1.5 + rng.normal(size=300) * counts**0.5
        spread.append(ratio_loss(lambda _, n=nats, c=counts: (torch.tensor(n), torch.tensor(c)), nn.Identity()))
    assert np.std(spread) == pytest.approx(np.mean([e.stderr for e in spread]), rel=0.15)
    assert abs(np.mean(spread) - 1.5) < 4 * np.std(spread) / 20


@pytest.mark.parametrize("counts", [torch.tensor([1.0, 0.0]), torch.tensor([1.0]), torch.tensor([1.0, float("nan")])])
def test_a_pre_loss_that_makes_no_sense_is_refused(counts):
    model, (x, y) = Foreign(), foreign_data(300)
    checkpoints = from_states(model, {0: model.state_dict()}, run="theirs", embed=lambda m, x: m.body(x))
    with pytest.raises(ValueError, match="pre_loss"):
        list(measure(checkpoints, [Transfer(Pool(x, y, name="toy"))], pre_loss=lambda m: (torch.ones(2), counts)))


def test_what_cannot_be_measured_is_named():
    model, (x, y) = Foreign(), foreign_data(300)
    cell = Transfer(Pool(x, y, name="toy"))
    with pytest.raises(ValueError, match="empty"):
        list(measure([], [cell]))
    with pytest.raises(ValueError, match="the same cell"):
        list(measure(from_states(model, {0: model.state_dict()}, run="r"), [cell, cell]))
    with pytest.raises(ValueError, match="'blind' has no labels"):
        list(measure(from_states(model, {0: model.state_dict()}, run="r"), [Transfer(Pool(x, name="blind"))]))
    broken = {k: torch.full_like(v, float("nan")) for k, v in model.state_dict().items()}
    rows = list(measure(from_states(model, {3: broken}, run="r"), [cell]))
    assert {row.status for row in rows if row.quantity.startswith("l_")} == {"diverged"}
    with pytest.raises(ValueError, match=r"allowed: a tensor \(n, features\)"):
        list(measure(from_states(model, {0: model.state_dict()}, run="r", embed=lambda m, x: m(x).sum()), [cell]))


def test_transfers_are_records():
    cell = Transfer(Glyphs(), LinearProbe(), replicate=2)
    assert dataclasses.replace(cell) == cell and cell.key()[-1] == 2


@pytest.mark.parametrize("field", ["n_labels", "depth"])
def test_a_cell_without_labels_or_layers_is_refused(field):
    with pytest.raises(ValueError, match=f"{field} is 0"):
        Transfer(Glyphs(), **{field: 0})


def test_a_cell_with_fewer_labels_than_a_probe_needs_is_refused():
    with pytest.raises(ValueError, match=r"n_labels is 15; allowed for NearestNeighbours: None or an integer >= 16"):
        Transfer(Glyphs(), NearestNeighbours(), n_labels=15)
    with pytest.raises(ValueError, match=r"n_labels is 1; allowed for LinearProbe: None or an integer >= 2"):
        Transfer(Glyphs(), n_labels=1)
    assert Transfer(Glyphs(), NearestNeighbours(k=1), n_labels=2).adaptation.fewest_labels == 2
    assert Transfer(Glyphs(), NearestNeighbours(), n_labels=16).n_labels == 16


def scaled_features(checkpoint, factor):
    """The checkpoint with features in other units."""
    module = copy.deepcopy(checkpoint.load())
    with torch.no_grad():
        for parameter in (module.encoder.output.weight, module.encoder.output.bias):
            parameter.mul_(factor)
    return dataclasses.replace(checkpoint, load=lambda: module)


def test_a_ball_is_certified_and_does_not_see_the_units_of_features():
    run = glyphs(Autoencoding(hidden=8))
    cells = [Transfer(Glyphs(), LinearBall()), Transfer(Glyphs().shift("inversion", 1.0), LinearBall())]
    cells.append(Transfer(Glyphs(), LinearBall(), n_labels=60))
    checkpoint = list(pretrain([run]))[-1]
    first, other = (
        {(r.shift, r.n_labels, r.quantity): r for r in measure([c], cells, n_pre=200, n_fit=600, n_test=600)}
        for c in (checkpoint, scaled_features(checkpoint, 1000.0))
    )
    for shift in ("none", "inversion"):
        row, low = (first[shift, None, f"l_adapt_{side}"] for side in ("lcb", "low"))
        assert row.status == "ok" and 0 < row.value <= low.value < math.log(10)
    for key, row in first.items():
        if key[2].startswith("l_adapt"):
            assert other[key].value == pytest.approx(row.value, rel=1e-3, abs=1e-5), key
            assert other[key].status == row.status


def test_a_balls_scale_is_that_of_draws_that_nobody_labels():
    """A user's features in a pool: by hand, on the thirds."""
    model, (x, y) = Foreign(), foreign_data(900)
    pool = Pool(x, y, name="toy")
    checkpoints = from_states(model, {0: model.state_dict()}, run="theirs", embed=lambda m, x: m.body(x))
    found = {r.quantity: r for r in measure(checkpoints, [Transfer(pool, LinearBall())])}
    pre, fit, test = pool.thirds(0)
    with torch.no_grad():
        z = [model.body(part.x).double() for part in (pre, fit, test)]
    z_fit, z_test = ((part - z[0].mean(0)) / z[0].std(0, correction=0) for part in z[1:])
    bracket = LinearBall().bracket((z_fit, fit.y), (z_test, test.y))
    assert found["l_adapt_low"].value == pytest.approx(float(bracket.low), abs=1e-6)
    assert found["l_adapt_lcb"].value == pytest.approx(bracket.lower_limit, abs=1e-6)
    assert found["l_adapt_lcb"].status == "ok"


def test_a_source_that_moved_is_another_family_and_its_own_domain_is_in_domain():
    plain, turned = Glyphs(), Glyphs().shift("rotation", 1.0)
    runs = [Pretraining(source, Autoencoding(), MLP(4, 2), 50, steps=(0,)) for source in (plain, turned)]
    rows = list(measure(list(pretrain(runs)), [Transfer(plain), Transfer(turned)], n_pre=200, n_fit=100, n_test=100))
    found = {(row.source, row.target): (row.shift, row.strength) for row in rows if row.quantity == "l_adapt"}
    assert found == {
        ("Glyphs", fingerprint(plain)): ("none", 0.0),
        ("Glyphs", fingerprint(turned)): ("rotation", 1.0),
        ("Glyphs+rotation", fingerprint(plain)): ("from rotation", 1.0),
        ("Glyphs+rotation", fingerprint(turned)): ("none", 0.0),
    }
    assert {row.instance for row in rows} == {"Glyphs-0"}
