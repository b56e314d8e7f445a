"""Adaptations: families of predictors on top of frozen features, with two-sided estimates of their least loss."""

from interface.adaptations._base import Predictor as Predictor
from interface.adaptations._base import Probe as Probe
from interface.adaptations.bracket import minimal_adaptation_loss as minimal_adaptation_loss
from interface.adaptations.linear import LinearProbe as LinearProbe
from interface.adaptations.linear import SoftmaxPredictor as SoftmaxPredictor
from interface.adaptations.linear import SquaredPredictor as SquaredPredictor
