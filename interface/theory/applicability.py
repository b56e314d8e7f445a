"""When the interface theorems say something about a checkpoint."""

from __future__ import annotations

from typing import NamedTuple

EXACT_OPERATOR = ("Autoencoding", "CrossView", "Denoising", "FixedMask", "MultiTask")  # L_pre = c - tr(PS) for any encoder
CORRUPTED = ("Denoising",)  # the encoder reads x + noise in pretraining
OUTER_OPERATOR = ("SpectralContrastive",)  # L_pre >= -tr(PS): linear encoders, or with the Hermite spectrum


class Applicability(NamedTuple):
    """Whether a theorem applies, and the first reason why not ("" where it does)."""

    holds: bool
    reason: str


def applies(
    pretext: str,
    *,
    linear_encoder: bool,
    beyond: bool = False,
    adapt_loss: str = "squared",
    head: str = "linear_unconstrained",
    linear_pretext_head: bool = True,
    exact_moments: bool = True,
    same_input_law: bool = True,
    probe_bias: bool = True,
    pretext_bias: bool = True,
    noisy_probe: bool = False,
) -> Applicability:
    """Whether `band` and `interface_bound` hold for a checkpoint; where not, a check is not applicable rather than passed.

    Args:
        pretext: class name of the pretext.
        linear_encoder: whether the encoder is linear.
        beyond: whether the operator's spectrum beyond the linear functions is used.
        adapt_loss: "squared" or "nats".
        head: adaptation head; only an unconstrained affine probe, "linear_unconstrained", is covered.
        linear_pretext_head: whether the excess is profiled over linear heads, or raw with a linear head (which is above it);
            the loss of another head can be below the profiled one.
        exact_moments: whether the losses are closed forms; a sampled excess must enter by its upper confidence limit.
        same_input_law: whether the encoder meets the same p(x) in pretraining and adaptation, masked alike.
        noisy_probe: whether the probe reads the input as corrupted as a denoising pretext does; clean by default.
        probe_bias, pretext_bias: whether the probe and the pretext head have an intercept; centred features count as one.

    Example:
        >>> applies("Autoencoding", linear_encoder=False).holds
        True
        >>> applies("SpectralContrastive", linear_encoder=False).reason
        'a nonlinear encoder goes below the linear floor of SpectralContrastive; use the spectrum beyond the linear functions'
    """
    conditions = (
        (adapt_loss == "squared", f"the adaptation loss is {adapt_loss}; the theorem is about squared loss"),
        (head == "linear_unconstrained", f"the adaptation head is {head}; the theorem is about unconstrained affine probes"),
        (exact_moments, "the losses are sampled; the theorem needs exact moments or an upper confidence limit of the excess"),
        (same_input_law, "the target's input law differs from the source's; see shift_constant"),
        (
            pretext not in CORRUPTED or noisy_probe,
            f"the probe reads clean inputs and {pretext} corrupted ones; only an upper side holds, see clean_probe",
        ),
        (probe_bias or not pretext_bias, "the pretext head has a bias and the probe has none"),
        (linear_pretext_head, "the excess is not that of a linear pretext head"),
        (pretext in EXACT_OPERATOR + OUTER_OPERATOR, f"{pretext} has no pretext operator"),
        (
            pretext not in OUTER_OPERATOR or linear_encoder or beyond,
            f"a nonlinear encoder goes below the linear floor of {pretext}; use the spectrum beyond the linear functions",
        ),
    )
    for holds, reason in conditions:
        if not holds:
            return Applicability(False, reason)
    return Applicability(True, "")
