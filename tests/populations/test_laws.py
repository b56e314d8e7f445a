"""Laws over every population that `interface.populations` exports: a new one is tested before its author writes a test."""

import dataclasses
import hashlib
import json
import random

import numpy as np
import pytest
import torch

from interface import populations
from interface.core import Shift, fingerprint
from interface.populations import Examples, Pool, Population, digits

# Populations that cannot be made without arguments, and the identity of each one's default: stored runs bear it.
MADE = {"Pool": lambda: Pool(np.arange(24.0).reshape(8, 3), [0, 1, 2, 0, 1, 2, 0, 1], name="a pool")}
FINGERPRINTS = {
    "GaussianFactor": "fe433e4e75b2",
    "Glyphs": "f39a6939c952",
    "HiddenMarkov": "f71d703f5fa2",
    "Pool": "f688544b38ea",
    "digits": "fdd76d04bfd7",
    "Signals": "fd1317bb579a",
}

EXPORTED = sorted(
    (thing for thing in vars(populations).values() if isinstance(thing, type) and issubclass(thing, Population)),
    key=lambda kind: kind.__name__,
)
POPULATIONS = [MADE.get(kind.__name__, kind)() for kind in EXPORTED if kind is not Population] + [digits()]
SHIFTS = [(population, name) for population in POPULATIONS for name in population.shifts]
SHIFTED = [population.shift(name, 1.0) for population, name in SHIFTS]
N = 20_000


def named(population):
    return f"{population.instance}-{population.applied.name}"


every_population = pytest.mark.parametrize("population", POPULATIONS, ids=named)
every_population_and_shift = pytest.mark.parametrize("population", POPULATIONS + SHIFTED, ids=named)
every_shift = pytest.mark.parametrize(("source", "name"), SHIFTS, ids=[named(shifted) for shifted in SHIFTED])


def draw(population, n=N, seed=0, k=1):
    return population.views(n, k, torch.Generator().manual_seed(seed))


def has_views(population):
    try:
        draw(population, n=1, k=2)
    except ValueError as error:
        return "kernel" not in str(error)  # a refusal has to say what views would need
    return True


def counts(population, x):
    """How often each token stands in each sequence, (..., V)."""
    none = torch.zeros(*x.shape[:-1], population.vocabulary, dtype=torch.float64)
    return none.scatter_add(-1, x, torch.ones(x.shape, dtype=torch.float64))


def apart(population, a, b):
    """Distance of inputs (n, d) to others, (n,): squared, or the share of other tokens and the distance of their counts."""
    if population.vocabulary is None:
        return (a.double() - b.double()).square().sum(-1)
    return (a != b).double().mean(-1) + (counts(population, a) - counts(population, b)).abs().mean(-1)


def joint(population, examples):
    """Mean and variance of what a shift of any kind moves: x, x^2, the label, and products of x with the label."""
    x = examples.x.flatten(1).double()
    if population.vocabulary is not None:
        x = torch.cat([x, counts(population, examples.x[:, 0])], 1)
    labels = examples.y.double()[:, None] if population.n_classes is None else torch.eye(population.n_classes)[examples.y].double()
    with_one = torch.nn.functional.pad(labels, (0, 1), value=1.0)
    values = torch.cat([x, x.square(), torch.ones(len(x), 1)], 1)
    mean, square = ((values**power).T @ with_one**power / len(x) for power in (1, 2))
    return mean, square - mean.square()


def largest_z(population, first, second):
    """Largest difference of two samples' means of `joint`, in standard errors."""
    (a, of_a), (b, of_b) = joint(population, first), joint(population, second)
    error = (of_a / len(first.y) + of_b / len(second.y)).clamp_min(1e-24).sqrt()
    return float(((a - b).abs() / error).max())


def test_the_default_populations_are_exported():
    made = {type(population).__name__ for population in POPULATIONS}
    assert {"GaussianFactor", "Glyphs", "Pool", "Signals", "StandardLibrary"} <= made


@every_population_and_shift
def test_shapes_and_types(population):
    n, k = 7, 3 if has_views(population) else 1
    x, y = draw(population, n=n, k=k)
    assert isinstance(draw(population, n=2), Examples)
    assert x.shape[:2] == (n, k)
    assert x[0, 0].numel() == population.input_dim
    assert y.shape == (n,)
    assert torch.isfinite(x).all()
    assert np.prod(population.shape) == population.input_dim
    if population.vocabulary is not None:
        assert x.dtype == torch.int64
        assert 0 <= x.min() <= x.max() < population.vocabulary
    assert population.sample(n, torch.Generator().manual_seed(0)).x.shape == (n, *x.shape[2:])
    if population.n_classes is None:
        assert y.is_floating_point()
    else:
        assert y.dtype == torch.int64
        assert y.min() >= 0
        assert y.max() < population.n_classes


@every_population_and_shift
def test_the_same_seed_gives_the_same_sample(population):
    first, again, other = draw(population, n=600), draw(population, n=600), draw(population, n=600, seed=1)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, other.x)


@every_population_and_shift
def test_drawing_leaves_the_global_generator_alone(population):
    torch.manual_seed(3)
    before, numpys, pythons = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    draw(population, n=5)
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(numpys, np.random.get_state()[1])  # noqa: NPY002
    assert random.getstate() == pythons


@every_population
def test_views_differ_and_share_their_content(population):
    if not has_views(population):
        return
    x = draw(population, n=2_000, k=2).x.flatten(2)
    assert not torch.equal(x[:, 0], x[:, 1])
    own, strangers = apart(population, x[:, 0], x[:, 1]), apart(population, x[:, 0], x[:, 1].roll(1, 0))
    assert (strangers - own).mean() > 6 * (strangers - own).std() / len(x) ** 0.5


@every_population_and_shift
def test_exact_moments_are_those_of_samples(population):
    moments = population.moments()
    if moments is None:
        return
    x, y = draw(population, k=2)
    first, second, y = x[:, 0].double(), x[:, 1].double(), y.double()
    sampled = {"mean": (first, 0.0), "mean of y": (y, 0.0), "var_y": (y.square(), moments.var_y)}
    sampled["covariance"] = (first[:, :, None] * first[:, None, :], moments.covariance)
    sampled["cov_xy"] = (first * y[:, None], moments.cov_xy)
    if moments.cross_covariance is not None:
        sampled["cross_covariance"] = (first[:, :, None] * second[:, None, :], moments.cross_covariance)
    for what, (values, exact) in sampled.items():
        z = (values.mean(0) - torch.tensor(np.array(exact))) / (values.std(0) / len(values) ** 0.5)
        # 4 standard errors for one number; its Bonferroni counterpart for a whole matrix of them
        limit = 4.0 if z.numel() == 1 else 4.0 + 0.2 * np.log(z.numel())
        assert z.abs().max() < limit, what


@every_population_and_shift
def test_no_constant_predictor_is_better_than_the_bayes_risk(population):
    risk = population.bayes_risk()
    if risk is None:
        return
    y = draw(population).y
    assert risk.how == "exact"
    assert risk.status == "ok"
    assert risk >= 0
    if population.n_classes is None:
        assert risk <= y.var() * (1 + 5 * (2 / N) ** 0.5)
    else:
        assert risk <= np.log(population.n_classes)


@every_population_and_shift
def test_no_fitted_predictor_is_better_than_the_bayes_risk(population):
    risk = population.bayes_risk()
    if risk is None or population.vocabulary is not None:
        return
    (x, y), (new, truth) = (population.sample(N // 4, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    targets = y.double()[:, None] if population.n_classes is None else torch.eye(population.n_classes)[y].double()
    with_one = lambda inputs: torch.nn.functional.pad(inputs.double().flatten(1), (0, 1), value=1.0)  # noqa: E731
    predicted = with_one(new) @ torch.linalg.lstsq(with_one(x), targets).solution
    if population.n_classes is None:
        losses = (predicted[:, 0] - truth).square()
    else:
        losses = torch.nn.functional.cross_entropy(predicted, truth, reduction="none")
    assert losses.mean() > risk - 4 * losses.std() / len(losses) ** 0.5


@every_population
def test_a_shift_of_strength_zero_is_the_population_itself(population):
    for name in population.shifts:
        assert population.shift(name, 0.0) is population


@every_population
def test_a_shift_is_recorded_and_keeps_the_instance(population):
    assert population.applied == Shift()
    for name, kind in population.shifts.items():
        shifted = population.shift(name, 0.5)
        assert shifted.applied == Shift(name, 0.5, kind)
        assert shifted.instance == population.instance
        assert shifted.input_dim == population.input_dim
        assert fingerprint(shifted) not in {fingerprint(population), fingerprint(population.shift(name, 1.0))}


@every_population
def test_an_unknown_shift_or_strength_is_refused(population):
    with pytest.raises(ValueError, match="no such shift") as caught:
        population.shift("no such shift", 1.0)
    assert all(name in str(caught.value) for name in population.shifts)
    for name in population.shifts:
        for strength in (-0.1, 1.5, float("nan")):
            with pytest.raises(ValueError, match="strength"):
                population.shift(name, strength)


@every_shift
def test_a_shift_changes_the_distribution(source, name):
    n = 3_000
    ours, same, moved = draw(source, n, seed=1), draw(source, n, seed=2), draw(source.shift(name, 1.0), n, seed=2)
    assert largest_z(source, ours, same) < 6 < 8 < largest_z(source, ours, moved)


@every_shift
def test_a_stronger_shift_moves_an_example_further(source, name):
    """In x or in y, on average over examples of equal content. Running sums of x see how far a shape has been carried."""
    summed = lambda x: x if source.vocabulary else x[:, 0].flatten(1).cumsum(1)[:, None]  # noqa: E731
    origin = draw(source, n=1_500)
    moves = []
    for strength in (0.25, 0.5, 1.0):
        x, y = draw(source.shift(name, strength), n=1_500)
        of_y = (y - origin.y).square() if source.n_classes is None else (y != origin.y)
        moves.append(float((apart(source, summed(x)[:, 0], summed(origin.x)[:, 0]) + of_y).mean()))
    assert 0 < moves[0] <= moves[1] <= moves[2], moves


@every_population
def test_the_identity_is_stable(population):
    kind = type(population).__name__
    if kind == "StandardLibrary":  # it names the library of the Python that runs
        content = json.dumps({"corpus": population.corpus, "kind": kind}, separators=(",", ":"))
        expected = "f" + hashlib.sha256(content.encode()).hexdigest()[:11]
    else:
        expected = FINGERPRINTS.get(population.instance, FINGERPRINTS.get(kind))
    assert fingerprint(population) == expected
    with pytest.raises(dataclasses.FrozenInstanceError):
        population.applied = Shift("other", 1.0)
