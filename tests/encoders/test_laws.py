"""Laws that every exported encoder obeys, at parameters with and without a run axis."""

import math

import pytest
import torch
from torch.func import functional_call

import interface.encoders as encoders
from interface.encoders import MLP, ConvNet, Encoder, LinearEncoder, Recurrent, Transformer, initialise
from interface.seeds import generator

DIM, VOCABULARY, RUNS, N = 16, 7, 3, 5
EXAMPLES = [
    LinearEncoder(3),
    MLP(8, 3),
    MLP(8, 3, bias=False),
    MLP(8, 3, layers=3),
    ConvNet((4, 6), 3),
    ConvNet((4,), 3, side=2),
    Recurrent(8, 3, patch=4),
    Recurrent(8, 3, vocabulary=VOCABULARY, layers=2),
    Transformer(8, 2, 2, 3, patch=4),
    Transformer(8, 1, 4, 3, patch=2, causal=True),
    Transformer(8, 2, 2, 3, vocabulary=VOCABULARY, causal=True, length=20),
    Transformer(8, 1, 1, 3, vocabulary=VOCABULARY),
]
each = pytest.mark.parametrize("encoder", EXAMPLES, ids=lambda e: e.name)
SEQUENCES = [e for e in EXAMPLES if isinstance(e, (Recurrent, Transformer))]


def test_every_exported_encoder_is_under_these_laws():
    exported = {v for v in vars(encoders).values() if isinstance(v, type) and issubclass(v, Encoder) and v is not Encoder}
    assert {type(example) for example in EXAMPLES} == exported


def module(encoder, seed=0):
    return initialise(encoder.build(DIM), generator("test", seed))


def inputs(encoder, *shape, seed="x"):
    if encoder.vocabulary is None:
        return torch.randn(*shape, DIM, generator=generator(seed))
    return torch.randint(encoder.vocabulary + 1, (*shape, DIM), generator=generator(seed))  # the last one is the mask


def readings(encoder):
    depths = [None, *range(1, encoder.depth + 1)]
    return [(depth, readout) for depth in depths for readout in (None, *encoder.readouts)]


def positions(encoder, depth):
    if isinstance(encoder, ConvNet):
        side = encoder.side or math.isqrt(DIM)
        for _ in range(depth or encoder.depth):
            side = -(-side // 2)
        return side**2
    return DIM // (encoder.patch or 1)


def layer_width(encoder, depth):
    if depth is None:
        return encoder.features
    return encoder.channels[depth - 1] if isinstance(encoder, ConvNet) else encoder.width


@each
def test_shapes_at_every_depth_and_readout(encoder):
    model, x = module(encoder), inputs(encoder, N)
    assert torch.equal(model(x), model(x, depth=None, readout=None)) and model(x).shape == (N, encoder.features)
    for depth, readout in readings(encoder):
        z, width = model(x, depth=depth, readout=readout), layer_width(encoder, depth)
        assert z.shape == ((N, positions(encoder, depth), width) if readout == "all" else (N, width))
        if readout == "all":
            assert torch.allclose(z.mean(-2), model(x, depth=depth, readout="mean"), atol=1e-5)
            if "last" in encoder.readouts:
                assert torch.allclose(z[:, -1], model(x, depth=depth, readout="last"), atol=1e-5)
    for bad in (0, -1, encoder.depth + 1):
        with pytest.raises(ValueError, match=f"depth is {bad}; allowed: None"):
            encoder.check(bad, None)
    with pytest.raises(ValueError, match="readout is 'first'; allowed: None"):
        encoder.check(None, "first")
    with pytest.raises(ValueError, match=f"depth is {encoder.depth + 1}"):
        model(x, depth=encoder.depth + 1)
    with pytest.raises(ValueError, match="readout is 'first'"):
        model(x, readout="first")


@each
def test_stacked_parameters_give_every_run_alone(encoder):
    models = [module(encoder, seed) for seed in range(RUNS)]
    stacked = {key: torch.stack([m.state_dict()[key] for m in models]) for key in models[0].state_dict()}
    own, shared = inputs(encoder, RUNS, N), inputs(encoder, N)
    for depth, readout in readings(encoder):
        reading = {"depth": depth, "readout": readout}
        for x, of_run in ((own, own), (shared, [shared] * RUNS)):
            together = functional_call(models[0], stacked, (x,), reading)
            alone = torch.stack([m(part, **reading) for m, part in zip(models, of_run, strict=True)])
            torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert models[0](own).shape == (RUNS, N, encoder.features)  # leading axes without stacked parameters


@each
def test_initialisation_is_the_generators_alone(encoder):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = module(encoder).state_dict()
    assert torch.equal(before, torch.get_rng_state()), "the global stream was used"
    torch.manual_seed(2)
    again = module(encoder)
    assert all(torch.equal(first[key], value) for key, value in again.state_dict().items())
    with torch.no_grad():
        for value in again.parameters():
            value.fill_(3.0)  # as if trained
    initialise(again, generator("test", 0))
    assert all(torch.equal(first[key], value) for key, value in again.state_dict().items())
    other = module(encoder, seed=1).state_dict()
    drawn = [key for key, value in first.items() if value.any()]
    assert drawn and not any(torch.equal(first[key], other[key]) for key in drawn)


@each
def test_gradients_reach_every_parameter(encoder):
    model = module(encoder)
    model(inputs(encoder, 64), readout="all" if encoder.readouts else None).square().sum().backward()
    for name, value in model.named_parameters():
        assert value.grad is not None and value.grad.any(), name


@each
def test_second_derivatives_are_those_of_differences_of_gradients(encoder):
    """Flatness and tangent kernels need them."""
    model, x = module(encoder).double(), inputs(encoder, 8)
    x = x.double() if x.is_floating_point() else x
    values = dict(model.named_parameters())
    along = {name: torch.randn(v.shape, generator=generator("v", name), dtype=v.dtype) for name, v in values.items()}

    def gradient(step):
        moved = {name: (v + step * along[name]).detach().requires_grad_() for name, v in values.items()}
        loss = functional_call(model, moved, (x,)).pow(4).sum()
        return moved, torch.autograd.grad(loss, list(moved.values()), create_graph=True)

    at, slope = gradient(0.0)
    product = sum((g * v).sum() for g, v in zip(slope, along.values(), strict=True))
    found = torch.autograd.grad(product, list(at.values()), materialize_grads=True)
    step = 1e-6
    for mine, up, down in zip(found, gradient(step)[1], gradient(-step)[1], strict=True):
        torch.testing.assert_close(mine, (up - down).detach() / (2 * step), rtol=1e-3, atol=1e-4 * float(1 + mine.abs().max()))


@each
def test_no_example_depends_on_another(encoder):
    model, x = module(encoder), inputs(encoder, N)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(model(x)[order], model(x[order]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model(x)[:2], model(x[:2]), rtol=1e-5, atol=1e-6)


@each
def test_parameters_counted_by_hand(encoder):
    b, e = int(getattr(encoder, "bias", True)), encoder
    match encoder:
        case LinearEncoder():
            expected = DIM * 3
        case MLP():
            expected = DIM * 8 + 8 * b + (e.layers - 1) * (64 + 8 * b) + 8 * 3 + 3 * b
        case ConvNet():
            channels = [DIM // (e.side**2 if e.side else DIM), *e.channels]
            expected = sum(9 * i * o + o for i, o in zip(channels, channels[1:], strict=False)) + channels[-1] * 3 + 3
        case Recurrent():
            first = (VOCABULARY + 1) * 8 if e.vocabulary else e.patch * 8 + 8
            expected = first + e.layers * 2 * (8 * 24 + 24) + 8 * 3 + 3
        case Transformer():
            first = (VOCABULARY + 1) * 8 if e.vocabulary else e.patch * 8 + 8
            places = e.length or positions(e, None)
            block = 8 * 24 + (64 + 8) + (8 * 32 + 32) + (32 * 8 + 8)
            expected = first + places * 8 + e.layers * block + 8 * 3 + 3
    assert encoder.n_params(DIM) == expected == sum(p.numel() for p in encoder.build(DIM).parameters())


@each
def test_flops_counted_by_hand(encoder):
    e, t = encoder, None if not encoder.readouts else positions(encoder, None)
    match encoder:
        case LinearEncoder():
            products = DIM * 3
        case MLP():
            products = DIM * 8 + (e.layers - 1) * 64 + 8 * 3
        case ConvNet():
            channels = [DIM // (e.side**2 if e.side else DIM), *e.channels]
            products = sum(9 * channels[i] * channels[i + 1] * positions(e, i + 1) for i in range(e.depth)) + channels[-1] * 3
        case Recurrent():
            products = (0 if e.vocabulary else DIM * 8) + e.layers * t * 2 * 8 * 24 + 8 * 3
        case Transformer():
            products = (0 if e.vocabulary else DIM * 8) + e.layers * t * (8 * 24 + 64 + 2 * 8 * 32 + 2 * t * 8) + 8 * 3
    assert encoder.flops(DIM) == 2 * products


@each
def test_the_ladder_climbs(encoder):
    rungs = encoder.ladder((1, 2, 4))
    assert rungs[0] == encoder and len({e.name for e in rungs}) == 3
    for smaller, larger in zip(rungs, rungs[1:], strict=False):
        assert smaller.n_params(DIM) < larger.n_params(DIM) and smaller.flops(DIM) < larger.flops(DIM)
        assert smaller.saved_bytes(DIM) < larger.saved_bytes(DIM) or isinstance(encoder, LinearEncoder)
    with pytest.raises(ValueError, match="factors"):
        encoder.ladder((2, 1))


@pytest.mark.parametrize("encoder", [e for e in SEQUENCES if getattr(e, "causal", True)], ids=lambda e: e.name)
def test_a_causal_encoder_does_not_look_ahead(encoder):
    model, x = module(encoder), inputs(encoder, N)
    size = encoder.patch or 1
    for cut in (size, DIM // 2):
        other = torch.cat([x[:, :cut], inputs(encoder, N, seed="other")[:, cut:]], dim=1)
        z, w = (model(part, readout="all") for part in (x, other))
        assert torch.equal(z[:, : cut // size], w[:, : cut // size]) and not torch.allclose(z[:, cut // size], w[:, cut // size])


def test_a_transformer_without_positions_sees_a_set():
    encoder = Transformer(8, 2, 2, 3, vocabulary=VOCABULARY)
    model, x, order = module(encoder), inputs(encoder, N), torch.randperm(DIM, generator=generator("order"))
    assert not torch.allclose(model(x), model(x[:, order]), atol=1e-4)
    with torch.no_grad():
        model.positions.weight.zero_()
    torch.testing.assert_close(model(x), model(x[:, order]), rtol=1e-4, atol=1e-5)


def test_attention_is_that_of_torch():
    """One block against torch's own encoder layer at the same weights, causal and not."""
    for causal in (False, True):
        encoder = Transformer(8, 1, 2, 3, patch=4, causal=causal)
        block, h = module(encoder).blocks[0], torch.randn(N, 6, 8, generator=generator("h"))
        layer = torch.nn.TransformerEncoderLayer(8, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        with torch.no_grad():
            layer.self_attn.in_proj_weight.copy_(block.qkv.weight)
            layer.self_attn.in_proj_bias.zero_()
            for theirs, ours in (
                (layer.self_attn.out_proj, block.mixed),
                (layer.linear1, block.hidden),
                (layer.linear2, block.output),
            ):
                theirs.load_state_dict(ours.state_dict())
        mask = torch.full((6, 6), -torch.inf).triu(1) if causal else None
        torch.testing.assert_close(block(h), layer(h, src_mask=mask), rtol=1e-4, atol=1e-5)


def test_the_recurrent_cell_is_that_of_torch():
    cell = module(Recurrent(8, 3, patch=4)).cells[0]
    theirs, x = torch.nn.GRU(8, 8, batch_first=True), torch.randn(N, 6, 8, generator=generator("x"))
    with torch.no_grad():
        for ours, name in ((cell.input, "ih"), (cell.recurrent, "hh")):
            ours.bias.normal_(generator=generator("bias", name))
            getattr(theirs, f"weight_{name}_l0").copy_(ours.weight)
            getattr(theirs, f"bias_{name}_l0").copy_(ours.bias)
    torch.testing.assert_close(cell(x), theirs(x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [None, 2])
def test_the_convolution_is_that_of_torch(side):
    encoder = ConvNet((4, 6), 3, side=side)
    model, x = module(encoder), inputs(encoder, N)
    h = x.view(N, -1, side or 4, side or 4)
    for number, linear in enumerate((model.convolutions[0], model.convolutions[2]), start=1):
        kernel = linear.weight.view(len(linear.weight), -1, 3, 3)
        h = torch.relu(torch.nn.functional.conv2d(h, kernel, linear.bias, stride=2, padding=1))
        torch.testing.assert_close(model(x, depth=number, readout="all"), h.flatten(2).mT, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(x), model.output(h.mean((-1, -2))), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: MLP(0, 3), "MLP: width is 0"),
        (lambda: MLP(8, 3, layers=0), "layers is 0"),
        (lambda: ConvNet((), 3), "channels is empty"),
        (lambda: ConvNet((4, 0), 3), "channels is 0"),
        (lambda: ConvNet((4,), 3).build(15), "15 entries; allowed: a square"),
        (lambda: ConvNet((4,), 3, side=3).build(16), "a multiple of side² = 9"),
        (lambda: Recurrent(8, 3), "one of them"),
        (lambda: Recurrent(8, 3, patch=3).build(16), "patch is 3; allowed: a divisor"),
        (lambda: Transformer(8, 1, 3, 3, patch=2), "multiple of heads = 3"),
        (lambda: Transformer(8, 1, 2, 3, patch=2, vocabulary=4), "one of them"),
        (lambda: Transformer(8, 1, 2, 3, vocabulary=4, length=8).build(16), "length is 8; allowed: at least the 16"),
    ],
)
def test_a_bad_specification_says_what_is_allowed(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_a_transformer_takes_a_prefix_and_refuses_what_is_longer():
    encoder = Transformer(8, 1, 2, 3, vocabulary=VOCABULARY, causal=True)
    model, x = module(encoder), inputs(encoder, N)
    torch.testing.assert_close(model(x[:, :5]), model(x, readout="all")[:, 4], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="17 positions; allowed: at most 16"):
        model(torch.cat([x, x[:, :1]], dim=1))


def test_fields_at_their_default_leave_fingerprints_alone():
    from interface.core import specification

    assert specification(MLP(8, 3)) == {"kind": "MLP", "width": 8, "features": 3} and MLP(8, 3).name == "MLP(8,3)"
    assert list(MLP(8, 3).build(DIM).state_dict()) == ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]
    assert MLP(8, 3, bias=False).closed_form and not MLP(8, 3, bias=False, layers=2).closed_form
