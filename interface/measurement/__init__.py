"""Measurement: checkpoints in, rows out."""

from interface.adaptations.bracket import minimal_adaptation_loss as minimal_adaptation_loss
from interface.measurement.measuring import measure as measure
from interface.measurement.measuring import n_rows as n_rows
from interface.measurement.transfer import Transfer as Transfer
