"""Checkpoints: the left waist. Whatever was trained, by whom and how, measurement sees only these."""

from interface.checkpoints._base import Checkpoint as Checkpoint
from interface.checkpoints.states import from_states as from_states
