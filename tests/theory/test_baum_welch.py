import numpy as np
import pytest

from interface.theory import (
    divergence,
    enumerated,
    filtered,
    fit_hidden_markov,
    hidden_markov_model,
    informativeness,
    squared_probe_loss,
)
from interface.theory.hidden_markov import HiddenMarkovModel

T = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]]
EMIT = [[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.1, 0.4, 0.4]]
TRUTH = hidden_markov_model(T, EMIT)


def sampled(model, n, length, rng):
    """(n, length) tokens by inversion, one step at a time."""
    state = (rng.random((n, 1)) > model.initial.cumsum()).sum(1)
    tokens = []
    for _ in range(length):
        tokens.append((rng.random((n, 1)) > model.emission[state].cumsum(1)).sum(1))
        state = (rng.random((n, 1)) > model.transition[state].cumsum(1)).sum(1)
    return np.stack(tokens, 1)


def test_likelihood_never_falls_and_reaches_that_of_the_truth():
    rng = np.random.default_rng(0)
    x, fresh = sampled(TRUTH, 60, 60, rng), sampled(TRUTH, 400, 60, rng)
    fits = [fit_hidden_markov(x, 3, np.random.default_rng(seed), 80) for seed in range(4)]
    assert all((np.diff(fit.log_likelihood) > -1e-9).all() for fit in fits)
    best = max(fits, key=lambda fit: fit.log_likelihood[-1])
    truth = filtered(TRUTH, x).log_likelihood.sum(1)
    assert best.log_likelihood[-1] > truth.mean()  # the maximum over a class that holds the truth
    assert best.log_likelihood[-1] == pytest.approx(filtered(best.model, x).log_likelihood.sum(1).mean(), abs=1e-9)
    lost = filtered(TRUTH, fresh).log_likelihood.sum(1) - filtered(best.model, fresh).log_likelihood.sum(1)
    free_parameters = 2 + 6 + 9
    assert 0 < lost.mean() < 3 * free_parameters / (2 * 60) + 4 * lost.std() / 20


def test_a_fit_to_the_population_recovers_it():
    x, weights, _ = enumerated(TRUTH, 5)
    fit = fit_hidden_markov(x, 3, np.random.default_rng(1), 300, weights=weights)
    assert fit.log_likelihood[-1] == pytest.approx(weights @ np.log(weights), abs=1e-6)
    smaller = fit_hidden_markov(x, 2, np.random.default_rng(1), 300, weights=weights)
    assert smaller.log_likelihood[-1] < fit.log_likelihood[-1] - 1e-3


def test_counts_of_equal_sequences_are_weights():
    x = np.array([[0, 1, 1], [1, 0, 0], [0, 1, 1]])
    repeated = fit_hidden_markov(x, 2, np.random.default_rng(0), 20)
    weighted = fit_hidden_markov(x[:2], 2, np.random.default_rng(0), 20, weights=[2.0, 1.0])
    np.testing.assert_allclose(repeated.log_likelihood, weighted.log_likelihood, rtol=1e-12)


def test_one_state_gives_the_token_frequencies():
    x = np.array([[0, 0, 2], [2, 0, 0]])
    fit = fit_hidden_markov(x, 1, np.random.default_rng(0), 2, vocabulary=4)
    np.testing.assert_allclose(fit.model.emission, [[4 / 6, 0, 2 / 6, 0]])


def with_state(model, x):
    """(k, h) joint probability of each sequence and the next state."""
    found = filtered(model, x)
    return np.exp(found.log_likelihood.sum(1))[:, None] * found.belief[:, -1]


@pytest.mark.parametrize("seed", range(8))
def test_informativeness_bounds_what_the_states_of_a_fit_cost(seed):
    """Risk of the fit's best predictor under the truth <= its risk under the fit, and back, each within L TV of the joint laws."""
    rng = np.random.default_rng(seed)
    x, weights, _ = enumerated(TRUTH, 4)
    noisy = rng.dirichlet(np.ones(3), 3)
    model = HiddenMarkovModel(TRUTH.initial, 0.8 * TRUTH.transition + 0.2 * noisy, 0.9 * TRUTH.emission + 0.1 * rng.random((3, 4)))
    model = model._replace(emission=model.emission / model.emission.sum(1, keepdims=True))
    truth, ours = with_state(TRUTH, x), with_state(model, x)
    found = informativeness(truth, ours[:, rng.permutation(3)])
    np.testing.assert_allclose(found, informativeness(truth, ours), rtol=1e-12)  # states have no names
    assert found.kappa == found.joint / found.tokens >= 1
    assert found.tokens <= np.sqrt(weights @ np.log(weights / ours.sum(1)) / 2)
    guess = lambda joint: np.eye(3)[joint.argmax(1)]  # noqa: E731
    risk = lambda joint: (truth * (1 - guess(joint))).sum()  # noqa: E731
    assert 0 <= risk(ours) - risk(truth) <= 2 * found.kappa * np.sqrt(weights @ np.log(weights / ours.sum(1)) / 2)


def test_informativeness_of_a_perfect_fit_is_one():
    x, _, _ = enumerated(TRUTH, 3)
    assert informativeness(with_state(TRUTH, x), with_state(TRUTH, x)) == (0.0, 0.0, 1.0)


def test_a_larger_latent_space_shows_the_state_at_least_as_well():
    x, weights, belief = enumerated(TRUTH, 4)
    excess, read = [], []
    for states in (1, 2, 3):
        fit = max(
            (fit_hidden_markov(x, states, np.random.default_rng(seed), 150, weights=weights) for seed in range(3)),
            key=lambda fit: fit.log_likelihood[-1],
        )
        q = filtered(fit.model, x).belief[:, -1]
        excess.append(weights @ np.log(weights) - fit.log_likelihood[-1])
        read.append(squared_probe_loss(q, belief, weights))
    assert excess[0] > excess[1] > excess[2] and read[0] > read[1] > read[2]
    assert excess[2] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0], [1]], 2), "t >= 2"),
        (([[0, -1]], 2), "integers >= 0"),
        (([[0, 1]], 0), "n_states"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_hidden_markov(*arguments, np.random.default_rng(0))
    with pytest.raises(ValueError, match="weights"):
        fit_hidden_markov([[0, 1]], 2, np.random.default_rng(0), weights=[1.0, 2.0])
    with pytest.raises(ValueError, match="sums to"):
        informativeness(np.full((2, 2), 0.25), np.full((2, 2), 0.3))
    assert divergence([1.0, 0.0], [0.0, 1.0]) == np.inf
