"""The draws on which a population is measured: common to all checkpoints, independent between their three roles."""

from __future__ import annotations

from typing import Literal

from interface.core import fingerprint
from interface.populations import Examples, Pool, Population
from interface.seeds import generator

Role = Literal["pre", "fit", "test"]


def draws(population: Population, role: Role, seed: int, n: int, *, views: int = 1) -> Examples:
    """n examples of one role from the stream (role, population, seed): never keyed by run or step.

    A finite `Pool` is cut into disjoint thirds instead, one a role, and all of the third is returned, in one view.
    """
    if isinstance(population, Pool) and population.finite:
        third = dict(zip(("pre", "fit", "test"), population.thirds(seed), strict=True))[role]
        return Examples(third.x.unsqueeze(1), third.y)
    return population.views(n, views, generator(role, fingerprint(population), seed))
