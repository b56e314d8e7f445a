"""Pretext tasks: what is predicted from unlabelled data, and how well the best head would do."""

from interface.pretexts._base import Pretext as Pretext
from interface.pretexts.autoencoding import Autoencoding as Autoencoding
from interface.pretexts.barlow_twins import BarlowTwins as BarlowTwins
from interface.pretexts.clustering import Clustering as Clustering
from interface.pretexts.cross_view import CrossView as CrossView
from interface.pretexts.denoising import Denoising as Denoising
from interface.pretexts.fixed_mask import FixedMask as FixedMask
from interface.pretexts.infonce import InfoNCE as InfoNCE
from interface.pretexts.masked_prediction import MaskedPrediction as MaskedPrediction
from interface.pretexts.masked_tokens import MaskedTokens as MaskedTokens
from interface.pretexts.multi_task import MultiTask as MultiTask
from interface.pretexts.next_token import NextToken as NextToken
from interface.pretexts.permutation import Permutation as Permutation
from interface.pretexts.rotation import Rotation as Rotation
from interface.pretexts.self_distillation import SelfDistillation as SelfDistillation
from interface.pretexts.spectral_contrastive import SpectralContrastive as SpectralContrastive
from interface.pretexts.supervised import Supervised as Supervised
from interface.pretexts.variational_autoencoding import VariationalAutoencoding as VariationalAutoencoding
