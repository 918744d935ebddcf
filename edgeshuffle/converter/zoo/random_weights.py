"""Seeded random weights with the statistics of a network that works, to measure variants with that
nobody published weights of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeshuffle.converter.zoo.network import ShuffleNet

_SIDE: Final = 64
_IMAGES: Final = 4
_ROUNDS: Final = 4
_SEED: Final = 0


def filled(build: Callable[[], ShuffleNet]) -> ShuffleNet:
    """The network that `build` makes; its batch norms have seen seeded noise of (4, C, 64, 64).

    The same network always gets the same weights; torch's own generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        module = build()
        norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for layer in module.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        for norm in norms:
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_(0, 0.2)
            norm.momentum = 0.5
        module.train()
        with torch.no_grad():
            for _ in range(_ROUNDS):
                module(torch.randn(_IMAGES, module.shape.inputs, _SIDE, _SIDE))
        return module.eval()
