"""Checkpoints: the left waist. Whatever was trained, by whom and how, measurement sees only these."""

from interface.checkpoints._base import Checkpoint as Checkpoint
from interface.checkpoints._files import CheckpointError as CheckpointError
from interface.checkpoints.decoding import from_specification as from_specification
from interface.checkpoints.decoding import kinds_of as kinds_of
from interface.checkpoints.folders import from_folder as from_folder
from interface.checkpoints.hugging_face import from_transformers as from_transformers
from interface.checkpoints.kept import Kept as Kept
from interface.checkpoints.kept import is_kept as is_kept
from interface.checkpoints.kept import keep as keep
from interface.checkpoints.kept import kept_runs as kept_runs
from interface.checkpoints.kept import read_kept as read_kept
from interface.checkpoints.states import from_states as from_states
