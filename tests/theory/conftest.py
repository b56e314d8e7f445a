"""The reference world of these tests, built by hand: six dimensions, diagonal covariance, two content and two private factors."""

import numpy as np
import pytest

from interface.theory.moments import Moments

CONTENT, PRIVATE, NOISE, TAU = (2.0, 1.0), (4.0, 3.0), 0.5, 0.3


@pytest.fixture
def reference():
    """phi -> Moments; y = cos(phi) (1, .5)'c + sin(phi) (.5, .5)'p + .3 xi on x = c + p + .5 e in coordinates 01, 23, all."""

    def build(phi, rotation=0.0, same_slope=None):
        directions = np.eye(6)[:, :2] * np.cos(rotation) + np.eye(6)[:, 4:] * np.sin(rotation)  # content turns towards fresh axes
        private = np.eye(6)[:, 2:4]
        shared = directions @ np.diag(CONTENT) @ directions.T
        sigma = shared + private @ np.diag(PRIVATE) @ private.T + NOISE**2 * np.eye(6)
        wc, wp = np.cos(phi) * np.array([1, 0.5]), np.sin(phi) * np.array([0.5, 0.5])
        if same_slope is not None:
            cov_xy = sigma @ same_slope
            return Moments(sigma, shared, cov_xy, float(same_slope @ cov_xy))
        cov_xy = directions @ np.diag(CONTENT) @ wc + private @ np.diag(PRIVATE) @ wp
        var_y = float(wc @ np.diag(CONTENT) @ wc + wp @ np.diag(PRIVATE) @ wp + TAU**2)
        return Moments(sigma, shared, cov_xy, var_y)

    return build


@pytest.fixture
def random_moments():
    """(rng, d, q) -> Moments of a random factor world without any structure along the axes."""

    def build(rng, d=7, q=3):
        content, private = rng.normal(size=(d, q)), rng.normal(size=(d, 3))
        shared = content @ content.T
        sigma = shared + private @ private.T + 0.3 * np.eye(d)
        beta = rng.normal(size=d)
        cov_xy = sigma @ beta
        return Moments(sigma, shared, cov_xy, float(beta @ cov_xy + 0.2))

    return build


@pytest.fixture
def sampled():
    """(moments, n, rng) -> x1, x2 (n, d): two views with these covariances."""

    def draw(moments, n, rng):
        d = len(moments.covariance)
        joint = np.block([[moments.covariance, moments.cross_covariance], [moments.cross_covariance, moments.covariance]])
        both = rng.normal(size=(n, 2 * d)) @ np.linalg.cholesky(joint).T
        return both[:, :d], both[:, d:]

    return draw
