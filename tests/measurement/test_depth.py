"""Checkpoints read at a depth, by a readout, or through their teacher."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from interface.checkpoints import from_states
from interface.encoders import MLP, ConvNet, Linear, LinearEncoder, Recurrent, Transformer
from interface.measurement.batch import batches
from interface.populations import Pool
from interface.pretexts import Autoencoding, Pretext, Supervised, VariationalAutoencoding
from interface.seeds import generator
from interface.training import Adam, Pretraining, pretrain

VOCABULARY, DIM, N = 6, 16, 9
Y = [0, 1, 2] * 20
REALS = Pool(torch.randn(60, DIM, generator=generator("reals")), Y, name="reals")
TOKENS = Pool(torch.randint(VOCABULARY, (60, DIM), generator=generator("tokens")), Y, name="tokens", vocabulary=VOCABULARY)
CASES = [
    (REALS, LinearEncoder(3)),
    (REALS, MLP(8, 3, layers=2)),
    (REALS, ConvNet((4, 6), 3)),
    (REALS, Recurrent(8, 3, patch=4)),
    (TOKENS, Transformer(8, 2, 2, 3, vocabulary=VOCABULARY, causal=True)),
]
each = pytest.mark.parametrize(("source", "encoder"), CASES, ids=lambda e: getattr(e, "name", ""))


def trained(source, encoder, pretext=None):
    runs = [Pretraining(source, pretext or Supervised(), encoder, 30, Adam(1e-2, 16), (0, 5), seed) for seed in (0, 1)]
    (batch,) = batches(list(pretrain(runs)), device="cpu", batch_size=4)
    return batch


@each
def test_features_are_those_of_each_checkpoints_own_module(source, encoder):
    batch, x = trained(source, encoder), source.x[:N]
    for depth in (None, *range(1, encoder.depth + 1)):
        for readout in (None, *encoder.readouts):
            z = batch.features(x, depth=depth, readout=readout)
            alone = [module.encoder(x, depth=depth, readout=readout).flatten(1) for module in batch.modules]
            torch.testing.assert_close(z, torch.stack(alone), rtol=1e-4, atol=1e-5)
    assert torch.equal(batch.features(x), batch.features(x, depth=None, readout=None))
    own = torch.stack([x, x.flip(0), x, x])  # each checkpoint its own examples
    torch.testing.assert_close(batch.function("encoder")(own)[1], batch.modules[1].encoder(x.flip(0)), rtol=1e-4, atol=1e-5)


@each
def test_probabilities_are_the_softmax_of_the_pretraining_head(source, encoder):
    batch, x = trained(source, encoder), source.x[:N]
    p = batch.features(x, readout="probabilities")
    assert p.shape == (len(batch.checkpoints), N, 3) and torch.allclose(p.sum(-1), torch.ones(len(p), N), atol=1e-6)
    for mine, module in zip(p, batch.modules, strict=True):
        torch.testing.assert_close(mine.log(), module.head(module.encoder(x)).log_softmax(-1), rtol=1e-4, atol=1e-4)


def test_all_positions_of_a_layer_decide_the_next_layer_and_one_position_does_not():
    """What makes the entropy of a label given layers grow: each layer is a function of all of the one before."""
    encoder = Transformer(8, 2, 2, 3, vocabulary=VOCABULARY, causal=True)
    batch = trained(TOKENS, encoder)
    first = batch.features(TOKENS.x, depth=1, readout="all").unflatten(-1, (DIM, 8))
    second = batch.features(TOKENS.x, depth=2, readout="all").unflatten(-1, (DIM, 8))
    for one, two, module in zip(first, second, batch.modules, strict=True):
        torch.testing.assert_close(module.encoder.blocks[1](one), two, rtol=1e-4, atol=1e-5)
        other = one.clone()
        other[:, 0] = other[:, 0].flip(-1)  # the last position of layer 1 stays as it was
        assert not torch.allclose(module.encoder.blocks[1](other)[:, -1], two[:, -1], atol=1e-4)


@pytest.mark.parametrize(
    ("case", "pretext", "reading", "word"),
    [
        (0, None, {"depth": 1}, r"LinearEncoder\(3\): depth is 1; allowed: None, the output"),
        (1, None, {"depth": 3}, "depth is 3; allowed: None or 1 to 2"),
        (1, None, {"readout": "last"}, "readout is 'last'; allowed: None"),
        (2, None, {"readout": "last"}, "readout is 'last'; allowed: None, 'mean', 'all'"),
        (4, None, {"readout": "hidden"}, "readout is 'hidden'; allowed: None, 'last', 'mean', 'all'"),
        (1, None, {"depth": 1, "readout": "probabilities"}, "depth is 1 with readout 'probabilities'; allowed: None"),
        (1, Autoencoding(), {"readout": "probabilities"}, "Autoencoding, whose head is no softmax"),
        (1, VariationalAutoencoding(), {"readout": "probabilities"}, "VariationalAutoencoding, whose head is no softmax"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_can(case, pretext, reading, word):
    batch = trained(*CASES[case], pretext)
    with pytest.raises(ValueError, match=word):
        batch.features(CASES[case][0].x[:N], **reading)


@pytest.mark.parametrize("reading", [{"depth": 1}, {"readout": "mean"}])
def test_a_users_checkpoint_is_read_as_its_embed_says(reading):
    net = torch.nn.Linear(DIM, 3)
    (batch,) = batches(from_states(net, {7: net.state_dict()}, run="theirs"), device="cpu", batch_size=4)
    assert torch.allclose(batch.features(REALS.x[:N])[0], net(REALS.x[:N]), atol=1e-6)
    with pytest.raises(ValueError, match="run theirs, which was not trained here: None"):
        batch.features(REALS.x[:N], **reading)


def test_images_of_any_dtype_are_flattened_for_our_encoders():
    images = Pool(REALS.x.view(-1, 4, 4).double(), Y, name="images")
    batch = trained(images, ConvNet((4,), 3))
    assert torch.equal(batch.features(images.x[:N]), batch.features(REALS.x[:N]))


class Seen(NamedTuple):
    x: Tensor


@dataclass(frozen=True)
class Follow(Pretext):
    """A head trained on a constant, with a teacher."""

    momentum = 0.5

    def view(self, examples, noise):
        return Seen(examples.x[..., 0, :])

    def head(self, input_dim, features, n_classes):
        return Linear(features, 2)

    def loss(self, embed, head, views):
        return (head(embed(views.x)) - 1).square().sum(-1)

    def profile(self, embed, fit, test):
        raise NotImplementedError


@pytest.mark.parametrize(("source", "encoder"), CASES[1:4:2], ids=lambda e: getattr(e, "name", ""))
def test_the_teacher_is_a_function_of_the_batch(source, encoder):
    batch, x = trained(source, encoder, Follow()), source.x[:N]
    embed, head = batch.function("teacher.encoder"), batch.function("teacher.head")
    z = head(embed(x))
    for mine, module in zip(z, batch.modules, strict=True):
        torch.testing.assert_close(mine, module.teacher.head(module.teacher.encoder(x)), rtol=1e-4, atol=1e-5)
    student = batch.function("head")(batch.function("encoder")(x))
    assert not torch.allclose(z[1], student[1], atol=1e-4)  # after 5 steps they are apart
    assert trained(source, encoder).function("teacher.encoder") is None
