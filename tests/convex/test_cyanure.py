"""An independent certified solver agrees with ours to the sum of both gaps."""

import numpy as np
import pytest

from interface.convex import fit_softmax
from tests.convex.reference import softmax_objective
from tests.convex.test_softmax import labelled, one_hot

pytest.importorskip("cyanure", reason="cyanure, the independent solver, is not installed")


@pytest.mark.parametrize("seed", range(20))
def test_both_minima_agree_to_the_sum_of_both_gaps(seed, capfd):
    from cyanure.estimators import Classifier

    rng = np.random.default_rng(seed)
    classes, ridge = int(rng.integers(3, 6)), 10 ** rng.uniform(-4, 0)
    x, y = labelled(n=200, d=5, classes=classes, signal=rng.uniform(0, 2), condition=10 ** rng.uniform(0, 1), seed=seed)
    model = Classifier(
        loss="multiclass-logistic", penalty="l2", lambda_1=ridge, tol=1e-8, max_iter=20_000, verbose=False, n_threads=1
    )
    model.fit(x, y)
    weight = np.asarray(model.coef_).T
    theirs = softmax_objective(x, one_hot(y, classes), weight, np.asarray(model.intercept_).ravel(), ridge)
    relative_gap = 1e-8  # cyanure stops at this part of its objective
    fit = fit_softmax(x, y, ridge=ridge)
    assert fit.status == ["ok"]
    assert abs(theirs - float(fit.value)) <= float(fit.gap) + relative_gap * theirs + 1e-9
