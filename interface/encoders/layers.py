"""Layers with torch's own state_dict keys whose forward also accepts parameters with a leading run axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Linear):
    """`nn.Linear`; with stacked parameters (r, out, in) it gives (r, n, out) in one product.

    The input is (r, n, in), or (n, in) where all runs share it. Parameters are 0 until `initialise` draws them: building a
    module spends nothing of the global random stream.
    """

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.ndim == 2:
            return super().forward(x)
        runs = self.weight.shape[0]
        x = x.expand(runs, *x.shape) if x.ndim == 2 else x
        if self.bias is None:
            return torch.bmm(x, self.weight.mT)
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight.mT)


def initialise(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """The module with every `Linear` drawn afresh: normal weights of variance 1/in (2/in before a ReLU), biases 0.

    Only the generator decides, whatever was drawn before; the global stream is left alone.

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
    return module
