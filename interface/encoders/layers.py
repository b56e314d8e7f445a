"""Layers with torch's own state_dict keys whose forward also accepts parameters with a leading run axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Linear(nn.Linear):
    """`nn.Linear`; with stacked parameters (r, out, in) it gives (r, ..., out) in one product.

    The input is (r, ..., in), or (n, in) where all runs share it. Parameters are 0 until `initialise` draws them: building a
    module spends nothing of the global random stream.
    """

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.ndim == 2:
            return super().forward(x)
        x = over_runs(x, self.weight)
        rows = x.flatten(1, -2)
        w = self.weight.mT
        y = torch.bmm(rows, w) if self.bias is None else torch.baddbmm(self.bias.unsqueeze(1), rows, w)
        return y.view(*x.shape[:-1], -1)


class Embedding(nn.Embedding):
    """`nn.Embedding`; with stacked tables (r, tokens, width) it maps ids (r, ...) or shared (n, t) to (r, ..., width)."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        if self.weight.ndim == 2:
            return super().forward(input)
        ids = over_runs(input, self.weight)
        runs, tokens, width = self.weight.shape
        first = torch.arange(0, runs * tokens, tokens, device=ids.device).view(-1, *(1,) * (ids.ndim - 1))
        return F.embedding(ids + first, self.weight.reshape(-1, width))


class Patches(Linear):
    """An affine map of consecutive patches of a vector: (..., n, t * patch) -> (..., n, t, width)."""

    def forward(self, x: Tensor) -> Tensor:
        x = over_runs(x, self.weight) if self.weight.ndim == 3 else x
        return super().forward(x.unflatten(-1, (-1, self.in_features)))


class Positions(nn.Module):
    """Adds a learned vector to each position: (..., n, t, width) for any t <= length."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, h: Tensor) -> Tensor:
        length, wanted = self.weight.shape[-2], h.shape[-2]
        if wanted > length:
            raise ValueError(
                f"the input has {wanted} positions; allowed: at most {length}, the length that the encoder was built for"
            )
        return h + self.weight[..., :wanted, :].unsqueeze(-3)


def over_runs(x: Tensor, weight: Tensor) -> Tensor:
    """Examples (n, d) that all runs share, once a run; (r, ...) as it is."""
    return x.expand(len(weight), *x.shape) if x.ndim == 2 else x


def initialise(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """The module with every layer drawn afresh: normal weights of variance 1/in (2/in before a ReLU), biases 0.

    Embeddings and positions are standard normal, so that tokens and places weigh alike. Only the generator
    decides, whatever was drawn before; the global stream is left alone.

    Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, eq. (10), for the layers before a ReLU.
    """
    layers = list(module.modules())
    with torch.no_grad():
        for here, after in zip(layers, [*layers[1:], None], strict=True):
            if isinstance(here, Linear):
                gain = 2.0 if isinstance(after, nn.ReLU) else 1.0
                draw = torch.randn(here.weight.shape, generator=generator)
                here.weight.copy_(draw * (gain / here.in_features) ** 0.5)
                if here.bias is not None:
                    here.bias.zero_()
            elif isinstance(here, (Embedding, Positions)):
                here.weight.copy_(torch.randn(here.weight.shape, generator=generator))
    return module
