"""Populations p(x, y): what is sampled, shifted and, where possible, answered exactly."""

from interface.populations._base import Examples as Examples
from interface.populations._base import Population as Population
from interface.populations._base import Support as Support
from interface.populations.gaussian import GaussianFactor as GaussianFactor
from interface.populations.glyphs import Glyphs as Glyphs
from interface.populations.hidden_markov import HiddenMarkov as HiddenMarkov
from interface.populations.pool import ImageKernel as ImageKernel
from interface.populations.pool import Pool as Pool
from interface.populations.pool import digits as digits
from interface.populations.pool import read_arrow as read_arrow
from interface.populations.pool import read_idx as read_idx
from interface.populations.pool import read_images as read_images
from interface.populations.pool import read_npz as read_npz
from interface.populations.pool import read_texts as read_texts
from interface.populations.signals import Signals as Signals
from interface.populations.standard_library import StandardLibrary as StandardLibrary
