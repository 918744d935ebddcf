"""ShuffleNetV2 as a torch module (Ma et al. 2018, arXiv:1807.11164, section 3 and table 5).

State-dict keys equal torchvision's `shufflenet_v2_x*`, so public and fine-tuned checkpoints load
strictly.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import torch
from torch import Tensor, nn

Stem = Literal["imagenet", "cifar"]
STEMS: Final[tuple[str, ...]] = get_args(Stem)

STAGE_REPEATS: Final = (4, 8, 4)


def _conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave `groups` equal channel groups of (N, C, H, W) (arXiv:1707.01083, 3.1)."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class InvertedResidual(nn.Module):
    """The basic unit (stride 1, figure 3c) and the down-sampling unit (stride 2, figure 3d)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride == 2:
            self.branch1 = nn.Sequential(
                *_conv_bn(inputs, inputs, 3, 2, groups=inputs),
                *_conv_bn(inputs, half, 1),
                nn.ReLU(inplace=True),
            )
        self.branch2 = nn.Sequential(
            *_conv_bn(inputs if stride == 2 else half, half, 1),
            nn.ReLU(inplace=True),
            *_conv_bn(half, half, 3, stride, groups=half),
            *_conv_bn(half, half, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            kept, x = x.chunk(2, dim=1)
        else:
            kept = self.branch1(x)
        return channel_shuffle(torch.cat((kept, self.branch2(x)), dim=1), 2)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 classifier: (N, 3, H, W) float32 images to (N, num_classes) logits.

    `channels` are the outputs of conv1, stage 2, 3, 4 and conv5 (table 5). The `cifar` stem keeps
    the input's resolution: conv1 has stride 1 and there is no max-pool.
    """

    def __init__(
        self,
        channels: tuple[int, int, int, int, int],
        num_classes: int = 1000,
        stem: Stem = "imagenet",
    ) -> None:
        super().__init__()
        width = channels[0]
        self.conv1 = nn.Sequential(*_conv_bn(3, width, 3, 2), nn.ReLU(inplace=True))
        self.use_stem(stem)
        stages = []
        for outputs, repeats in zip(channels[1:4], STAGE_REPEATS, strict=True):
            units = [InvertedResidual(width, outputs, 2)]
            units += [InvertedResidual(outputs, outputs, 1) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*units))
            width = outputs
        self.stage2, self.stage3, self.stage4 = stages
        self.conv5 = nn.Sequential(*_conv_bn(width, channels[4], 1), nn.ReLU(inplace=True))
        self.fc = nn.Linear(channels[4], num_classes)

    def use_stem(self, stem: Stem) -> None:
        """Change the stem, which has the same weights either way."""
        small = stem == "cifar"
        first = self.conv1[0]
        assert isinstance(first, nn.Conv2d)
        first.stride = (1, 1) if small else (2, 2)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        logits: Tensor = self.fc(self.conv5(x).mean([2, 3]))
        return logits
