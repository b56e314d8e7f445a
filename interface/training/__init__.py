"""Training: specifications in, checkpoints out."""

from interface.training.loop import BLOCK as BLOCK
from interface.training.loop import group_key as group_key
from interface.training.loop import pretrain as pretrain
from interface.training.pools import pool_key as pool_key
from interface.training.specification import Adam as Adam
from interface.training.specification import Pretrained as Pretrained
from interface.training.specification import Pretraining as Pretraining
