"""Convex problems solved to a proven gap, many at a time."""

from interface.convex.lbfgs import Minimum as Minimum
from interface.convex.lbfgs import minimize as minimize
from interface.convex.softmax import SoftmaxFit as SoftmaxFit
from interface.convex.softmax import fit_softmax as fit_softmax
from interface.convex.softmax_ball import SoftmaxBallFit as SoftmaxBallFit
from interface.convex.softmax_ball import fit_softmax_ball as fit_softmax_ball
from interface.convex.squared import SquaredFit as SquaredFit
from interface.convex.squared import fit_squared as fit_squared
from interface.convex.squared_ball import fit_squared_ball as fit_squared_ball
from interface.convex.streamed import Streamed as Streamed
from interface.convex.streamed import fit_softmax_streamed as fit_softmax_streamed
