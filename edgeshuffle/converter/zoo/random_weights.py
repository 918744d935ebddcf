"""Seeded random weights with the statistics of a network that works, to measure variants with that
nobody published weights of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from edgeshuffle.converter.zoo.layers import SqueezeExcite

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeshuffle.converter.zoo.network import ShuffleNet

_SIDE: Final = 160
_IMAGES: Final = 5
# Pictures have as much in coarse structures as in fine ones.
_SCALES: Final = (2, 5, 10, 20, 40, 80, 160)
_ROUNDS: Final = 4
_SEED: Final = 0


def filled(build: Callable[[], ShuffleNet]) -> ShuffleNet:
    """The network that `build` makes; its batch norms have seen seeded pictures, (6, C, 160, 160).

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
        _see_pictures(module)
        for gate in (m for m in module.modules() if isinstance(m, SqueezeExcite)):
            _widen(gate.norm)
        _see_pictures(module)
        return module.eval()


def _see_pictures(module: ShuffleNet) -> None:
    with torch.no_grad():
        for _ in range(_ROUNDS):
            module(_pictures(module.shape.inputs))


def _widen(norm: torch.nn.Module) -> None:
    """Let a batch norm of means expect what differs as much as it is large.

    Means over noise hardly differ, and divided by so little, those over pictures would be huge.
    """
    if isinstance(norm, torch.nn.BatchNorm2d):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_var += norm.running_mean.square()
        norm.eval()


def _pictures(channels: int) -> torch.Tensor:
    """Some with structures of all sizes and one of noise, with a standard deviation near 1."""
    shape = (_IMAGES, channels, _SIDE, _SIDE)
    made = torch.zeros(shape)
    for side in _SCALES:
        for shared in (1, channels):
            noise = torch.randn(_IMAGES, shared, side, side).expand(-1, channels, -1, -1)
            made += torch.nn.functional.interpolate(noise, _SIDE, mode="nearest")
    return torch.cat([made / (2 * len(_SCALES)) ** 0.5, torch.randn(1, *shape[1:])])
