"""The right waist: one long table in which one row is one measured quantity with its uncertainty, readable alone."""

from interface.table._base import COLUMNS, to_frame
from interface.table.checkpoints import last_checkpoints
from interface.table.store import TABLE, compact, merge, metadata, read, readable, sweep_temporaries, write
from interface.table.wide import IDENTITY, wide

__all__ = [
    "COLUMNS",
    "IDENTITY",
    "TABLE",
    "compact",
    "last_checkpoints",
    "merge",
    "metadata",
    "read",
    "readable",
    "sweep_temporaries",
    "to_frame",
    "wide",
    "write",
]
