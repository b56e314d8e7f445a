"""Pretext tasks: what is predicted from unlabelled data, and how well the best head would do."""

from interface.pretexts._base import Pretext as Pretext
from interface.pretexts.autoencoding import Autoencoding as Autoencoding
from interface.pretexts.fixed_mask import FixedMask as FixedMask
from interface.pretexts.infonce import InfoNCE as InfoNCE
from interface.pretexts.masked_prediction import MaskedPrediction as MaskedPrediction
from interface.pretexts.spectral_contrastive import SpectralContrastive as SpectralContrastive
from interface.pretexts.supervised import Supervised as Supervised
