"""Settings that no task can have are refused, by name."""

import pytest

from interface.populations import GaussianFactor
from interface.pretexts import (
    Autoencoding,
    BarlowTwins,
    Clustering,
    Denoising,
    InfoNCE,
    MaskedPrediction,
    MaskedTokens,
    MultiTask,
    NextToken,
    Permutation,
    Rotation,
    SelfDistillation,
    Supervised,
    VariationalAutoencoding,
)
from interface.seeds import generator
from tests.pretexts.settings import name


@pytest.mark.parametrize("pretext", [Supervised(), MultiTask(of="label")], ids=name)
def test_tasks_of_the_label_need_classes(pretext):
    assert pretext.needs_labels and not Autoencoding().needs_labels
    with pytest.raises(ValueError, match="classes"):
        pretext.head(16, 4, GaussianFactor().n_classes)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: MaskedPrediction(rate=1.0), "rate"),
        (lambda: MaskedPrediction(patch=0), "patch"),
        (lambda: MaskedPrediction(patch=5).noise(2, 256, generator("x")), "side 5 divides"),
        (lambda: InfoNCE(temperature=0.0), "temperature"),
        (lambda: Denoising(noise_scale=0.0), "noise_scale"),
        (lambda: VariationalAutoencoding(beta=0.0), "beta"),
        (lambda: VariationalAutoencoding().head(4, 5, None), "at most as many"),
        (lambda: BarlowTwins(weight=-1.0), "weight"),
        (lambda: Clustering(prototypes=1), "prototypes"),
        (lambda: Clustering(sharpness=0.0), "sharpness"),
        (lambda: SelfDistillation(momentum=1.0), "momentum"),
        (lambda: SelfDistillation(temperature=0.0), "temperature"),
        (lambda: SelfDistillation(prototypes=0), "prototypes"),
        (lambda: MaskedTokens(1), "vocabulary"),
        (lambda: MaskedTokens(4, rate=0.0), "rate"),
        (lambda: NextToken(1), "vocabulary"),
        (lambda: NextToken(4).head(1, 2, None), "at least 2"),
        (lambda: MultiTask(tasks=0), "tasks"),
        (lambda: MultiTask(diversity=1.5), "diversity"),
        (lambda: MultiTask(of="pixels"), "of"),
        (lambda: Rotation().head(8, 2, None), "square"),
        (lambda: Permutation(pieces=5, image=True), "pieces"),
        (lambda: Permutation(pieces=3, n=7), "from 2 to 6"),
        (lambda: Permutation(pieces=3, n=2).head(8, 2, None), "multiple"),
    ],
)
def test_bad_settings_are_named(make, word):
    with pytest.raises(ValueError, match=word):
        make()
