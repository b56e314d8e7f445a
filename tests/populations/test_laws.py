"""Laws over every population that `interface.populations` exports: a new one is tested before its author writes a test."""

import dataclasses

import numpy as np
import pytest
import torch

from interface import populations
from interface.core import Shift, fingerprint
from interface.populations import Examples, Pool, Population

# Populations that cannot be made without arguments, and the identity of each one's default: stored runs bear it.
MADE = {"Pool": lambda: Pool(np.arange(24.0).reshape(8, 3), [0, 1, 2, 0, 1, 2, 0, 1], name="a pool")}
FINGERPRINTS = {"GaussianFactor": "fe433e4e75b2", "Glyphs": "f39a6939c952", "Pool": "f688544b38ea"}

EXPORTED = sorted(
    (thing for thing in vars(populations).values() if isinstance(thing, type) and issubclass(thing, Population)),
    key=lambda kind: kind.__name__,
)
POPULATIONS = [MADE.get(kind.__name__, kind)() for kind in EXPORTED if kind is not Population]
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


def joint(population, examples):
    """What a shift of any kind moves: x, x^2 and their products with the label, (n, features)."""
    x = examples.x.flatten(1).double()
    labels = examples.y.double()[:, None] if population.n_classes is None else torch.eye(population.n_classes)[examples.y].double()
    products = (x[:, :, None] * labels[:, None, :]).flatten(1)
    return torch.cat([x, x.square(), labels, products], 1)


def largest_z(population, first, second):
    """Largest difference of two samples' means of `joint`, in standard errors."""
    a, b = joint(population, first), joint(population, second)
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return float(((a.mean(0) - b.mean(0)).abs() / error.clamp_min(1e-12)).max())


def test_the_default_populations_are_exported():
    assert {"GaussianFactor", "Glyphs", "Pool"} <= {type(population).__name__ for population in POPULATIONS}


@every_population_and_shift
def test_shapes_and_types(population):
    n, k = 7, 3 if has_views(population) else 1
    x, y = draw(population, n=n, k=k)
    assert isinstance(draw(population, n=2), Examples)
    assert x.shape[:2] == (n, k)
    assert x[0, 0].numel() == population.input_dim
    assert y.shape == (n,)
    assert torch.isfinite(x).all()
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
    before = torch.random.get_rng_state()
    draw(population, n=5)
    assert torch.equal(before, torch.random.get_rng_state())


@every_population
def test_views_differ_and_share_their_content(population):
    if not has_views(population):
        return
    x = draw(population, n=2_000, k=2).x.flatten(2)
    assert not torch.equal(x[:, 0], x[:, 1])
    own = (x[:, 0] - x[:, 1]).square().sum(-1)
    strangers = (x[:, 0] - x[:, 1].roll(1, 0)).square().sum(-1)
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


@every_population
def test_the_identity_is_stable(population):
    assert fingerprint(population) == FINGERPRINTS[type(population).__name__]
    with pytest.raises(dataclasses.FrozenInstanceError):
        population.applied = Shift("other", 1.0)
