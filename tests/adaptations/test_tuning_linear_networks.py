"""Fine-tuning a two-layer linear network by full-batch gradient descent: what the theory of feature distortion says, step by step.

Kumar et al., ICLR 2022: y = v'B x with more inputs than labels, so that nothing is learnt about directions outside of the sample.
"""

import pytest
import torch
from torch.func import functional_call

from interface.adaptations import FineTuning, ProbeThenFineTuning
from interface.encoders import LinearEncoder
from interface.seeds import generator

D, K, N = 12, 2, 6  # inputs, features, labels: K < N < D
LR = 2e-3


def world(*, perfect=True):
    """An encoder (orthonormal rows; the true ones if perfect), N labels in a subspace, and inputs from all directions."""
    g = generator("linear networks")
    true = torch.linalg.qr(torch.randn(D, K, generator=g).double())[0].T
    other = torch.linalg.qr(torch.randn(D, K, generator=g).double())[0].T
    basis = torch.linalg.qr(torch.randn(D, N - 1, generator=g).double())[0].T  # the sample spans less than its N rows could
    x = N**0.5 * torch.linalg.qr(torch.randn(N, N - 1, generator=g).double())[0] @ basis  # well conditioned there
    v = torch.randn(K, generator=g).double()
    anywhere = torch.randn(2000, D, generator=g).double()
    weight = true if perfect else other
    return {"output.weight": weight.unsqueeze(0)}, (x, x @ true.T @ v), (anywhere, anywhere @ true.T @ v), basis


def run(tuning, states, labelled):
    return tuning.tune(LinearEncoder(K).build(D), states, *labelled, n_classes=None, generator=generator("head"))


def budget(kind, steps, lr=LR):
    return kind(steps=steps, lr=lr, optimizer="gradient")


@pytest.mark.parametrize("kind", [FineTuning, ProbeThenFineTuning], ids=lambda k: k.__name__)
def test_features_of_directions_outside_of_the_sample_never_move(kind):
    states, labelled, _, basis = world(perfect=False)
    tuned = run(budget(kind, 400), states, labelled)
    outside = torch.eye(D).double() - basis.T @ basis
    change = tuned.states["output.weight"][0] - states["output.weight"][0]
    assert (change @ outside).abs().max() < 1e-13
    assert change.abs().max() > 1e-3  # while others did move


@pytest.mark.parametrize("kind", [FineTuning, ProbeThenFineTuning], ids=lambda k: k.__name__)
def test_the_balance_of_head_and_features_is_conserved_up_to_the_step_size(kind):
    states, labelled, _, _ = world(perfect=False)

    def balance(tuned):
        v, b = tuned.head.weight[0, 0], tuned.states["output.weight"][0]
        return torch.outer(v, v) - b @ b.T

    start = balance(run(budget(kind, 0), states, labelled))
    drifts, moves = [], []
    for shrink in (1, 10):  # the same time, in steps ten times as small
        tuned = run(budget(kind, 200 * shrink, LR / shrink), states, labelled)
        drifts.append(float((balance(tuned) - start).abs().max()))
        moves.append(float((tuned.states["output.weight"][0] - states["output.weight"][0]).abs().max()))
    assert min(moves) > 1e-3  # the time is long enough to move
    assert drifts[0] < 0.1 * moves[0] and drifts[1] < 0.15 * drifts[0]  # order of the step size: 0 under gradient flow


def test_with_perfect_features_a_random_head_loses_out_of_domain_and_a_probed_one_does_not():
    states, labelled, everywhere, _ = world()
    for steps in (0, 10, 300):
        probed = run(budget(ProbeThenFineTuning, steps), states, labelled)
        assert probed.loss(*everywhere).mean() < 1e-20
    losses = []
    for steps in (10, 100, 2000):
        tuned = run(budget(FineTuning, steps, 0.05), states, labelled)
        assert tuned.loss(*everywhere).mean() > 1e-3
        losses.append(float(tuned.loss(*labelled).mean()))
    assert losses[-1] < 1e-4 * losses[0]  # although it fits its labels in the end
    assert float(tuned.loss(*everywhere).mean()) > 1e-3


def test_the_tuned_network_is_the_product_of_its_layers():
    states, labelled, everywhere, _ = world(perfect=False)
    tuned = run(budget(FineTuning, 50), states, labelled)
    module = LinearEncoder(K).build(D)
    z = functional_call(module, {"output.weight": tuned.states["output.weight"][0]}, (everywhere[0],))
    predicted = z @ tuned.head.weight[0, 0] + tuned.head.intercept[0, 0]
    torch.testing.assert_close(tuned.loss(*everywhere)[0], (predicted - everywhere[1]).square())
