"""Every representation score in one place: NumPy and SciPy only, exact conventions, standard errors, statuses.

Arrays, torch tensors on any device or array-likes go in; an `Estimate` comes out.
"""

from interface.estimators._base import PairedStatistics, Statistics
from interface.estimators.alignment import alignment, uniformity
from interface.estimators.alpha_req import PowerLaw, alpha_req, power_law
from interface.estimators.canonical_correlation import pwcca, svcca
from interface.estimators.cka import cka, minibatch_cka
from interface.estimators.discrepancy import covariance_distance, linear_discrepancy
from interface.estimators.frechet import frechet, frechet_infinity
from interface.estimators.gbc import gbc
from interface.estimators.h_score import h_score
from interface.estimators.intrinsic_dimension import Scale, dimension_scan, gride, two_nn
from interface.estimators.leep import leep
from interface.estimators.lidar import lidar
from interface.estimators.logme import logme
from interface.estimators.mmd import mmd
from interface.estimators.mutual_knn import mutual_knn
from interface.estimators.n_leep import n_leep
from interface.estimators.nce import nce
from interface.estimators.neural_collapse import nc1, nc2, nc3, nc4
from interface.estimators.pactran import pactran
from interface.estimators.participation_ratio import nesum, participation_ratio, stable_rank
from interface.estimators.permutation import PermutationTest, permutation_test
from interface.estimators.procrustes import procrustes
from interface.estimators.proxy_a_distance import proxy_a_distance
from interface.estimators.rank_agreement import Agreement, RankAgreement, rank_agreement
from interface.estimators.rankme import effective_rank, rankme
from interface.estimators.regularized_h_score import ledoit_wolf_shrinkage, regularized_h_score
from interface.estimators.risk_decomposition import RiskDecomposition, risk_decomposition
from interface.estimators.selectivity import control_labels, selectivity
from interface.estimators.sliced_wasserstein import sliced_wasserstein
from interface.estimators.transrate import transrate
from interface.estimators.v_information import pointwise_v_information, v_information

__all__ = [
    "Agreement",
    "PairedStatistics",
    "PermutationTest",
    "PowerLaw",
    "RankAgreement",
    "RiskDecomposition",
    "Scale",
    "Statistics",
    "alignment",
    "alpha_req",
    "cka",
    "control_labels",
    "covariance_distance",
    "dimension_scan",
    "effective_rank",
    "frechet",
    "frechet_infinity",
    "gbc",
    "gride",
    "h_score",
    "ledoit_wolf_shrinkage",
    "leep",
    "lidar",
    "linear_discrepancy",
    "logme",
    "minibatch_cka",
    "mmd",
    "mutual_knn",
    "n_leep",
    "nc1",
    "nc2",
    "nc3",
    "nc4",
    "nce",
    "nesum",
    "pactran",
    "participation_ratio",
    "permutation_test",
    "pointwise_v_information",
    "power_law",
    "procrustes",
    "proxy_a_distance",
    "pwcca",
    "rank_agreement",
    "rankme",
    "regularized_h_score",
    "risk_decomposition",
    "selectivity",
    "sliced_wasserstein",
    "stable_rank",
    "svcca",
    "transrate",
    "two_nn",
    "uniformity",
    "v_information",
]
