"""Inequalities on random languages and random models, and the values of the reference language."""

import numpy as np
import pytest

from interface.theory import (
    bounded_probe_bound,
    box_probe_loss,
    divergence,
    entropy,
    enumerated,
    hidden_markov_model,
    hidden_state_bound,
    log_probe_loss,
    output_probe_bound,
    reconstruction_bound,
    redundancy_bound,
    squared_probe_loss,
    total_variation,
    truncated,
)
from interface.theory.hidden_markov import HiddenMarkovModel

T = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
EMIT = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.1, 0.4, 0.4]])
# order: bound on E*_sq from E|p - q|^2; least logistic loss of "the next state is the first" in the box of half-width 6; its bound
REFERENCE = {
    0: (0.20133155830501231, 0.5982695885852571, 2.8491637847330096),
    1: (0.048808331977135855, 0.5069983034591468, 1.67354080668547),
    2: (0.014034061623382938, 0.48238640010901246, 1.1162281248021793),
    3: (0.003917342498734092, 0.4750040858228222, 0.8165301605413513),
    4: (0.0009063994964434622, 0.4725034449512551, 0.6386731562748381),
    5: (0.0, 0.47172214050133676, 0.4717221721056537),
}


def random_language(rng, states=3, vocabulary=4, length=4):
    model = HiddenMarkovModel(
        rng.dirichlet(np.ones(states)), rng.dirichlet(np.ones(states), states), rng.dirichlet(np.ones(vocabulary), states)
    )
    return model, enumerated(model, length)


def imperfect(rng, p):
    """A language model: p blended with noise, somewhere between nearly exact and useless."""
    share = 10.0 ** rng.uniform(-4, 0)
    return (1 - share) * p + share * rng.dirichlet(np.ones(p.shape[1]), len(p))


@pytest.mark.parametrize("order", REFERENCE)
def test_reference_language(order):
    squared, in_box, limit = REFERENCE[order]
    model = hidden_markov_model(T, EMIT)
    x, weights, belief = enumerated(model, 5)
    p, q = belief @ EMIT, truncated(model, x, order)
    bound, excess = hidden_state_bound(EMIT, p, q, weights), weights @ divergence(p, q)
    assert bound.squared == pytest.approx(squared, rel=1e-9, abs=1e-15)
    assert bound.kl == pytest.approx(excess / 0.4764247747948274**2, rel=1e-9)
    observed = squared_probe_loss(q, belief, weights)
    assert observed <= bound.squared + 1e-12 <= bound.kl + 2e-12
    assert observed <= output_probe_bound(belief, p, q, weights) + 1e-9
    loss = box_probe_loss(q, belief[:, 0], weights, 6.0)
    assert loss == pytest.approx(in_box, abs=1e-9)
    optimal = box_probe_loss(p, belief[:, 0], weights, 6.0)
    assert optimal == pytest.approx(0.47172214050133576, abs=1e-9)
    assert bounded_probe_bound(optimal, 6.0, excess, 1.0) == pytest.approx(limit, abs=1e-6)  # sqrt of a KL of 1e-17
    assert loss <= bounded_probe_bound(optimal, 6.0, excess, 1.0) + 1e-9


def test_the_interface_bound_improves_on_the_inverse_of_the_emission():
    model = hidden_markov_model(T, EMIT)
    x, weights, belief = enumerated(model, 5)
    p, q = belief @ EMIT, truncated(model, x, 2)
    assert output_probe_bound(belief, p, q, weights) == pytest.approx(0.0240, abs=5e-5)
    assert hidden_state_bound(EMIT, p, q, weights).kl == pytest.approx(0.0254, abs=5e-5)


@pytest.mark.parametrize("seed", range(40))
def test_bounds_hold_for_random_languages_and_models(seed):
    rng = np.random.default_rng(seed)
    model, (_, weights, belief) = random_language(rng)
    p = belief @ model.emission
    q = imperfect(rng, p)
    hidden = squared_probe_loss(q, belief, weights)
    bound = hidden_state_bound(model.emission, p, q, weights)
    assert hidden <= bound.squared * (1 + 1e-9) <= bound.kl * (1 + 1e-8)
    task = rng.normal(size=(len(p), 2))  # a task that nothing about the language explains
    for target in (belief, task, np.exp(rng.normal(size=len(p)))):
        assert squared_probe_loss(q, target, weights) <= output_probe_bound(target, p, q, weights) + 1e-9
    positive, ratio = rng.random(len(p)), rng.uniform(0.2, 1.0, len(p))
    target_weights = weights / ratio / (weights / ratio).sum()
    gamma, excess = (weights / target_weights).min(), weights @ divergence(p, q)
    optimal = box_probe_loss(p, positive, target_weights, 3.0)
    assert box_probe_loss(q, positive, target_weights, 3.0) <= bounded_probe_bound(optimal, 3.0, excess, gamma) + 1e-9


def test_dependent_emissions_make_the_bound_vacuous_and_the_claim_false():
    """Two states that emit alike: the exactly optimal model does not show which of them comes next."""
    emission = np.array([[0.7, 0.1, 0.1, 0.1], [0.4, 0.4, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]])  # the middle one is the mean
    model = hidden_markov_model(T, emission)
    _, weights, belief = enumerated(model, 5)
    p = belief @ emission
    assert hidden_state_bound(emission, p, p, weights) == (np.inf, np.inf)
    assert squared_probe_loss(p, belief, weights) > 1e-3
    assert squared_probe_loss(p, belief, weights) <= output_probe_bound(belief, p, p, weights) + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_no_head_beats_what_the_representation_says(seed):
    """Data processing: L* of a log loss head >= H(y | h(x)) >= H(y | x), h being any map of the contexts to five codes."""
    rng = np.random.default_rng(seed)
    _, (_, weights, belief) = random_language(rng)
    code = rng.integers(5, size=len(weights))
    of_code = np.zeros((5, 3))
    np.add.at(of_code, code, weights[:, None] * belief)
    mass = of_code.sum(1)
    unknown = mass @ entropy(of_code / mass[:, None])
    linear = log_probe_loss(rng.normal(size=(5, 2))[code], belief, weights)
    full = log_probe_loss(np.eye(5)[code], belief, weights)
    assert full == pytest.approx(unknown, abs=1e-9)  # one-hot codes: the head is a table
    assert linear >= unknown - 1e-9
    assert unknown >= weights @ entropy(belief) - 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_two_views_that_carry_the_label(seed):
    """p(x, z, y) at random, y in 3 classes; near-independence of the views given y is mixed in."""
    rng = np.random.default_rng(seed)
    classes, of_x, of_z = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(6), 3), rng.dirichlet(np.ones(5), 3)
    joint = classes[:, None, None] * of_x[:, :, None] * of_z[:, None, :]
    share = rng.choice([0.0, 0.1, 0.5])
    joint = (1 - share) * joint + share * rng.dirichlet(np.ones(90)).reshape(3, 6, 5)
    p_x, p_z_x = joint.sum((0, 2)), joint.sum(0) / joint.sum((0, 2))[:, None]
    q = imperfect(rng, p_z_x)
    excess = p_x @ divergence(p_z_x, q)

    value = rng.normal(size=3)  # a real y
    of_xz = np.einsum("y,yxz->xz", value, joint) / joint.sum(0)
    given_z = np.einsum("y,yxz->z", value, joint) / joint.sum((0, 1))
    given_x = np.einsum("y,yxz->x", value, joint) / p_x
    gap = (joint.sum(0) * np.square(given_z - of_xz)).sum()
    assert squared_probe_loss(q, given_x, p_x) <= redundancy_bound(gap, np.ptp(given_z), excess) + 1e-12
    assert squared_probe_loss(p_z_x, given_x, p_x) <= redundancy_bound(gap) + 1e-12

    p_y_x = joint.sum(2).T / p_x[:, None]
    given_class = joint.sum(1) / joint.sum((1, 2))[:, None]  # E[one-hot z | y]
    dependence = p_x @ np.square(p_z_x - p_y_x @ given_class).sum(1)
    limit = reconstruction_bound(given_class, dependence, p_x @ np.square(q - p_z_x).sum(1))
    assert squared_probe_loss(q, p_y_x, p_x) <= limit + 1e-12
    if share == 0:
        assert dependence < 1e-25
        assert squared_probe_loss(p_z_x, p_y_x, p_x) < 1e-18


def test_total_variation_of_two_points():
    assert total_variation([0.2, 0.8], [0.5, 0.5]) == pytest.approx(0.3)
