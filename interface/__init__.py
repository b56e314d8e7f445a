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
    from interface.adaptations import BiasOnly as BiasOnly
    from interface.adaptations import FineTuning as FineTuning
    from interface.adaptations import FromScratch as FromScratch
    from interface.adaptations import GradientProbe as GradientProbe
    from interface.adaptations import LinearBall as LinearBall
    from interface.adaptations import LinearProbe as LinearProbe
    from interface.adaptations import LoRA as LoRA
    from interface.adaptations import MLPProbe as MLPProbe
    from interface.adaptations import NearestNeighbours as NearestNeighbours
    from interface.adaptations import PartialTuning as PartialTuning
    from interface.adaptations import ProbeThenFineTuning as ProbeThenFineTuning
    from interface.adaptations import Ridge as Ridge
    from interface.analysis import analyze as analyze
    from interface.checkpoints import Checkpoint as Checkpoint
    from interface.checkpoints import from_folder as from_folder
    from interface.checkpoints import from_states as from_states
    from interface.checkpoints import from_transformers as from_transformers
    from interface.encoders import MLP as MLP
    from interface.encoders import ConvNet as ConvNet
    from interface.encoders import LinearEncoder as LinearEncoder
    from interface.encoders import Recurrent as Recurrent
    from interface.encoders import Transformer as Transformer
    from interface.hypotheses import judge as judge
    from interface.measurement import Transfer as Transfer
    from interface.measurement import adaptation_curve as adaptation_curve
    from interface.measurement import measure as measure
    from interface.measurement import minimal_adaptation_loss as minimal_adaptation_loss
    from interface.measurement import minimum_description_length as minimum_description_length
    from interface.measurement import pretraining_loss as pretraining_loss
    from interface.measurement import sample_complexity as sample_complexity
    from interface.measurement import surplus_description_length as surplus_description_length
    from interface.populations import GaussianFactor as GaussianFactor
    from interface.populations import Glyphs as Glyphs
    from interface.populations import HiddenMarkov as HiddenMarkov
    from interface.populations import ImageKernel as ImageKernel
    from interface.populations import Pool as Pool
    from interface.populations import Signals as Signals
    from interface.populations import StandardLibrary as StandardLibrary
    from interface.populations import digits as digits
    from interface.populations import read_arrow as read_arrow
    from interface.populations import read_idx as read_idx
    from interface.populations import read_images as read_images
    from interface.populations import read_npz as read_npz
    from interface.populations import read_texts as read_texts
    from interface.pretexts import Autoencoding as Autoencoding
    from interface.pretexts import BarlowTwins as BarlowTwins
    from interface.pretexts import Clustering as Clustering
    from interface.pretexts import CrossView as CrossView
    from interface.pretexts import Denoising as Denoising
    from interface.pretexts import FixedMask as FixedMask
    from interface.pretexts import InfoNCE as InfoNCE
    from interface.pretexts import MaskedPrediction as MaskedPrediction
    from interface.pretexts import MaskedTokens as MaskedTokens
    from interface.pretexts import MultiTask as MultiTask
    from interface.pretexts import NextToken as NextToken
    from interface.pretexts import Permutation as Permutation
    from interface.pretexts import Rotation as Rotation
    from interface.pretexts import SelfDistillation as SelfDistillation
    from interface.pretexts import SpectralContrastive as SpectralContrastive
    from interface.pretexts import Supervised as Supervised
    from interface.pretexts import VariationalAutoencoding as VariationalAutoencoding
    from interface.training import SGD as SGD
    from interface.training import Adam as Adam
    from interface.training import Pretraining as Pretraining
    from interface.training import pretrain as pretrain

_HOME = {
    "BiasOnly": "adaptations",
    "FineTuning": "adaptations",
    "FromScratch": "adaptations",
    "GradientProbe": "adaptations",
    "LinearBall": "adaptations",
    "LinearProbe": "adaptations",
    "LoRA": "adaptations",
    "MLPProbe": "adaptations",
    "NearestNeighbours": "adaptations",
    "PartialTuning": "adaptations",
    "ProbeThenFineTuning": "adaptations",
    "Ridge": "adaptations",
    "analyze": "analysis",
    "Checkpoint": "checkpoints",
    "from_folder": "checkpoints",
    "from_states": "checkpoints",
    "from_transformers": "checkpoints",
    "MLP": "encoders",
    "ConvNet": "encoders",
    "LinearEncoder": "encoders",
    "Recurrent": "encoders",
    "Transformer": "encoders",
    "judge": "hypotheses",
    "Transfer": "measurement",
    "adaptation_curve": "measurement",
    "measure": "measurement",
    "minimal_adaptation_loss": "measurement",
    "pretraining_loss": "measurement",
    "minimum_description_length": "measurement",
    "sample_complexity": "measurement",
    "surplus_description_length": "measurement",
    "GaussianFactor": "populations",
    "Glyphs": "populations",
    "HiddenMarkov": "populations",
    "ImageKernel": "populations",
    "Pool": "populations",
    "Signals": "populations",
    "StandardLibrary": "populations",
    "digits": "populations",
    "read_arrow": "populations",
    "read_idx": "populations",
    "read_images": "populations",
    "read_npz": "populations",
    "read_texts": "populations",
    "Autoencoding": "pretexts",
    "BarlowTwins": "pretexts",
    "Clustering": "pretexts",
    "CrossView": "pretexts",
    "Denoising": "pretexts",
    "FixedMask": "pretexts",
    "InfoNCE": "pretexts",
    "MaskedPrediction": "pretexts",
    "MaskedTokens": "pretexts",
    "MultiTask": "pretexts",
    "NextToken": "pretexts",
    "Permutation": "pretexts",
    "Rotation": "pretexts",
    "SelfDistillation": "pretexts",
    "SpectralContrastive": "pretexts",
    "Supervised": "pretexts",
    "VariationalAutoencoding": "pretexts",
    "SGD": "training",
    "Adam": "training",
    "Pretraining": "training",
    "pretrain": "training",
}

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'interface' has no attribute {name!r}")
    return getattr(import_module(f"interface.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
