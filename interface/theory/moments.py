"""Second moments of a population: all that squared losses of linear and semi-linear encoders need."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Moments(NamedTuple):
    """Moments of a centred *Gaussian* x with label y = beta'x + independent noise (E y = 0).

    covariance (d, d) of x; cross_covariance (d, d) between two views of one example, None where there are no views;
    cov_xy (d,) = E[x y]; var_y = E[y^2]. All float64.
    """

    covariance: Matrix
    cross_covariance: Matrix | None
    cov_xy: Matrix
    var_y: float
