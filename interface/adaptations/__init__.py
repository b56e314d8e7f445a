"""Adaptations: families of predictors on top of frozen features, with two-sided estimates of their least loss."""

from interface.adaptations._base import Predictor as Predictor
from interface.adaptations._base import Probe as Probe
from interface.adaptations._heads import SoftmaxPredictor as SoftmaxPredictor
from interface.adaptations._heads import SquaredPredictor as SquaredPredictor
from interface.adaptations._limits import bounded_lower_limit as bounded_lower_limit
from interface.adaptations._limits import bounded_upper_limit as bounded_upper_limit
from interface.adaptations._tuning import Tuned as Tuned
from interface.adaptations._tuning import Tuning as Tuning
from interface.adaptations.ball import LinearBall as LinearBall
from interface.adaptations.ball import standardised as standardised
from interface.adaptations.bias_only import BiasOnly as BiasOnly
from interface.adaptations.bracket import minimal_adaptation_loss as minimal_adaptation_loss
from interface.adaptations.bracket import replications as replications
from interface.adaptations.curvature import LocalCertificate as LocalCertificate
from interface.adaptations.curvature import local_certificate as local_certificate
from interface.adaptations.fine_tuning import FineTuning as FineTuning
from interface.adaptations.from_scratch import FromScratch as FromScratch
from interface.adaptations.gradient_probe import GradientProbe as GradientProbe
from interface.adaptations.linear import LinearProbe as LinearProbe
from interface.adaptations.lora import LoRA as LoRA
from interface.adaptations.mlp import MLPProbe as MLPProbe
from interface.adaptations.neighbours import NearestNeighbours as NearestNeighbours
from interface.adaptations.partial_tuning import PartialTuning as PartialTuning
from interface.adaptations.probe_then_fine_tuning import ProbeThenFineTuning as ProbeThenFineTuning
from interface.adaptations.ridge import Ridge as Ridge
