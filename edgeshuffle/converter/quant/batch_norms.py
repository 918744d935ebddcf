"""What a network was trained on, as its batch norms remember it: each channel's mean and variance.

Images whose statistics are others are not what the network will see (ZeroQ, Cai et al.,
arXiv:2001.00281, section 3.1, has the distance).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import torch
from torch import nn

from edgeshuffle.converter.quant.images import count_images

if TYPE_CHECKING:
    from edgeshuffle.converter.quant.images import Images

_LEAST_VARIANCE: Final = 1e-6
_IMAGES: Final = 32
_FIRST: Final = 6


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How images differ from those of training, in means over layers and channels.

    `distance` is that of `BatchNorms`, `width` the geometric mean of deviations as shares of those
    remembered, and `narrow` the share of the first layers' channels with less than half of theirs.
    """

    distance: float
    width: float
    narrow: float


class BatchNorms:
    """A copy of a `given` network in inference: how far images are from its statistics."""

    def __init__(self, module: nn.Module) -> None:
        self.given = module
        self._module = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
        self._read: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        for norm in _norms(self._module):
            norm.register_forward_pre_hook(self._look)

    @classmethod
    def of(cls, module: nn.Module | None) -> Self | None:
        """Of a network that has any; None for all others."""
        return cls(module) if module is not None and _norms(module) else None

    def distance(self, images: torch.Tensor) -> torch.Tensor:
        """Of normalised (N, C, H, W) images: the squared difference of means and of deviations, in
        deviations, as a mean of channels and layers. It has gradients.
        """
        return _distance(self._seen(images))

    def drift(self, images: Images) -> Drift:
        """Of some of these, all together."""
        count = count_images(images)
        step = max(count // _IMAGES, 1)
        chosen = range(0, count, step)[:_IMAGES]
        with torch.no_grad():
            seen = self._seen(torch.cat([torch.from_numpy(images[index]) for index in chosen]))
            return Drift(
                distance=float(_distance(seen)),
                width=float(torch.stack([width.log().mean() for _, width in seen]).mean().exp()),
                narrow=float(
                    torch.stack([(width < 0.5).float().mean() for _, width in seen[:_FIRST]]).mean()
                ),
            )

    def _seen(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Of each norm's channels how many deviations their means are off, and how wide their
        deviations are.
        """
        self._read.clear()
        self._module(images)
        found = []
        for read, mean, variance in self._read:
            deviation = (variance + _LEAST_VARIANCE).sqrt()
            seen = (read.var((0, 2, 3), unbiased=False) + _LEAST_VARIANCE).sqrt()
            found.append(((read.mean((0, 2, 3)) - mean) / deviation, seen / deviation))
        self._read.clear()
        return found

    def _look(self, norm: nn.Module, given: tuple[torch.Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        self._read.append((given[0], norm.running_mean, norm.running_var))


def _distance(seen: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    return torch.stack([(off**2 + (width - 1) ** 2).mean() for off, width in seen]).mean()


def _norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [
        norm
        for norm in module.modules()
        if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
    ]
