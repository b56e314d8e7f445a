"""Training: specifications in, checkpoints out."""

from interface.training.loop import advance as advance
from interface.training.loop import group_key as group_key
from interface.training.loop import pretrain as pretrain
from interface.training.pools import BLOCK as BLOCK
from interface.training.pools import Draws as Draws
from interface.training.pools import pool_key as pool_key
from interface.training.specification import SGD as SGD
from interface.training.specification import Adam as Adam
from interface.training.specification import Pretrained as Pretrained
from interface.training.specification import Pretraining as Pretraining
from interface.training.stack import Stack as Stack
from interface.training.stack import initial_state as initial_state
from interface.training.stopping import FixedBudget as FixedBudget
from interface.training.stopping import Oracle as Oracle
from interface.training.stopping import Patience as Patience
from interface.training.stopping import Plateau as Plateau
from interface.training.stopping import StoppingRule as StoppingRule
from interface.training.stopping import stopping_rows as stopping_rows
