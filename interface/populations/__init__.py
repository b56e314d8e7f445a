"""Populations p(x, y): what is sampled, shifted and, where possible, answered exactly."""

from interface.populations._base import Examples as Examples
from interface.populations._base import Population as Population
from interface.populations.gaussian import GaussianFactor as GaussianFactor
from interface.populations.glyphs import Glyphs as Glyphs
from interface.populations.pool import Pool as Pool
