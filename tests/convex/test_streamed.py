import numpy as np
import pytest
import torch

from interface.convex import Streamed, fit_softmax, fit_softmax_streamed
from tests.convex.test_softmax import labelled, one_hot


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 1.0])
@pytest.mark.parametrize("options", [{}, {"condition": 1e3}, {"signal": 3.0, "classes": 2}])
def test_a_streamed_fit_is_the_fit_in_memory(ridge, options):
    x, y = labelled(**options)
    whole = fit_softmax(x, y, ridge=ridge)
    for rows in (37, 1_000):
        streamed = fit_softmax_streamed(Streamed.of(x, y, rows=rows), n_classes=int(y.max()) + 1, ridge=ridge)
        assert streamed.status == whole.status == ["ok"]
        assert abs(float(streamed.value - whole.value)) <= float(streamed.gap + whole.gap)
        assert float(streamed.gap) <= 1e-6 and streamed.weight.shape == whole.weight.shape
        torch.testing.assert_close(streamed.weight @ torch.tensor(x.T), whole.weight @ torch.tensor(x.T), rtol=1e-2, atol=1e-2)


def test_a_memory_mapped_array_is_read_in_blocks(tmp_path):
    x, y = labelled(n=500)
    stored = np.memmap(tmp_path / "features", dtype=np.float32, mode="w+", shape=x.shape)
    stored[:] = x
    seen = []

    def batches():
        for at in range(0, 500, 100):
            seen.append(len(stored[at : at + 100]))
            yield stored[at : at + 100], y[at : at + 100]

    fit = fit_softmax_streamed(Streamed(batches), n_classes=3)
    whole = fit_softmax(np.array(stored), y)
    assert abs(float(fit.value - whole.value)) <= float(fit.gap + whole.gap) and max(seen) == 100


def test_soft_targets_stream_too():
    x, y = labelled()
    p = 0.7 * one_hot(y, 3) + 0.1
    fit, whole = fit_softmax_streamed(Streamed.of(x, p, rows=50), n_classes=3), fit_softmax(x, p)
    assert abs(float(fit.value - whole.value)) <= float(fit.gap + whole.gap) and fit.status == ["ok"]


def test_a_separated_stream_is_vacuous():
    x, y = labelled()
    fit = fit_softmax_streamed(Streamed.of(np.column_stack([x, 10 * one_hot(y, 3)]), y), n_classes=3)
    assert fit.status == ["vacuous_lower"] and float(fit.lower) == pytest.approx(0, abs=1e-15)


def test_a_start_saves_passes():
    x, y = labelled(n=300)
    passes = [0]

    def batches():
        passes[0] += 1
        yield x, y

    cold = fit_softmax_streamed(Streamed(batches), n_classes=3)
    first, passes[0] = passes[0], 0
    warm = fit_softmax_streamed(Streamed(batches), n_classes=3, start=cold)
    assert passes[0] < first and float(warm.value) == pytest.approx(float(cold.value), abs=1e-9)


@pytest.mark.parametrize(
    ("batches", "options", "message"),
    [
        (lambda: iter(()), {}, "no batches"),
        (lambda: [(np.ones((4, 2)), np.zeros(4, int))], {}, "classes \\[1, 2\\] never occur"),
        (lambda: [(np.ones((4, 2)), np.zeros(3, int))], {}, "labels has shape"),
        (lambda: [(np.ones((4, 2)), np.zeros(4, int)), (np.ones((4, 3)), np.zeros(4, int))], {}, "2 and 3 features"),
        (lambda: [labelled()], {"ridge": -1.0}, "ridge"),
    ],
)
def test_bad_input_is_named(batches, options, message):
    with pytest.raises(ValueError, match=message):
        fit_softmax_streamed(Streamed(batches), n_classes=3, **options)


def test_a_source_that_changes_between_passes_is_refused():
    x, y = labelled()
    rows = iter(range(200, 0, -1))
    with pytest.raises(ValueError, match="rows in one pass"):
        fit_softmax_streamed(Streamed(lambda: [(x[: (m := next(rows))], y[:m])]), n_classes=3)


def test_blocks_need_equal_lengths():
    with pytest.raises(ValueError, match="equal lengths"):
        Streamed.of(np.ones((3, 2)), [0, 1])
