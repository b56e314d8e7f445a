"""An independent solver for small softmax problems: damped Newton on all coefficients, in NumPy."""

import numpy as np
from scipy.special import logsumexp


def softmax_objective(x, targets, weight, intercept, ridge=0.0):
    """Mean cross-entropy plus the penalty, straight from the definition."""
    logits = x @ weight.T + intercept
    return float(np.mean(np.sum(targets * (logsumexp(logits, axis=1, keepdims=True) - logits), 1)) + ridge / 2 * np.sum(weight**2))


def softmax_minimum(x, targets, ridge=0.0):
    """Least mean cross-entropy (+ ridge / 2 |W|²) of an affine softmax, to about 1e-13."""
    n, k = targets.shape
    mean, (_, spread, basis) = x.mean(0), np.linalg.svd(x - x.mean(0), full_matrices=False)
    basis = basis[spread > 1e-7 * spread.max()].T  # coordinates of unit variance; the penalty follows them
    scale = spread[: basis.shape[1]] / np.sqrt(n)
    u = np.column_stack([(x - mean) @ basis / scale, np.ones(n)])
    penalty = np.tile(np.append(ridge / scale**2, 0.0), (k, 1))

    def objective(w):
        z = u @ w.T
        lse = logsumexp(z, axis=1)
        return np.mean(lse - np.sum(targets * z, 1)) + 0.5 * np.sum(penalty * w * w), np.exp(z - lse[:, None])

    w = np.zeros_like(penalty)
    value, p = objective(w)
    for _ in range(200):
        gradient = (p - targets).T @ u / n + penalty * w
        blocks = -np.einsum("ia,ib,ij,ik->ajbk", p, p, u, u) / n
        for a in range(k):
            blocks[a, :, a, :] += (u * p[:, a : a + 1]).T @ u / n + np.diag(penalty[a])
        hessian = blocks.reshape(w.size, w.size)
        step = -np.linalg.lstsq(hessian, gradient.ravel(), rcond=1e-13)[0].reshape(w.shape)
        length = 1.0
        while True:
            moved, q = objective(w + length * step)
            if moved <= value or length < 1e-12:
                break
            length /= 2
        decrease = value - moved
        if moved <= value:
            w, value, p = w + length * step, moved, q
        if decrease < 1e-15:
            break
    return float(value)
