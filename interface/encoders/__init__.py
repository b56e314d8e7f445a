"""Encoders: frozen specifications that build `nn.Module`s which broadcast over runs."""

from interface.encoders._base import Encoder as Encoder
from interface.encoders.convnet import ConvNet as ConvNet
from interface.encoders.layers import Linear as Linear
from interface.encoders.layers import initialise as initialise
from interface.encoders.linear import LinearEncoder as LinearEncoder
from interface.encoders.mlp import MLP as MLP
from interface.encoders.recurrent import Recurrent as Recurrent
from interface.encoders.transformer import Transformer as Transformer
