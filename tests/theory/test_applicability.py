import pytest

from interface.theory import applies


@pytest.mark.parametrize("pretext", ["Autoencoding", "FixedMask"])
@pytest.mark.parametrize("linear_encoder", [True, False])
def test_prediction_pretexts_are_covered_for_any_encoder(pretext, linear_encoder):
    assert applies(pretext, linear_encoder=linear_encoder) == (True, "")


def test_spectral_contrast_needs_a_linear_encoder_or_the_whole_spectrum():
    assert applies("SpectralContrastive", linear_encoder=True).holds
    assert applies("SpectralContrastive", linear_encoder=False, beyond=True).holds
    assert not applies("SpectralContrastive", linear_encoder=False).holds


def test_an_unbiased_pretext_needs_no_biased_probe():
    assert applies("Autoencoding", linear_encoder=True, probe_bias=False, pretext_bias=False).holds
    assert not applies("Autoencoding", linear_encoder=True, probe_bias=False).holds


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"adapt_loss": "nats"}, "nats"),
        ({"head": "linear_ball"}, "linear_ball"),
        ({"exact_moments": False}, "sampled"),
        ({"same_input_law": False}, "input law"),
        ({"linear_pretext_head": False}, "linear pretext head"),
        ({"pretext": "InfoNCE"}, "InfoNCE"),
        ({"pretext": "MaskedPrediction"}, "MaskedPrediction"),
        ({"pretext": "Supervised"}, "Supervised"),
    ],
)
def test_each_missing_assumption_is_named(change, word):
    verdict = applies(**{"pretext": "Autoencoding", "linear_encoder": False, **change})
    assert not verdict.holds
    assert word in verdict.reason
