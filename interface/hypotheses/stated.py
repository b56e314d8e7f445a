"""The claims of the confirmatory family that are stated and whose tests are not built: they count as p = 1 in it."""

from __future__ import annotations

from interface.hypotheses._base import Claim, Hypothesis

EQUAL_LOSS_DIFFERENT_TRANSFER = Hypothesis(
    Claim(
        number=4,
        name="equal_loss_different_transfer",
        statement="A treatment moves the minimal adaptation loss at equal pretraining loss.",
        theta="sufficiency contrast at matched L_pre between two fixed treatments",
        direction="either",
        needs="rows of two fixed treatments, such as two optimisers or two widths, at equal n_unlabelled",
    )
)
STOPPING_AT_THE_BEST_LOSS_IS_NOT_BEST = Hypothesis(
    Claim(
        number=5,
        name="stopping_at_the_best_loss_is_not_best",
        statement="The checkpoint of the lowest validation pretraining loss is not the best for transfer.",
        theta="regret y(argmin_t x) - min_t y, argmin and value on independent draws",
        direction="above",
        needs="L* of each checkpoint on two independent draws: one to choose it, one to value it",
    )
)
THE_PROBE_WINS_WITH_FEW_LABELS = Hypothesis(
    Claim(
        number=6,
        name="the_probe_wins_with_few_labels",
        statement="The frozen probe wins with very few labels, fine-tuning with moderately many.",
        theta="fine-tuning minus linear probing, > 0 at the fewest labels and < 0 at the most",
        direction="conjunction",
        needs="fine_tuning rows over n_labels",
        smallest_effect=0.0,
    )
)
PROBING_FIRST_KEEPS_FINE_TUNING_RIGHT = Hypothesis(
    Claim(
        number=7,
        name="probing_first_keeps_fine_tuning_right",
        statement="Fine-tuning from a probed head loses less out of domain than fine-tuning from a random head.",
        theta="out-of-domain loss of fine-tuning minus that of probing, then fine-tuning",
        direction="above",
        needs="fine_tuning rows out of domain",
        smallest_effect=0.0,
    )
)
THE_EARLIER_SPLIT_TRANSFERS_BETTER = Hypothesis(
    Claim(
        number=8,
        name="the_earlier_split_transfers_better",
        statement="The larger the mismatch, the more an earlier split between encoder and head helps.",
        theta="[early - late](largest shift) - [early - late](0) of L*, on the in-domain scale",
        direction="below",
        needs="rows at several depths",
    )
)

STATED = (
    EQUAL_LOSS_DIFFERENT_TRANSFER,
    STOPPING_AT_THE_BEST_LOSS_IS_NOT_BEST,
    THE_PROBE_WINS_WITH_FEW_LABELS,
    PROBING_FIRST_KEEPS_FINE_TUNING_RIGHT,
    THE_EARLIER_SPLIT_TRANSFERS_BETTER,
)
