import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from interface.analysis import analyze

NAMES = {"pre": "loss", "adapt": "err", "run": "model", "adapt_is": "loss"}


def trajectories(rng, *, slope=0.2, intercept=0.1, runs=12, between=0.02, deviation=0.01, noise=0.0, steps=8, floor=1.0):
    """err = intercept + slope (loss - floor) + a deviation of the run; the loss falls towards the floor."""
    rows = []
    for k in range(runs):
        own, own_slope = deviation * rng.normal(), slope + between * rng.normal()
        rate = rng.uniform(0.8, 1.2)
        for step in range(steps):
            loss = floor + 2 * np.exp(-rate * step)
            err = intercept + own_slope * (loss - floor) + own + noise * rng.normal()
            rows.append({"model": f"m{k}", "step": step, "loss": loss, "err": err, "family": k % 3, "params": 10.0 ** (6 + k % 2)})
    return pd.DataFrame(rows)


def models(rng, *, within=0.2, between=-0.5, families=8, each=4, noise=0.01, family_effect=0.0):
    rows = []
    for f in range(families):
        centre, effect = rng.uniform(2, 4), family_effect * rng.normal()
        for k in range(each):
            loss = centre + rng.uniform(-0.5, 0.5)
            rows.append(
                {"model": f"{f}-{k}", "family": f"f{f}", "loss": loss, "centre": centre, "effect": effect, "z": rng.normal()}
            )
    table = pd.DataFrame(rows)
    mean = table.groupby("family").loss.transform("mean")
    return table.assign(err=0.5 + within * (table.loss - mean) + between * (mean - 3) / 10 + table.effect + noise * table.z)


def codes(result):
    return {note.code for note in result.notes}


def test_a_planted_trajectory_table_is_recovered():
    table = trajectories(np.random.default_rng(0), between=0.0, deviation=0.0)
    result = analyze(table, **NAMES, step="step")
    x0 = table.groupby("model").loss.min().max()
    np.testing.assert_allclose(result.slope.estimate, 0.2, rtol=1e-9)
    np.testing.assert_allclose(result.intercept.estimate, 0.1 + 0.2 * (x0 - 1), rtol=1e-9)
    assert (result.kind, result.n_rows, result.n_runs, result.n_clusters) == ("trajectories", 96, 12, 12)
    ranges = table.groupby("model").err.agg(np.ptp).mean()
    np.testing.assert_allclose(result.smallest_effect, 0.05 * ranges)


def test_intervals_over_runs_cover():
    rng, tables, covered = np.random.default_rng(1), 100, np.zeros(3)
    for _ in range(tables):
        table = trajectories(rng, deviation=0.05)
        result = analyze(table, **NAMES, step="step")
        x0 = table.groupby("model").loss.min().max()
        level = 0.02 * (x0 - 1)  # sd of the slopes' part at x0
        truths = (0.2, 0.1 + 0.2 * (x0 - 1), 0.05**2 + level**2)
        covered += [n.low <= t <= n.high for n, t in zip((result.slope, result.intercept, result.spread), truths, strict=True)]
    assert (covered >= stats.binom.ppf(0.0003, tables, 0.95)).all(), covered
    assert (covered[:2] <= stats.binom.ppf(0.9997, tables, 0.95)).all()


def test_the_unit_is_the_cluster_never_the_checkpoint():
    rng = np.random.default_rng(2)
    few, many = (trajectories(rng, between=0.1, steps=s) for s in (4, 200))
    widths = [analyze(t, **NAMES, step="step").slope for t in (few, many)]
    assert 0.5 < widths[0].stderr / widths[1].stderr < 2, "more checkpoints are no more evidence"
    clustered = analyze(many, **NAMES, step="step", cluster="family")
    assert clustered.n_clusters == 3 and 1 in codes(clustered)
    assert not any("naive" in str(v) for v in analyze(few, **NAMES).coefficients["name"])


def test_shared_deviations_widen_the_interval_only_by_cluster():
    rng, rejected = np.random.default_rng(3), np.zeros(2)
    for _ in range(60):
        table = trajectories(rng, slope=0.0, between=0.0, runs=24, noise=0.01)
        group = table.model.str[1:].astype(int) // 3  # eight groups of three runs share a slope
        table["group"] = group
        table["err"] += 0.1 * rng.normal(size=8)[group] * (table.loss - 1) + 0.2 * (table.loss - 1) * 0.05
        for k, cluster in enumerate((None, "group")):
            result = analyze(table, **NAMES, step="step", cluster=cluster)
            low, high = result.slope.low, result.slope.high
            rejected[k] += not low <= 0.01 <= high
    assert rejected[1] <= stats.binom.ppf(0.999, 60, 0.05) < rejected[0]


def test_accuracy_is_turned_round_and_said_so():
    table = trajectories(np.random.default_rng(4), intercept=0.2)
    table["acc"] = 1 - table.err
    result = analyze(table, pre="loss", adapt="acc", run="model", adapt_is="accuracy", step="step")
    same = analyze(table, **NAMES, step="step")
    np.testing.assert_allclose(result.slope.estimate, same.slope.estimate)
    assert 6 in codes(result) and 6 not in codes(same) and result.verdict.word == same.verdict.word


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        ({"deviation": 1e-4, "between": 1e-4, "intercept": 0.3}, "sufficient up to an intercept"),
        ({"deviation": 1e-4, "between": 1e-4, "intercept": 0.0}, "sufficient"),
        ({"deviation": 0.2, "between": 1e-4, "intercept": 0.5}, "insufficient"),
        ({"slope": -0.2, "between": 1e-4, "intercept": 0.6}, "inverse"),
        ({"slope": 0.2, "between": 0.5, "intercept": 0.6}, "undecided"),
    ],
)
def test_the_verdict_in_words(planted, word):
    table = trajectories(np.random.default_rng(5), **planted)
    result = analyze(table, **NAMES, step="step")
    assert result.verdict.word == word
    assert result.claim_1.startswith("untestable: needs runs that differ in data")


def test_a_printout_can_be_read():
    text = str(analyze(trajectories(np.random.default_rng(6)), **NAMES))
    for part in (
        "slope",
        "intercept",
        "spread",
        "In words, by the progress slope",
        "untestable",
        "N02 warning",
        "N07",
        "12 clusters",
    ):
        assert part in text
    assert len(text.splitlines()) < 30


def test_runs_without_a_common_loss_have_a_slope_only():
    rng = np.random.default_rng(7)
    low, high = trajectories(rng, runs=6), trajectories(rng, runs=6, floor=9.0)
    table = pd.concat([low, high.assign(model="h" + high.model)])
    result = analyze(table, **NAMES, step="step")
    assert 8 in codes(result) and np.isfinite(result.slope.estimate) and result.intercept.n_clusters == 0
    assert result.verdict.word == "undecided" and "none: no common loss" in str(result)
    # inside clusters that share a loss, the numbers are there
    grouped = analyze(
        table.assign(group=table.model.str.replace(r"m(\d)", lambda m: str(int(m[1]) // 2), regex=True)), **NAMES, cluster="group"
    )
    assert grouped.intercept.n_clusters == 6 and 8 not in codes(grouped)


def test_notes_are_due_when_they_are_due():
    rng = np.random.default_rng(8)
    table = trajectories(rng)
    plain = codes(analyze(table, **NAMES, step="step", size="params"))
    assert plain == {2, 3, 9, 10, 13}
    assert 7 in codes(analyze(table, **NAMES)) and 17 in codes(analyze(table, **NAMES))
    doubled = pd.concat([table, table[table.model == "m1"].assign(model="copy")])
    assert 4 in codes(analyze(doubled, **NAMES, step="step"))
    single = pd.concat([table, table[table.model == "m1"].iloc[:1].assign(model="one", loss=2.7, err=0.4)])
    result = analyze(single, **NAMES, step="step")
    assert 11 in codes(result) and result.n_runs == 12
    still = table.assign(loss=table.loss.where(table.model != "m1", 1.5))
    result = analyze(still, **NAMES, step="step")
    assert 12 in codes(result) and result.slope.n_clusters == 11
    chance = table.assign(err=np.where(table.loss > 1.06, 0.9, table.err))
    assert 5 in codes(analyze(chance, **NAMES, step="step"))
    few = table[table.model.isin(["m1", "m2", "m3"])]
    assert 1 in codes(analyze(few, **NAMES, step="step"))


def test_sizes_are_strata():
    table = trajectories(np.random.default_rng(9), deviation=1e-3)
    table.loc[table.params == 1e7, "err"] += 0.2
    pooled, apart = analyze(table, **NAMES, step="step"), analyze(table, **NAMES, step="step", size="params")
    assert apart.spread.estimate < 0.1 * pooled.spread.estimate
    assert {"slope[1e+06]", "slope[1e+07]"} <= set(apart.coefficients["name"])


def test_the_cross_section_is_mundlak_with_clustered_errors():
    table = models(np.random.default_rng(10))
    result = analyze(table, **NAMES, family="family")
    table["mean"] = table.groupby("family").loss.transform("mean")
    table["dev"] = table.loss - table["mean"]
    reference = smf.ols("err ~ dev + mean", table).fit(
        cov_type="cluster", cov_kwds={"groups": table.family.astype("category").cat.codes, "df_correction": True}, use_t=True
    )
    np.testing.assert_allclose(
        (result.slope.estimate, result.slope.stderr, result.slope.low, result.slope.high),
        (reference.params["dev"], reference.bse["dev"], *reference.conf_int().loc["dev"]),
        rtol=1e-8,
    )
    others = {number.name: number for number in result.others}
    np.testing.assert_allclose(others["between"].estimate, reference.params["mean"], rtol=1e-8)
    lowest = table.loss.idxmin()
    np.testing.assert_allclose(result.intercept.estimate, reference.fittedvalues[lowest], rtol=1e-8)
    np.testing.assert_allclose(result.spread.estimate, reference.ssr / (len(table) - 3), rtol=1e-8)
    assert (result.kind, result.n_clusters, result.cluster) == ("cross-section", 8, "family")


def test_simpson_is_seen_within_families():
    # two-view Gaussian world: autoencoders of rank 1-3 and contrastive encoders of rank 1-2
    table = pd.DataFrame({
        "model": list("abcde"),
        "family": ["ae"] * 3 + ["scl"] * 2,
        "loss": [7.25, 4.0, 1.75, 9.25, 8.0],
        "err": [2.34, 2.34, 0.5622222222222222, 0.5622222222222222, 0.3622222222222222],
    })  # fmt: skip
    result = analyze(table, pre="loss", adapt="err", run="model", adapt_is="loss", family="family")
    pooled = next(number for number in result.others if number.name == "pooled")
    np.testing.assert_allclose(pooled.estimate, -0.0497998981299572, rtol=1e-9)
    assert 0.16 < result.slope.estimate < 0.3003330305782621, "the within slope lies between those of the families"
    assert {1, 16} <= codes(result)


def test_a_cross_section_without_families_says_what_it_cannot_tell():
    table = models(np.random.default_rng(11), each=3)
    result = analyze(table, **NAMES)
    assert 14 in codes(result) and result.n_clusters == 24 and result.cluster == "model"
    assert 15 in codes(analyze(table.groupby("family").head(1), **NAMES, family="family"))


def test_cross_section_intervals_cover():
    rng, tables, covered = np.random.default_rng(12), 150, np.zeros(2)
    for _ in range(tables):
        result = analyze(models(rng, noise=0.05, family_effect=0.05), **NAMES, family="family")
        covered += [n.low <= t <= n.high for n, t in ((result.slope, 0.2), (result.others[0], -0.05))]
    # CR1 with t(g - 1) is short of 95% at eight clusters, more so for a regressor that varies between them only
    assert (covered >= stats.binom.ppf(0.001, tables, [0.91, 0.87])).all(), covered


def test_size_is_held_equal_over_models():
    rng = np.random.default_rng(13)
    table = models(rng, each=6, between=2.0)
    table["params"] = 10 ** rng.uniform(6, 9, size=len(table))
    table["err"] = (0.4 + 0.2 * (table.loss - 3) - 0.02 * np.log(table.params / 1e7)).clip(0, 1)
    result = analyze(table, **NAMES, size="params")
    np.testing.assert_allclose(result.slope.estimate, 0.2, rtol=1e-8)


BAD = {
    "a missing column": (lambda t: t.drop(columns="loss"), {}, r"column 'loss' \(given as pre\) is not in the table; it has model"),
    "words for numbers": (
        lambda t: t.assign(loss=t.loss.astype(object).where(t.step != 1, "high")),
        {},
        "'loss' holds 'high', which is not",
    ),
    "nan": (
        lambda t: t.assign(err=t.err.where(t.step != 1)),
        {},
        r"'err' holds 12 value\(s\) that are not finite \(first: row 1\)",
    ),
    "inf": (lambda t: t.assign(loss=t.loss.where(t.step != 1, np.inf)), {}, "'loss' holds 12 value"),
    "a step twice": (lambda t: t.assign(step=t.step // 2), {"step": "step"}, "run m0 has two rows at step 0"),
    "one run": (lambda t: t[t.model == "m1"], {}, r"'model' holds one run \(m1\)"),
    "constant loss": (lambda t: t.assign(loss=1.0), {}, "'loss' is constant"),
    "constant outcome": (lambda t: t.assign(err=0.5), {}, "'err' is constant"),
    "constant outcome in runs": (
        lambda t: t.assign(err=t.model.str[1:].astype(int) / 20),
        {},
        "'err' is constant inside every run",
    ),
    "percent": (lambda t: t.assign(err=100 * t.err), {"adapt_is": "error"}, "divide percentages by 100"),
    "negative error": (lambda t: t.assign(err=t.err - 1), {"adapt_is": "error"}, "adapt_is='loss'"),
    "unnamed runs": (lambda t: t.assign(model=t.model.where(t.step != 1)), {}, "'model' is empty in 12 row"),
    "a run in two clusters": (lambda t: t, {"cluster": "step"}, "run m0 has 8 values of 'step'"),
    "one cluster": (lambda t: t.assign(one="x"), {"cluster": "one"}, "holds one cluster"),
    "no rows": (lambda t: t.iloc[:0], {}, "no rows"),
    "negative size": (lambda t: t.assign(size=-1), {"size": "size"}, "'size' holds -1"),
    "two columns of a name": (lambda t: pd.concat([t, t[["loss"]]], axis=1), {}, "occurs 2 times"),
    "nonsense for adapt_is": (lambda t: t, {"adapt_is": "f1"}, "adapt_is is 'f1'; allowed: 'loss', 'error', 'accuracy'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_in_one_line(case):
    spoil, extra, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        analyze(spoil(trajectories(np.random.default_rng(14))), **(NAMES | extra))
    assert "\n" not in str(caught.value)


def test_too_few_models_are_refused():
    table = models(np.random.default_rng(15)).iloc[:3]
    with pytest.raises(ValueError, match="3 models"):
        analyze(table, **NAMES)
    with pytest.raises(ValueError, match="DataFrame"):
        analyze([1, 2], **NAMES)


def test_the_order_of_rows_does_not_matter_where_steps_are_given():
    table = trajectories(np.random.default_rng(16))
    shuffled = table.sample(frac=1.0, random_state=0)
    one, two = (analyze(t, **NAMES, step="step") for t in (table, shuffled))
    np.testing.assert_allclose(two.intercept.estimate, one.intercept.estimate)
    np.testing.assert_allclose(two.slope.estimate, one.slope.estimate)
