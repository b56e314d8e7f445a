"""interface: when does a low pretraining loss imply a low minimal adaptation loss?

Three verbs: `pretrain` (specifications -> checkpoints), `measure` (checkpoints x transfers -> rows), `judge` and `analyze`
(table -> verdicts). Each is usable alone. What needs torch or pandas is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from interface.core import Bracket as Bracket
from interface.core import Estimate as Estimate
from interface.core import Row as Row
from interface.core import Shift as Shift
from interface.core import fingerprint as fingerprint

if TYPE_CHECKING:
    from interface.adaptations import LinearProbe as LinearProbe
    from interface.analysis import analyze as analyze
    from interface.checkpoints import Checkpoint as Checkpoint
    from interface.checkpoints import from_states as from_states
    from interface.encoders import MLP as MLP
    from interface.encoders import LinearEncoder as LinearEncoder
    from interface.hypotheses import judge as judge
    from interface.measurement import Transfer as Transfer
    from interface.measurement import measure as measure
    from interface.measurement import minimal_adaptation_loss as minimal_adaptation_loss
    from interface.populations import GaussianFactor as GaussianFactor
    from interface.populations import Glyphs as Glyphs
    from interface.populations import Pool as Pool
    from interface.pretexts import Autoencoding as Autoencoding
    from interface.pretexts import FixedMask as FixedMask
    from interface.pretexts import InfoNCE as InfoNCE
    from interface.pretexts import MaskedPrediction as MaskedPrediction
    from interface.pretexts import SpectralContrastive as SpectralContrastive
    from interface.pretexts import Supervised as Supervised
    from interface.training import Adam as Adam
    from interface.training import Pretraining as Pretraining
    from interface.training import pretrain as pretrain

_HOME = {
    "LinearProbe": "adaptations",
    "analyze": "analysis",
    "Checkpoint": "checkpoints",
    "from_states": "checkpoints",
    "MLP": "encoders",
    "LinearEncoder": "encoders",
    "judge": "hypotheses",
    "Transfer": "measurement",
    "measure": "measurement",
    "minimal_adaptation_loss": "measurement",
    "GaussianFactor": "populations",
    "Glyphs": "populations",
    "Pool": "populations",
    "Autoencoding": "pretexts",
    "FixedMask": "pretexts",
    "InfoNCE": "pretexts",
    "MaskedPrediction": "pretexts",
    "SpectralContrastive": "pretexts",
    "Supervised": "pretexts",
    "Adam": "training",
    "Pretraining": "training",
    "pretrain": "training",
}

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'interface' has no attribute {name!r}")
    return getattr(import_module(f"interface.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
