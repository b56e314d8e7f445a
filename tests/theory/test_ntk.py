"""Fine-tuning in a ball: reference values, both sides against attacks, and the linearised problem against a brute-force one."""

import numpy as np
import pytest
from scipy.optimize import minimize

from interface.theory import bayes_loss, head_loss, linear_embedding, probe_loss
from interface.theory.ntk import fine_tuned_loss, fine_tuning_bounds, linearised_loss

# the reference world at phi = pi / 4, the two leading principal components and their best head: radius, L*_NTK, L*_FT, looser bound
REFERENCE = [
    (0.0, 1.2732579185520363, 1.2732579185520363, 1.2732579185520360),
    (0.05, 1.2065044083791854, 1.2062095658554808, 1.2008499737222650),
    (0.1, 1.1421279233674382, 1.1402608731624410, 1.1202022790450890),
    (0.2, 1.0204932766983053, 1.0102239236443090, 0.9388904899409075),
    (0.4, 0.8055969266529510, 0.7589618378533460, 0.5367412804986492),
    (0.8, 0.4882876103423142, 0.3582138656664245, 0.2843690296631471),
    (1.6, 0.2843690296631471, 0.2843690296631471, 0.2843690296631471),
]


def loss(h, w, moments):
    slope = w.T @ h
    return moments.var_y - 2 * slope @ moments.cov_xy + slope @ moments.covariance @ slope


@pytest.fixture
def probed(reference):
    """(moments, head, weight): principal components 2 and 3 of the reference world and the best head on them."""
    moments = reference(np.pi / 4)
    w = np.eye(6)[2:4]
    return moments, np.linalg.solve(w @ moments.covariance @ w.T, w @ moments.cov_xy), w


@pytest.mark.parametrize(("radius", "ntk", "found", "looser"), REFERENCE)
def test_reference_values(probed, radius, ntk, found, looser):
    moments, h, w = probed
    bounds = fine_tuning_bounds(h, w, moments, radius)
    assert bounds.linearised == pytest.approx(ntk, rel=1e-8)
    assert bounds.upper == pytest.approx(found, abs=1e-4)
    bayes = bayes_loss(moments)
    assert max(bounds.looser, bayes) == pytest.approx(looser, rel=1e-8)  # the reference is cut off at the Bayes risk
    assert bounds.looser - 1e-12 <= bounds.lower <= bounds.upper + 1e-12 and bounds.lower >= bayes - 1e-12
    if 0 < radius < 0.8:
        assert bounds.lower > bounds.looser + 1e-6  # using the Bayes risk is strictly tighter


def random_case(rng, random_moments, *, zero_head=False):
    moments = random_moments(rng)
    r = int(rng.integers(1, 4))
    w = rng.normal(size=(r, 7)) / np.sqrt(7)
    return moments, np.zeros(r) if zero_head else rng.normal(size=r), w, float(np.exp(rng.uniform(np.log(0.02), np.log(1.5))))


def test_no_attack_gets_below_the_lower_side(random_moments):
    rng = np.random.default_rng(0)
    for attack in range(200):
        moments, h, w, radius = random_case(rng, random_moments, zero_head=attack % 10 == 0)
        bounds = fine_tuning_bounds(h, w, moments, radius)
        points = rng.normal(size=(300, len(h) + w.size))
        points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
        reached = min(loss(h + p[: len(h)], w + p[len(h) :].reshape(w.shape), moments) for p in points)
        tolerance = 1e-10 * moments.var_y
        assert bounds.lower <= bounds.upper + tolerance and bounds.looser <= bounds.lower + tolerance
        assert bounds.lower <= reached + tolerance
        assert bounds.upper <= reached + tolerance  # 300 blind points find nothing better than the search
        assert bounds.upper <= loss(h, w, moments) + tolerance


def test_a_general_solver_in_the_ball_finds_no_lower_point(random_moments):
    rng = np.random.default_rng(1)
    for _ in range(8):
        moments, h, w, radius = random_case(rng, random_moments)

        def objective(p, moments=moments, h=h, w=w):
            return loss(h + p[: len(h)], w + p[len(h) :].reshape(w.shape), moments)

        inside = {"type": "ineq", "fun": lambda p, radius=radius: radius**2 - p @ p}
        start = rng.normal(size=len(h) + w.size)
        other = minimize(objective, 0.5 * radius * start / np.linalg.norm(start), constraints=inside, method="SLSQP")
        if np.linalg.norm(other.x) <= radius * (1 + 1e-9):
            assert fine_tuned_loss(h, w, moments, radius) <= other.fun + 1e-4 * moments.var_y
            assert fine_tuning_bounds(h, w, moments, radius).lower <= other.fun + 1e-9 * moments.var_y


@pytest.mark.parametrize("zero_head", [False, True])
def test_the_linearised_problem_by_brute_force(random_moments, zero_head):
    rng = np.random.default_rng(2)
    for _ in range(5):
        moments, h, w, radius = random_case(rng, random_moments, zero_head=zero_head)

        def objective(p, moments=moments, h=h, w=w, radius=radius):
            p = p * min(1.0, radius / np.linalg.norm(p))
            dh, dw = p[: len(h)], p[len(h) :].reshape(w.shape)
            slope = w.T @ h + w.T @ dh + dw.T @ h  # linear in (dh, dw)
            return moments.var_y - 2 * slope @ moments.cov_xy + slope @ moments.covariance @ slope

        best = min(minimize(objective, rng.normal(size=len(h) + w.size), method="BFGS").fun for _ in range(3))
        assert linearised_loss(h, w, moments, radius) == pytest.approx(best, rel=1e-4)
        assert linearised_loss(h, w, moments, radius) <= best + 1e-9 * moments.var_y


def test_the_profile_over_radii_falls_from_the_given_head_to_the_class_optimum(probed):
    moments, h, w = probed
    profile = [fine_tuning_bounds(h, w, moments, radius) for radius in np.linspace(0, 3, 13)]
    for side in ("linearised", "upper", "lower"):
        assert (np.diff([getattr(bounds, side) for bounds in profile]) <= 1e-9).all()
    given = float(probe_loss(linear_embedding(w, moments), moments))
    assert [profile[0].lower, profile[0].upper] == pytest.approx([given, given], rel=1e-9)
    assert profile[-1].upper == pytest.approx(bayes_loss(moments), rel=1e-6)  # without a budget nothing is left of pretraining


def test_arguments():
    moments = linear_world()
    with pytest.raises(ValueError, match="radius is -1"):
        linearised_loss([1.0], [[1.0, 0.0]], moments, -1)
    with pytest.raises(ValueError, match=r"allowed: \(r,\) and \(r, 2\)"):
        fine_tuning_bounds([1.0, 2.0], [[1.0, 0.0]], moments, 1.0)


def linear_world():
    from interface.theory.moments import Moments

    return Moments(np.eye(2), None, np.array([1.0, 1.0]), 2.5)


def test_the_loss_of_a_given_head(random_moments):
    rng = np.random.default_rng(3)
    moments = random_moments(rng)
    weights = rng.normal(size=(5, 3, 7))
    embedding = linear_embedding(weights, moments)
    heads, offsets = rng.normal(size=(5, 3)), rng.normal(size=5)
    expected = [loss(h, w, moments) + b**2 for h, w, b in zip(heads, weights, offsets, strict=True)]
    np.testing.assert_allclose(head_loss(embedding, moments, heads, offsets), expected, rtol=1e-12)
    assert (head_loss(embedding, moments, heads, offsets) >= probe_loss(embedding, moments)).all()
    with pytest.raises(ValueError, match="weight has shape"):
        head_loss(embedding, moments, heads[:, :2])
