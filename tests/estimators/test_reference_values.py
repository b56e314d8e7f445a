"""Every public implementation's value on stored inputs, to 1e-8; LogME to 1e-6 of the exact profile likelihood.

Left out: values that are faults of the implementation (round-off inverted or taken the logarithm of, as said below) and
strings, which are its crashes: there our value must be finite, or have a status.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from interface import estimators as es

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "expected.json").read_text())
ROUND_OFF = {  # (case, method): the reference inverts round-off, or fits a line to its logarithm
    ("onehot_perfect", "hscore.tllib"),
    ("constant_and_duplicate_feature", "alpha_req.SirNader.ols_loglog.start1_end10"),
    ("rank_deficient", "alpha_req.SirNader.stringer_weighted.trange(0,10)"),
    ("rank_deficient", "alpha_req.SirNader.stringer_weighted.trange(2,10)"),
    ("rank_deficient", "alpha_req.SirNader.ols_loglog.start1_end10"),
}
LABELLED = {
    "logme.thuml_LogME.fixed_point": lambda x, y: es.logme(x, y, convention="fixed_point"),
    "logme.thuml_LogME.icml": lambda x, y: es.logme(x, y, convention="icml"),
    "logme.tllib": lambda x, y: es.logme(x, y, convention="tllib"),
    "hscore.tllib": lambda x, y: es.h_score(x, y, convention="tllib"),
    "hscore.google_stable_transfer(numpy-shim;elementwise-bug)": lambda x, y: es.h_score(x, y, convention="google"),
    "hscore_regularized.tllib": lambda x, y: es.regularized_h_score(x, y, convention="tllib"),
    "transrate.tllib.eps1e-4": lambda x, y: es.transrate(x, y, convention="tllib"),
    "transrate.tllib.eps1.0": lambda x, y: es.transrate(x, y, eps=1.0, convention="tllib"),
    "transrate.secret_hammer(trace-normalised;class-weighted)": lambda x, y: es.transrate(x, y, convention="secret_hammer"),
    "gbc.google_stable_transfer.spherical(numpy-shim)": lambda x, y: es.gbc(x, y, convention="google"),
    "gbc.google_stable_transfer.diagonal(numpy-shim)": lambda x, y: es.gbc(x, y, convention="google", covariance="diagonal"),
    "gbc.secret_hammer.spherical(unbiased-var)": lambda x, y: es.gbc(x, y, convention="secret_hammer"),
    "nleep.google_stable_transfer.5C(sklearn-GMM-full,seed123)": lambda x, y: es.n_leep(x, y, convention="google", seeds=[123]),
}
UNLABELLED = {
    "ledoitwolf_shrinkage.sklearn": es.ledoit_wolf_shrinkage,
    "rankme.rankme_reprod.eps1e-7": es.rankme,
    "rankme.stable_pretraining.eps1e-5": lambda x: es.rankme(x, convention="stable_pretraining"),
    "rankme.SirNader.noeps(=effective_rank,Roy-Vetterli)": es.effective_rank,
    "alpha_req.SirNader.stringer_weighted.trange(0,10)": lambda x: es.alpha_req(x, first=1, last=10, convention="stringer"),
    "alpha_req.SirNader.stringer_weighted.trange(2,10)": lambda x: es.alpha_req(x, first=3, last=10, convention="stringer"),
    "alpha_req.SirNader.ols_loglog.start1_end10": lambda x: es.alpha_req(x, first=1, last=10),
    "NESum=sum(lam)/lam_max (covariance, centred)": es.nesum,
    "effective_rank_uncentred_positive_sv_only": es.effective_rank,
    "participation_ratio=(sum lam)^2/sum lam^2": es.participation_ratio,
}


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"{name}.npz") as archive:
        return dict(archive)


def holds(found: float, expected: float | str, rtol: float = 1e-8, atol: float = 1e-13) -> None:
    if isinstance(expected, str):  # the reference crashes or says NaN
        assert np.isfinite(found) or found.status != "ok"
    else:
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


FEATURES = [
    (case, method)
    for group in ("features", "independent_formula(NOT a peer)")
    for case, values in EXPECTED[group].items()
    for method in values
    if method in LABELLED | UNLABELLED and (case, method) not in ROUND_OFF
]


@pytest.fixture(scope="module")
def features():
    return load("features")


@pytest.mark.parametrize(("case", "method"), FEATURES)
def test_features(features, case, method):
    x, y = features[f"{case}__X"], features[f"{case}__y"]
    group = "features" if method in EXPECTED["features"].get(case, {}) else "independent_formula(NOT a peer)"
    found = LABELLED[method](x, y) if method in LABELLED else UNLABELLED[method](x)
    holds(found, EXPECTED[group][case][method], rtol=1e-2 if method.startswith("nleep") else 1e-8)


@pytest.mark.parametrize("case", EXPECTED["logme_exact"])
def test_logme_is_the_exact_profile_maximum(features, case):
    exact = EXPECTED["logme_exact"][case]
    found = es.logme(features[f"{case}__X"], features[f"{case}__y"])
    np.testing.assert_allclose(found, exact["mean"], rtol=1e-6)
    assert ("unbounded" in found.status) == any("unbounded" in kind for kind in exact["kinds"])


def test_h_score_inverts_no_round_off(features):
    np.testing.assert_allclose(es.h_score(features["onehot_perfect__X"], features["onehot_perfect__y"]), 4.0, rtol=1e-12)


def test_logme_regression():
    data, expected = load("regression"), EXPECTED["regression"]["0"]
    for key in ("logme.thuml_LogME.fixed_point", "logme.thuml_LogME.icml", "logme.tllib"):
        holds(es.logme(data["X0"], targets=data["Y0"], convention=key.split(".")[-1]), expected[key])
    assert es.logme(data["X0"], targets=data["Y0"]) >= max(expected[k] for k in expected if k.startswith("logme"))


@pytest.mark.parametrize("case", EXPECTED["source_predictions"])
def test_source_predictions(case):
    data, expected = load("source_predictions"), EXPECTED["source_predictions"][case]
    theta, y = data[f"{case}__prob"], data[f"{case}__y"]
    holds(es.nce(theta, y), expected["nce.tllib(argmax source label)"])
    if "misuse" in case:
        with pytest.raises(ValueError, match=r"source_probabilities.*softmax"):
            es.leep(theta, y)
    else:
        # the one that handles source classes of no mass
        holds(es.leep(theta, y), expected["leep.google_stable_transfer(numpy-shim)"])


@pytest.mark.parametrize("case", EXPECTED["lidar.stable_pretraining(delta,eps=1e-8)"])
def test_lidar(case):
    expected = EXPECTED["lidar.stable_pretraining(delta,eps=1e-8)"][case]
    for delta in (1e-4, 1e-6):
        found = es.lidar(load("lidar")[case], views=expected["q"], delta=delta, convention="stable_pretraining", blocks=0)
        holds(found, expected["delta0.0001" if delta == 1e-4 else "delta1e-06"]["lidar"])


CKA = {
    "linear_biased.kornblith_gram": {},
    "linear_debiased.kornblith_gram": {"debiased": True},
    "rbf_biased.kornblith.threshold0.5": {"kernel": "rbf", "bandwidth": 0.5},
    "rbf_debiased.kornblith.threshold0.5": {"kernel": "rbf", "bandwidth": 0.5, "debiased": True},
    "rbf_biased.kornblith.threshold1.0": {"kernel": "rbf"},
    "rbf_debiased.kornblith.threshold1.0": {"kernel": "rbf", "debiased": True},
    "rbf_median_nonzero.jayroxis": {"kernel": "rbf", "convention": "jayroxis"},
    "linear_angular.netrep(=arccos(cka))": {"convention": "netrep"},
}


@pytest.mark.parametrize("case", EXPECTED["cka"])
def test_cka(case):
    data, expected = load("cka"), EXPECTED["cka"][case]
    x, y = data[f"{case}__X"], data[f"{case}__Y"]
    for key, options in CKA.items():
        # arccos near 1 turns an error of eps into one of sqrt(eps)
        holds(es.cka(x, y, blocks=0, **options), expected[key], atol=1e-7 if "angular" in key else 1e-13)
    for batch in (10, 25):
        holds(es.minibatch_cka(x, y, batch=batch), expected[f"linear_minibatch_unbiased.AntixK.batch{batch}(float32)"], rtol=1e-4)
    streamed = es.PairedStatistics()
    for rows in np.array_split(np.arange(len(x)), 4):
        streamed.add(x[rows], y[rows])
    holds(es.cka(streamed), expected["linear_biased.kornblith_feature_space"])
    holds(es.cka(streamed, debiased=True), expected["linear_debiased.kornblith_feature_space"], rtol=1e-7)


@pytest.mark.parametrize("case", EXPECTED["align_uniform.ssnl"])
def test_alignment_and_uniformity(case):
    data, expected = load("align_uniform"), EXPECTED["align_uniform.ssnl"][case]
    x, y = data[f"{case}__x"], data[f"{case}__y"]
    holds(es.alignment(x, y), expected["align_alpha2"])
    holds(es.alignment(x, y, alpha=1), expected["align_alpha1"])
    holds(es.uniformity(x), expected["uniform_t2_x"])
    holds(es.uniformity(y), expected["uniform_t2_y"])
    holds(es.uniformity(x, t=1), expected["uniform_t1_x"])


DOMAINS = {
    "adapt.cov_distance": lambda x, y, _: es.covariance_distance(x, y, blocks=0),
    "adapt.frechet_distance": lambda x, y, _: es.frechet(x, y, blocks=0),
    "frechet.torchmetrics._compute_fid(ddof=1)": lambda x, y, _: es.frechet(x, y, blocks=0),
    "adapt.normalized_frechet_distance": lambda x, y, _: es.frechet(x, y, convention="adapt_normalised", blocks=0),
    "frechet_sq.POT.gaussian.empirical_bures_wasserstein_distance^2": lambda x, y, _: es.frechet(x, y, convention="pot", blocks=0),
    "bures_sq_cov_only.netrep": lambda x, y, _: es.frechet(x, y, mean=False, blocks=0),
    "adapt.linear_discrepancy": lambda x, y, _: es.linear_discrepancy(x, y, blocks=0),
    "adapt.normalized_linear_discrepancy": lambda x, y, _: es.linear_discrepancy(x, y, convention="adapt_normalised", blocks=0),
    "sliced_wasserstein.POT.p1.32proj": lambda x, y, v: es.sliced_wasserstein(x, y, p=1, projections=v, blocks=0),
    "sliced_wasserstein.POT.p2.32proj": lambda x, y, v: es.sliced_wasserstein(x, y, projections=v, blocks=0),
    "max_sliced_wasserstein.POT.p2.32proj": lambda x, y, v: es.sliced_wasserstein(x, y, projections=v, reduce="max", blocks=0),
    "mmd2_poly3_unbiased.torchmetrics_KID(gamma=1/d,coef=1)": lambda x, y, _: es.mmd(x, y, kernel="polynomial"),
    "mkmmd.tllib.gaussian_alpha0.5(=unbiased+2/(n-1))": lambda x, y, _: es.mmd(
        x, y, bandwidth=0.5, reference="mean", convention="tllib"
    ),
    "mkmmd.tllib.gaussian_alpha1.0(=unbiased+2/(n-1))": lambda x, y, _: es.mmd(x, y, reference="mean", convention="tllib"),
    "mmd2_unbiased_rbf.alpha0.5(=tllib-2/(n-1))": lambda x, y, _: es.mmd(x, y, bandwidth=0.5, reference="mean"),
    "mmd2_unbiased_rbf.alpha1.0(=tllib-2/(n-1))": lambda x, y, _: es.mmd(x, y, reference="mean"),
}


@pytest.mark.parametrize("case", EXPECTED["domains"])
@pytest.mark.parametrize("method", DOMAINS)
def test_domains(case, method):
    data, expected = load("domains"), EXPECTED["domains"][case][method]
    found = DOMAINS[method](data[f"{case}__X"], data[f"{case}__Y"], data[f"{case}__proj"])
    if "tllib" in method:  # computed in float32
        holds(found, expected, rtol=1e-4)
    elif case == "n_lt_d" and "frechet" in method:  # the references' sqrtm of a singular product is right to 7 digits only
        holds(found, expected, rtol=1e-7)
    else:
        holds(found, expected, atol=1e-12)


def test_frechet_of_rank_deficient_covariances_is_exact():
    data = load("domains")
    x, y = data["n_lt_d__X"], data["n_lt_d__Y"]
    u, v, gap = x - x.mean(0), y - y.mean(0), x.mean(0) - y.mean(0)
    exact = gap @ gap + ((u**2).sum() + (v**2).sum() - 2 * np.linalg.svd(u @ v.T, compute_uv=False).sum()) / (len(x) - 1)
    np.testing.assert_allclose(es.frechet(x, y, blocks=0), exact, rtol=1e-12)
    assert np.isfinite(es.frechet(x, y, convention="pot", blocks=0))


def test_v_information():
    expected = EXPECTED["v_information.kawine_formula"]
    model, null = expected["p_model_of_label"], expected["p_null_of_label"]
    holds(es.v_information(model, null), expected["V_info_bits"])
    np.testing.assert_allclose(es.pointwise_v_information(model, null), expected["PVI"], rtol=1e-8)


@pytest.mark.parametrize("model", [0, 1])
def test_risk_decomposition_by_all_paths(model):
    expected = EXPECTED["dubois.make_risk_decomposition"]
    risks = {name: values[model] for name, values in expected["input"].items()}
    found = es.risk_decomposition(
        supervised_train_train=risks["sup_train_train"],
        supervised_train_test=risks["sup_train_test"],
        train_train=risks["train_train"],
        held_in=risks["train-cmplmnt-ntest_train-sbst-ntest"],
        union_test=risks["union_test"],
        train_test=risks["train_test"],
    )
    names = dict(zip(("approx", "usability", "probe_gen", "enc_gen"), found.shapley, strict=True))
    assert len(found.paths) == 3
    for path, parts in found.paths.items():
        for theirs, ours in names.items():
            holds(parts[ours], expected[path][theirs][model])
        holds(sum(parts.values()), found.risk)
    holds(sum(found.shapley.values()), found.risk)
