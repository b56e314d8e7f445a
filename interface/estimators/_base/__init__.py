"""What every estimator stands on: input checks, streaming sums, spectra and standard errors."""

from interface.estimators._base.dependence import neighbour_dependence
from interface.estimators._base.inputs import (
    Array,
    Codes,
    class_codes,
    is_tensor,
    matrix,
    numpy_of,
    one_of,
    paired,
    positive,
    real_targets,
    require_finite,
    two_samples,
    vector,
)
from interface.estimators._base.moments import Moments
from interface.estimators._base.paired_statistics import PairedMoments, PairedStatistics
from interface.estimators._base.predictors import log_expected, probabilities
from interface.estimators._base.projection import Projection, project
from interface.estimators._base.samples import BLOCKS, Sample, jackknife, kept_rows, rowwise, sample, scored
from interface.estimators._base.spectra import EPS, Spectrum, centre, from_gram, rank, spectrum, variances
from interface.estimators._base.statistics import Statistics

__all__ = [
    "BLOCKS",
    "EPS",
    "Array",
    "Codes",
    "Moments",
    "PairedMoments",
    "PairedStatistics",
    "Projection",
    "Sample",
    "Spectrum",
    "Statistics",
    "centre",
    "class_codes",
    "from_gram",
    "is_tensor",
    "jackknife",
    "kept_rows",
    "log_expected",
    "matrix",
    "neighbour_dependence",
    "numpy_of",
    "one_of",
    "paired",
    "positive",
    "probabilities",
    "project",
    "rank",
    "real_targets",
    "require_finite",
    "rowwise",
    "sample",
    "scored",
    "spectrum",
    "two_samples",
    "variances",
    "vector",
]
