"""Convex problems solved to a proven gap, many at a time."""

from interface.convex.lbfgs import Minimum as Minimum
from interface.convex.lbfgs import minimize as minimize
from interface.convex.softmax import SoftmaxFit as SoftmaxFit
from interface.convex.softmax import fit_softmax as fit_softmax
from interface.convex.squared import SquaredFit as SquaredFit
from interface.convex.squared import fit_squared as fit_squared
