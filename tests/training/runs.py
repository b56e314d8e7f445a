"""What the tests of training share: groups of runs over pretexts, encoders and data, and the states that they end in."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from interface.encoders import MLP, ConvNet, LinearEncoder, Recurrent, Transformer
from interface.populations import GaussianFactor, Glyphs, Pool
from interface.pretexts import (
    Autoencoding,
    FixedMask,
    InfoNCE,
    MaskedPrediction,
    MaskedTokens,
    NextToken,
    SpectralContrastive,
    Supervised,
)
from interface.seeds import generator
from interface.training import Adam, Pretraining, pretrain

STEPS = (0, 3, 20)
VOCABULARY = 6
TOKENS = Pool(
    torch.randint(VOCABULARY, (60, 8), generator=generator("tokens")), [0, 1, 2] * 20, name="tokens", vocabulary=VOCABULARY
)
IMAGES = Pool(torch.randn(60, 4, 4, dtype=torch.float64, generator=generator("images")), [0, 1, 2] * 20, name="images")
GLYPHS = [(Autoencoding(), 1), (MaskedPrediction(), 1), (InfoNCE(), 4), (Supervised(), 1)]
GAUSSIAN = [(Autoencoding(), 1), (FixedMask(), 1), (SpectralContrastive(), 2)]


def glyph_runs(pretext, views, encoder=MLP(32, 16), batch=32):
    return [
        Pretraining(Glyphs(index=i), pretext, encoder, n, Adam(lr, batch), STEPS, views=views)
        for i in (0, 2)
        for lr in (1e-3, 1e-2)
        for n in (20, 50)
    ]


def gaussian_runs(pretext, views, encoder):
    return [
        Pretraining(GaussianFactor(index=i), pretext, encoder, 40, Adam(lr, batch=16), STEPS, seed, views=views)
        for i in (0, 1)
        for seed, lr in enumerate((1e-3, 1e-2, 1e-3))
    ]


ODD = [glyph_runs(*task, MLP(13, 5), 15) for task in GLYPHS if not isinstance(task[0], InfoNCE)]  # it amplifies round-off
ALL = [glyph_runs(*task) for task in GLYPHS] + [
    gaussian_runs(*task, encoder) for task in GAUSSIAN for encoder in (LinearEncoder(3), MLP(8, 3, bias=False))
]


@dataclass(frozen=True)
class OneByOne(MLP):
    """An MLP that is trained run by run."""

    stackable = False

    @property
    def name(self) -> str:
        return MLP(self.width, self.features).name  # which keys the initialisation


class Plain(nn.Module):
    """What a user may bring: layers and a bare parameter, drawn when it is built, and no run axis anywhere."""

    def __init__(self, input_dim: int, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(input_dim))
        self.inner = nn.Linear(input_dim, features)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.inner(x * self.scale))


@dataclass(frozen=True)
class Users(LinearEncoder):
    stackable = False
    name = "Users"

    def build(self, input_dim: int) -> nn.Module:
        return Plain(input_dim, self.features)


OTHERS = [
    (IMAGES, ConvNet((16, 16), 16)),
    (IMAGES, Recurrent(16, 16, patch=4)),
    (IMAGES, Transformer(16, 1, 2, 16, patch=4)),
    (TOKENS, Transformer(16, 1, 2, 16, vocabulary=VOCABULARY, causal=True)),
    (TOKENS, Recurrent(16, 16, vocabulary=VOCABULARY)),
    (TOKENS, Recurrent(16, 16, vocabulary=VOCABULARY, layers=2), NextToken(VOCABULARY)),
    (TOKENS, Transformer(16, 1, 2, 16, vocabulary=VOCABULARY), MaskedTokens(VOCABULARY)),
    (IMAGES, MLP(16, 16, layers=2)),
    (IMAGES, Transformer(64, 1, 2, 16, patch=8)),  # from this width run by run
    (IMAGES, Users(4)),
]


def other_runs(source, encoder, pretext=Supervised(), optimizer=Adam, steps=(0, 2, 8)):
    return [Pretraining(source, pretext, encoder, 32, optimizer(lr, 16), steps, seed) for seed in (0, 1) for lr in (1e-3, 1e-2)]


def states(runs, **options):
    return {(c.run, c.step): c.load().state_dict() for c in pretrain(runs, **options)}


def assert_same_bits(some, all_of_them):
    for key, state in some.items():
        for name, value in state.items():
            assert torch.equal(value, all_of_them[key][name]), (key, name)
