"""The filter against enumeration by hand, and the reference language: three states, four tokens, contexts of five."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from interface.theory import (
    box_probe_loss,
    divergence,
    entropy,
    entropy_rate_sandwich,
    enumerated,
    filtered,
    hidden_markov_model,
    log_probe_loss,
    masked_predictive,
    mixture,
    next_token_entropies,
    predictive,
    smoothed,
    squared_probe_loss,
    stationary,
    truncated,
)
from interface.theory.hidden_markov import HiddenMarkovModel

T = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
EMIT = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.1, 0.4, 0.4]])
T2 = np.array([[0.15, 0.05, 0.8], [0.8, 0.1, 0.1], [0.15, 0.8, 0.05]])

# k: cross-entropy, excess, E|p - q|^2, E*_sq of the next state on q, log loss of it on ln q, sd of the hard loss, of the
# Rao-Blackwellised one, of the divergence; an independent implementation's values
LADDER = {
    0: (1.3469963917655403, 0.0785031773850973, 0.0456983510654451, 0.15122549595410076, 1.0789922078, 0.2802585904813457),
    1: (
        1.2885538825247291,
        0.020060668144286274,
        0.011078542819555653,
        0.03839543398599367,
        0.9184833988,
        0.4497236435972427,
    ),
    2: (
        1.2742624916554375,
        0.005769277274994436,
        0.003185459251091871,
        0.01125846271909344,
        0.8761595651,
        0.4786169611889113,
    ),
    3: (
        1.270144500084386,
        0.0016512857039432738,
        0.0008891606177285607,
        0.0032136393964497553,
        0.8639217674,
        0.486562316892352,
    ),
    4: (
        1.2688803344036068,
        0.00038712002316394767,
        0.00020573507075956896,
        0.0007510342844842658,
        0.8601377957,
        0.4889204337,
    ),
    5: (1.2684932143804428, 0.0, 0.0, 0.0, 0.8589341894, 0.489618479445506),
}
SANDWICH = [
    (1.0127627359246998, 1.3469963917655396),
    (1.1864875827118035, 1.288553882524729),
    (1.2459882329118823, 1.274262491655437),
    (1.2618717226601803, 1.270144500084386),
    (1.266331107249495, 1.2688803344036068),
    (1.2676784385407263, 1.2684932143804428),
    (1.2681011783687888, 1.2683660945071726),
]
# strength: cross-entropy of the source's model on the target, floor there, E*_sq of the target's states, min p_S / p_T
SHIFTED = {
    0.25: (1.3499466395256092, 1.3258403178161613, 0.00623865467973825, 0.3714040497580522),
    0.5: (1.4085520079771734, 1.3429828831859245, 0.008790397154770688, 0.17753847504666592),
    1.0: (1.48380541368656, 1.2833359505507052, 0.09519801281658052, 0.033371629522050666),
}
# length: cross-entropy of the mixture, of the model that knows the concept, entropy and error of the concept given the tokens,
# log loss of the concept on ln p(next), squared excess of it on p(next)
CONCEPTS = {
    1: (1.3411058548228514, 1.2960055450774193, 0.6903538098674992, 0.4657142857142855, 0.6903538098674991, 0.0),
    2: (1.325636466199647, 1.2815416353741944, 0.645253500122067, 0.36350857142857146, 0.690743268279287, 0.04445314379996662),
    4: (1.3121558793953119, 1.276251398679862, 0.563511126242178, 0.2980078502857143, 0.6840848533872639, 0.10932407312907105),
    6: (1.3065940585352482, 1.2758137050441138, 0.4942662270174825, 0.24614351222664288, 0.679249306409951, 0.16181002213119589),
}


def random_model(rng, states=3, vocabulary=3):
    return HiddenMarkovModel(
        rng.dirichlet(np.ones(states)), rng.dirichlet(np.ones(states), states), rng.dirichlet(np.ones(vocabulary), states)
    )


def by_paths(model, x, length):
    """p(x, path of length + 1 states) of one sequence by multiplying along every path: {path: probability}."""
    initial, transition, emission = model
    found = {}
    for path in itertools.product(range(len(initial)), repeat=length + 1):
        chance = initial[path[0]]
        for s in range(length):
            chance *= (1.0 if x[s] is None else emission[path[s], x[s]]) * transition[path[s], path[s + 1]]
        found[path] = chance
    return found


def marginal(paths, position, states):
    law = np.array([sum(chance for path, chance in paths.items() if path[position] == state) for state in range(states)])
    return law / law.sum()


@pytest.mark.parametrize("seed", range(5))
def test_filter_smoother_and_mask_agree_with_sums_over_paths(seed):
    rng = np.random.default_rng(seed)
    model, x = random_model(rng), rng.integers(3, size=(4, 4))
    found, smooth, ahead = filtered(model, x), smoothed(model, x), predictive(model, x)
    for row, sequence in enumerate(x):
        paths = by_paths(model, list(sequence), 4)
        assert np.exp(found.log_likelihood[row].sum()) == pytest.approx(sum(paths.values()), rel=1e-12)
        np.testing.assert_allclose(found.belief[row, -1], marginal(paths, 4, 3), atol=1e-12)
        np.testing.assert_allclose(ahead[row, 2], marginal(by_paths(model, sequence[:2], 2), 2, 3) @ model.emission, atol=1e-12)
        for position in range(5):
            np.testing.assert_allclose(smooth[row, position], marginal(paths, position, 3), atol=1e-12)
        for position in range(4):
            hidden = [None if s == position else token for s, token in enumerate(sequence)]
            masked = marginal(by_paths(model, hidden, 4), position, 3) @ model.emission
            np.testing.assert_allclose(masked_predictive(model, x, position)[row], masked, atol=1e-12)


def test_enumeration_is_a_law_and_leaves_out_what_cannot_occur():
    model = hidden_markov_model([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    sequences = enumerated(model, 3)
    assert sequences.p.sum() == pytest.approx(1.0, abs=1e-15)
    assert sequences.x.tolist() == [[0, 1, 0], [0, 2, 0], [1, 0, 1], [1, 0, 2], [2, 0, 1], [2, 0, 2]]
    np.testing.assert_allclose(sequences.belief, filtered(model, sequences.x).belief[:, -1])
    with pytest.raises(ValueError, match="sequence 1 has probability 0"):
        filtered(model, [[0, 1], [0, 0]])
    with pytest.raises(ValueError, match="20000"):
        enumerated(hidden_markov_model(T, EMIT), 8)


def test_the_entropies_of_the_tokens_add_up_to_that_of_the_sequence():
    model = random_model(np.random.default_rng(7))
    assert next_token_entropies(model, 4)[:4].sum() == pytest.approx(entropy(enumerated(model, 4).p), rel=1e-12)


def test_a_long_sequence_does_not_underflow():
    x = np.random.default_rng(0).integers(4, size=(2, 3000))
    found = filtered(hidden_markov_model(T, EMIT), x)
    assert np.isfinite(found.log_likelihood).all()
    np.testing.assert_allclose(found.belief.sum(2), 1.0, atol=1e-12)
    np.testing.assert_allclose(smoothed(hidden_markov_model(T, EMIT), x).sum(2), 1.0, atol=1e-12)


def test_reference_language():
    model = hidden_markov_model(T, EMIT)
    np.testing.assert_allclose(model.initial, [2 / 7, 3 / 7, 2 / 7], atol=1e-12)
    np.testing.assert_allclose(entropy_rate_sandwich(model, 6), SANDWICH, rtol=1e-9)
    np.testing.assert_allclose(
        masked_predictive(model, [[0, 1, 2, 3, 0]], 2)[0],
        [0.34173699969431964, 0.3542809335397392, 0.15199103338297063, 0.15199103338297063],
        rtol=1e-9,
    )
    sequences = enumerated(model, 5)
    assert sequences.p @ (1 - np.square(sequences.belief).sum(1)) == pytest.approx(0.5018357285356954, rel=1e-9)
    assert sequences.p @ entropy(sequences.belief) == pytest.approx(0.8585116915179714, rel=1e-9)


@pytest.mark.parametrize("order", LADDER)
def test_ladder_of_truncated_models(order):
    cross_entropy, excess, distance, hidden_squared, hidden_log, hard = LADDER[order]
    model = hidden_markov_model(T, EMIT)
    x, weights, belief = enumerated(model, 5)
    p, q = belief @ EMIT, truncated(model, x, order)
    losses = -np.log(q)
    mean = weights @ (p * losses).sum(1)
    assert mean == pytest.approx(cross_entropy, rel=1e-9)
    assert mean == pytest.approx(next_token_entropies(model, 5)[order], rel=1e-12)  # H(next | last k) of a stationary model
    assert weights @ divergence(p, q) == pytest.approx(excess, rel=1e-9, abs=1e-15)
    assert weights @ np.square(p - q).sum(1) == pytest.approx(distance, rel=1e-9, abs=1e-15)
    assert squared_probe_loss(q, belief, weights) == pytest.approx(hidden_squared, rel=1e-9, abs=1e-15)
    assert log_probe_loss(np.log(q), belief, weights) == pytest.approx(hidden_log, abs=1e-6)
    assert np.sqrt(weights @ (p * losses**2).sum(1) - mean**2) == pytest.approx(hard, rel=1e-9)


def test_a_linear_head_on_the_output_reads_any_function_of_the_state():
    """With emission of full row rank, a = O^+ mu gives a'p = mu'E[state | context] in every context."""
    x, _, belief = enumerated(hidden_markov_model(T, EMIT), 5)
    mu = np.array([1.0, -0.3, -0.7])
    a = np.linalg.pinv(EMIT) @ mu
    np.testing.assert_allclose(a, [1.7833333333333325, -0.38333333333333264, -1.05, -1.05], rtol=1e-9)
    np.testing.assert_allclose(belief @ EMIT @ a, belief @ mu, atol=1e-12)
    assert len(x) == 1024


@pytest.mark.parametrize("strength", SHIFTED)
def test_shifted_transitions(strength):
    cross_entropy, floor, hidden, ratio = SHIFTED[strength]
    source, target = (hidden_markov_model(moves, EMIT) for moves in (T, (1 - strength) * T + strength * T2))
    x, weights, belief = enumerated(target, 5)
    p, q = belief @ EMIT, filtered(source, x).belief[:, -1] @ EMIT
    assert -weights @ (p * np.log(q)).sum(1) == pytest.approx(cross_entropy, rel=1e-9)
    assert weights @ entropy(p) == pytest.approx(floor, rel=1e-9)
    assert squared_probe_loss(q, belief, weights) == pytest.approx(hidden, rel=1e-9)
    assert (enumerated(source, 5).p / weights).min() == pytest.approx(ratio, rel=1e-9)


@pytest.mark.parametrize("length", CONCEPTS)
def test_an_optimal_model_shows_the_concept_in_its_belief_and_not_in_its_output(length):
    mixed, knowing, unknown, error, log_loss, squared = CONCEPTS[length]
    models = [hidden_markov_model(moves, EMIT) for moves in (T, T2)]
    joint = mixture([0.5, 0.5], models)
    _, weights, belief = enumerated(joint, length)
    p, concept = belief @ joint.emission, belief.reshape(-1, 2, 3).sum(2)
    assert weights @ entropy(p) == pytest.approx(mixed, rel=1e-9)
    assert np.mean([next_token_entropies(model, length)[-1] for model in models]) == pytest.approx(knowing, rel=1e-9)
    assert weights @ entropy(concept) == pytest.approx(unknown, rel=1e-9)
    assert 1 - weights @ concept.max(1) == pytest.approx(error, rel=1e-9)
    assert log_probe_loss(np.log(p), concept, weights) == pytest.approx(log_loss, abs=1e-6)
    assert squared_probe_loss(p, concept, weights) == pytest.approx(squared, rel=1e-9, abs=1e-15)
    assert squared_probe_loss(belief, concept, weights) < 1e-20


def test_the_log_probe_is_the_minimum_that_a_generic_minimiser_finds():
    rng = np.random.default_rng(4)
    z, target, weights = rng.normal(size=(40, 3)), rng.dirichlet(np.ones(3), 40), rng.dirichlet(np.ones(40))

    def loss(w):
        logits = np.concatenate([z, np.ones((40, 1))], 1) @ w.reshape(4, 3)
        return -weights @ (target * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1)

    found = log_probe_loss(z, target, weights)
    assert (found.how, found.status) == ("exact", "ok")
    assert found == pytest.approx(minimize(loss, np.zeros(12), tol=1e-12).fun, abs=1e-9)
    assert log_probe_loss(z @ rng.normal(size=(3, 3)) + 5, target, weights) == pytest.approx(found, abs=1e-12)  # affine maps
    assert log_probe_loss([[-1.0], [1.0]], np.eye(2), [0.5, 0.5]) < 1e-9  # separable: the infimum is 0


def test_the_box_probe_is_the_minimum_over_a_grid():
    rng = np.random.default_rng(5)
    z, positive, weights = rng.random((30, 2)), rng.random(30), rng.dirichlet(np.ones(30))
    grid = np.linspace(-2, 2, 201)
    losses = [
        weights @ (positive * np.logaddexp(0, -(z @ v)) + (1 - positive) * np.logaddexp(0, z @ v))
        for v in itertools.product(grid, grid)
    ]
    assert min(losses) - 1e-3 < box_probe_loss(z, positive, weights, 2.0) <= min(losses) + 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hidden_markov_model([[0.5, 0.6], [0.5, 0.5]], np.eye(2)), "row 0"),
        (lambda: hidden_markov_model(np.eye(2), np.eye(3)), "shape"),
        (lambda: stationary(np.eye(2)), "more than one law"),
        (lambda: filtered(hidden_markov_model(T, EMIT), [[0, 4]]), "tokens 0 to 3"),
        (lambda: filtered(hidden_markov_model(T, EMIT), [[0.5, 1.0]]), "integers"),
        (lambda: truncated(hidden_markov_model(T, EMIT), [[0, 1]], 3), "order"),
        (lambda: masked_predictive(hidden_markov_model(T, EMIT), [[0, 1]], 2), "position"),
        (lambda: mixture([0.7, 0.7], [hidden_markov_model(T, EMIT)] * 2), "prior"),
        (lambda: squared_probe_loss(np.eye(2), [1.0, 2.0], [0.5, 0.6]), "weights"),
        (lambda: log_probe_loss(np.eye(2), [[0.5, 0.6], [1.0, 0.0]], [0.5, 0.5]), "law"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
