"""Records that every layer shares: estimates, brackets, shifts, rows and fingerprints. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from statistics import NormalDist
from typing import Any, Literal, Self

How = Literal["exact", "quadrature", "monte_carlo", "held_out", "plug_in"]
Kind = Literal["none", "covariate", "concept", "relabelling", "mixed"]

SOLVED = 1e-6  # nats: the proven gap below which an empirical problem counts as solved
NO_LOWER_SIDE = "no_lower_side"
Z_TWO_SIDES = NormalDist().inv_cdf(1 - 0.05 / 2)  # 1.96: each side is one-sided at half of the 5%


class Estimate(float):
    """A number that never travels alone: a float with its standard error and its origin.

    It prints, sorts, sums and averages like the float that it is; arithmetic gives a plain
    float, because the error of a derived quantity is not the error of its parts.

    Args:
        value: the estimate, in the unit that the producer's docstring states.
        stderr: sampling standard error in the same unit; None where there is none to state.
        how: "exact" is a closed form or a full enumeration, whatever `stderr` says.
        n: number of independent units behind a sampled value.
        status: "ok", or why the value is degenerate, vacuous or not to be compared.

    Raises:
        ValueError: if `stderr` is negative or not a number.

    Example:
        >>> loss = Estimate(0.5, stderr=0.01, how="held_out", n=2_000)
        >>> f"{loss:.2f} ± {loss.stderr:.2f}", min(loss, 0.7) is loss
        ('0.50 ± 0.01', True)
    """

    __slots__ = ("how", "n", "status", "stderr")
    stderr: float | None
    how: How
    n: int | None
    status: str

    def __new__(cls, value: float, *, stderr: float | None = None, how: How, n: int | None = None, status: str = "ok") -> Self:
        if stderr is not None and not stderr >= 0:
            raise ValueError(f"Estimate: stderr is {stderr!r}; allowed: None or a number >= 0")
        self = super().__new__(cls, value)
        for name, field in (("stderr", stderr), ("how", how), ("n", n), ("status", status)):
            object.__setattr__(self, name, field)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Estimate is immutable; make a new one to change {name}")

    def __reduce__(self):  # keyword-only arguments need a hand to survive pickling
        return _rebuild, (float(self), self.stderr, self.how, self.n, self.status)

    def __repr__(self) -> str:
        error = "" if self.stderr is None else f" ± {self.stderr:.2g}"
        status = "" if self.status == "ok" else f", {self.status}"
        return f"{float(self):.6g}{error} ({self.how}{status})"


def _rebuild(value: float, stderr: float | None, how: How, n: int | None, status: str) -> Estimate:
    return Estimate(value, stderr=stderr, how=how, n=n, status=status)


@dataclass(frozen=True)
class Bracket:
    """Two one-sided estimates of one quantity: E[low] <= quantity <= E[high].

    The *interval* is ordered; the two point values may cross by chance (status "crossed").

    Args:
        low: mean loss of the empirical minimiser on its own sample; biased downwards. Where a family has no lower side but a floor
            that holds for every predictor (a minimum that nothing proves), its status is "no_lower_side".
        high: mean loss of that minimiser on fresh draws; biased upwards.
        gap: proven optimality gap of the empirical problem; "solved" means gap <= 1e-6.
        lower_limit: a 97.5% lower limit that holds without approximation (bounded loss), or None:
            then the limit is the normal one, and the interval is approximate.

    Example:
        >>> side = lambda value: Estimate(value, stderr=0.01, how="held_out", n=400)
        >>> bracket = Bracket(side(0.30), side(0.33), gap=1e-8)
        >>> [round(limit, 3) for limit in bracket.interval()], bracket.solved, bracket.certified
        ([0.28, 0.35], True, False)
    """

    low: Estimate
    high: Estimate
    gap: float
    lower_limit: float | None = None

    @property
    def solved(self) -> bool:
        """Whether the empirical problem is minimised to a proven 1e-6."""
        return self.gap <= SOLVED

    @property
    def certified(self) -> bool:
        """Whether the interval's lower side holds without a normal approximation."""
        return self.lower_limit is not None and self.solved

    @property
    def status(self) -> str:
        """The first of: a side's own status, "not_converged", "crossed", "ok"."""
        for side in (self.low, self.high):
            if side.status != "ok":
                return side.status
        if not self.solved:
            return "not_converged"
        return "crossed" if self.low > self.high else "ok"

    def midpoint(self) -> Estimate:
        """Bias-corrected point value: the mean of the two sides, which are independent given the encoder.

        Without a lower side it is the upper one, with that status: half of a floor corrects nothing.
        """
        if self.low.status == NO_LOWER_SIDE:
            high = self.high
            status = high.status if high.status != "ok" else NO_LOWER_SIDE
            return Estimate(high, stderr=high.stderr, how=high.how, n=high.n, status=status)
        exact = self.low.how == self.high.how == "exact"
        stderr = None
        if self.low.stderr is not None and self.high.stderr is not None:
            stderr = 0.5 * (self.low.stderr**2 + self.high.stderr**2) ** 0.5
        return Estimate(
            0.5 * (self.low + self.high), stderr=stderr, how="exact" if exact else "held_out", n=self.high.n, status=self.status
        )

    def interval(self) -> tuple[float, float]:
        """95% interval for the quantity, by Bonferroni over its two sides.

        Raises:
            ValueError: if a side carries no standard error, so that no interval can be stated.
        """
        no_lower_error = self.lower_limit is None and self.low.stderr is None and self.low.status != NO_LOWER_SIDE
        if self.high.stderr is None or no_lower_error:
            raise ValueError("Bracket.interval: a side has no standard error; state it or give lower_limit")
        if self.low.status == NO_LOWER_SIDE:
            return float(self.low), self.high + Z_TWO_SIDES * self.high.stderr
        if self.lower_limit is None:
            assert self.low.stderr is not None
            return self.low - Z_TWO_SIDES * self.low.stderr - self.gap, self.high + Z_TWO_SIDES * self.high.stderr
        return self.lower_limit - self.gap, self.high + Z_TWO_SIDES * self.high.stderr


@dataclass(frozen=True)
class Shift:
    """What separates a target population from its source.

    Args:
        name: one of the population's own shifts, or "none".
        strength: dial in [0, 1] unless the population says otherwise; 0 is no shift.
        kind: "covariate" moves p(x), "concept" moves p(y|x), "relabelling" renames labels, "mixed" does several.
    """

    name: str = "none"
    strength: float = 0.0
    kind: Kind = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured quantity with its uncertainty, readable without any other row.

    `value` is in `unit` ("nats", or "squared" for squared units of the target). What does not apply is None.
    A row is identified by run, step, target, adaptation, n_labels, depth, readout, replicate and quantity.
    """

    run: str
    step: int
    quantity: str
    value: float
    how: str
    status: str = "ok"
    stderr: float | None = None
    n: int | None = None
    unit: str = "nats"
    instance: str | None = None
    seed: int | None = None
    source: str | None = None
    target: str | None = None
    shift: str | None = None
    shift_kind: str | None = None
    strength: float | None = None
    pretext: str | None = None
    encoder: str | None = None
    n_params: int | None = None
    n_unlabelled: int | None = None
    views: int | None = None
    lr: float | None = None
    optimizer: str | None = None
    batch: int | None = None
    adaptation: str | None = None
    n_labels: int | None = None
    depth: int | None = None
    readout: str | None = None
    replicate: int | None = None
    code: str | None = None
    device: str | None = None
    spec: str | None = None


ROW_KEY = ("run", "step", "target", "adaptation", "n_labels", "depth", "readout", "replicate", "quantity")


def specification(thing: Any) -> Any:
    """A record as plain JSON values; fields at their default are left out, so a new field orphans no stored run.

    Raises:
        TypeError: if a field is neither a record nor a plain value.
    """
    if is_dataclass(thing) and not isinstance(thing, type):
        content = {"kind": type(thing).__name__}
        for field in fields(thing):
            value = getattr(thing, field.name)
            if not field.compare or (field.default is not MISSING and value == field.default):
                continue
            content[field.name] = specification(value)
        return content
    if isinstance(thing, Mapping):
        return {str(key): specification(thing[key]) for key in sorted(thing)}
    if isinstance(thing, (list, tuple)):
        return [specification(item) for item in thing]
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    raise TypeError(f"specification: {type(thing).__name__} is neither a frozen record nor a plain value")


def fingerprint(thing: Any) -> str:
    """Stable identity of a record: a letter and 11 hexadecimal digits of the SHA-256 of its specification.

    It starts with a letter because CSV readers turn `12e4567` into infinity.

    Example:
        >>> fingerprint(Shift()) == fingerprint(Shift("none", 0.0)) != fingerprint(Shift("rotation", 1.0, "mixed"))
        True
    """
    content = json.dumps(specification(thing), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "f" + hashlib.sha256(content.encode()).hexdigest()[:11]


def short_name(thing: Any) -> str:
    """Readable name of a frozen record: its class, with the fields that are not at their default.

    Example:
        >>> short_name(Shift()), short_name(Shift("rotation", 0.5))
        ('Shift', 'Shift(name=rotation, strength=0.5)')
    """
    content = specification(thing)
    values = ", ".join(f"{key}={value}" for key, value in content.items() if key != "kind")
    # a field that is itself called kind is not shown
    return content["kind"] + (f"({values})" if values else "")
