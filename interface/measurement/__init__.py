"""Measurement: checkpoints in, rows out."""

from interface.adaptations.bracket import minimal_adaptation_loss as minimal_adaptation_loss
from interface.adaptations.bracket import replications as replications
from interface.measurement.calibrated import scale_profiled as scale_profiled
from interface.measurement.calibrated import temperature_calibrated as temperature_calibrated
from interface.measurement.covariance import draws_for_reliability as draws_for_reliability
from interface.measurement.covariance import loss_arrays as loss_arrays
from interface.measurement.covariance import loss_covariance as loss_covariance
from interface.measurement.covariance import paired_differences as paired_differences
from interface.measurement.covariance import read_arrays as read_arrays
from interface.measurement.covariance import reliability as reliability
from interface.measurement.covariance import write_arrays as write_arrays
from interface.measurement.curve import AdaptationCurve as AdaptationCurve
from interface.measurement.curve import adaptation_curve as adaptation_curve
from interface.measurement.description_length import SampleComplexity as SampleComplexity
from interface.measurement.description_length import minimum_description_length as minimum_description_length
from interface.measurement.description_length import sample_complexity as sample_complexity
from interface.measurement.description_length import surplus_description_length as surplus_description_length
from interface.measurement.measuring import measure as measure
from interface.measurement.measuring import n_rows as n_rows
from interface.measurement.population_loss import bernstein_interval as bernstein_interval
from interface.measurement.population_loss import pretraining_loss as pretraining_loss
from interface.measurement.rao_blackwell import excess_by_difference as excess_by_difference
from interface.measurement.rao_blackwell import rao_blackwell as rao_blackwell
from interface.measurement.transfer import Transfer as Transfer
