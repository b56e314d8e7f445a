"""Whether a tuned encoder sits at a local minimum: the gradient and the extreme curvatures of its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from interface.adaptations._task import Head, embedded, like, losses_of, smoothing
from interface.adaptations._tuning import Tuned
from interface.convex._base import as_tensor
from interface.core import Estimate

PRECISION = 1e-6  # of an eigenvalue, relative


@dataclass(frozen=True)
class LocalCertificate:
    """First and second order of what tuning minimises on one sample, over the encoder's parameters and the head.

    A gradient of 0 and a smallest curvature > 0 prove a strict *local* minimum, and nothing about the least loss of the family.

    Args:
        gradient_norm: Euclidean norm, in nats (or squared units of the label) per unit of the parameters.
        smallest, largest: extreme eigenvalues of the Hessian, in nats (or squared units) per squared unit; -inf or inf with the
            status "not_converged" where the Lanczos iteration did not settle. They depend on how the network is parametrised.
    """

    gradient_norm: Estimate
    smallest: Estimate
    largest: Estimate


def local_certificate(tuned: Tuned, x: Any, y: Any, *, problem: int = 0) -> LocalCertificate:
    """The local certificate of one tuned problem on a sample, by Lanczos on Hessian-vector products in float64.

    Args:
        tuned: from `Tuning.tune`.
        x: (n, ...) inputs; y: (n,) labels, of the kind that it was tuned on.
        problem: which of its E problems.

    Raises:
        ValueError: if there is no such problem, or it diverged.

    Source: Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994); the iteration is ARPACK's.
    """
    if not 0 <= problem < len(tuned.status):
        raise ValueError(f"local_certificate: problem is {problem!r}; allowed: 0 to {len(tuned.status) - 1}")
    if tuned.status[problem] == "diverged":
        raise ValueError(f"local_certificate: problem {problem} diverged, so that its loss has no gradient")
    one = tuned.part(problem, problem + 1)
    trainable = {name for name, _ in tuned.encoder.named_parameters()}
    states = {name: value.double() if value.is_floating_point() else value for name, value in one.states.items()}
    names = [name for name in states if name in trainable]
    free = [value.detach().double().requires_grad_() for value in (*(states[name] for name in names), *one.head)]
    inputs, labels = like(as_tensor(x, "x"), free[-1]).unsqueeze(0), as_tensor(y, "y").to(free[-1].device).unsqueeze(0)
    z = embedded(tuned.encoder, {**states, **dict(zip(names, free, strict=False))}, inputs, tuned.stackable)
    share = smoothing(labels.shape[1], tuned.n_classes)
    loss = losses_of(Head(free[-2], free[-1]), z, labels, tuned.n_classes, share).mean()
    slopes = torch.autograd.grad(loss, free, create_graph=True, materialize_grads=True)
    gradient = torch.cat([slope.flatten() for slope in slopes])

    def product(vector: np.ndarray) -> np.ndarray:
        along = torch.from_numpy(np.ascontiguousarray(vector.reshape(-1))).to(gradient)
        return _flat(torch.autograd.grad(gradient @ along, free, retain_graph=True, materialize_grads=True))

    size = len(gradient)
    hessian = LinearOperator((size, size), matvec=product, dtype=np.float64)
    return LocalCertificate(
        Estimate(float(gradient.detach().norm()), how="plug_in", n=len(labels[0])),
        _extreme(hessian, "SA", -np.inf, len(labels[0])),
        _extreme(hessian, "LA", np.inf, len(labels[0])),
    )


def _extreme(hessian: LinearOperator, which: str, unknown: float, n: int) -> Estimate:
    start = np.random.default_rng(0).normal(size=hessian.shape[0])
    try:
        found = eigsh(hessian, k=1, which=which, v0=start, tol=PRECISION, return_eigenvectors=False)
    except ArpackNoConvergence:
        return Estimate(unknown, how="plug_in", n=n, status="not_converged")
    return Estimate(float(found[0]), how="plug_in", n=n)


def _flat(values: tuple[Tensor, ...]) -> np.ndarray:
    return torch.cat([value.detach().flatten() for value in values]).cpu().numpy()
