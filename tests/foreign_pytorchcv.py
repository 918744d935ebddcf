"""pytorchcv's ShuffleNets in small, with its names, rebuilt as in `foreign_networks`."""

from __future__ import annotations

import torch
from foreign_networks import WIDTHS, conv, depthwise, interleave, unit_stages
from torch import nn


def named(convolution, act=False):
    """conv and bn under these names."""
    block = nn.Sequential()
    block.conv, block.bn = convolution, nn.BatchNorm2d(convolution.out_channels)
    if act:
        block.activ = nn.ReLU()
    return block


class Unit1(nn.Module):
    """ShuffleNetV1: shuffled before the depthwise convolution, the pooled input last."""

    def __init__(self, inputs, outputs, stride, groups, first):
        super().__init__()
        self.stride, self.groups = stride, groups
        middle, made = outputs // 4, outputs - inputs * (stride == 2)
        self.compress_conv1 = conv(inputs, middle, groups=1 if first else groups)
        self.compress_bn1 = nn.BatchNorm2d(middle)
        self.dw_conv2, self.dw_bn2 = depthwise(middle, stride), nn.BatchNorm2d(middle)
        self.expand_conv3, self.expand_bn3 = (
            conv(middle, made, groups=groups),
            nn.BatchNorm2d(made),
        )

    def forward(self, x):
        made = self.compress_bn1(self.compress_conv1(x)).relu()
        made = self.dw_bn2(self.dw_conv2(interleave(made, self.groups)))
        made = self.expand_bn3(self.expand_conv3(made))
        if self.stride == 1:
            return (made + x).relu()
        return torch.cat([made, nn.functional.avg_pool2d(x, 3, 2, 1)], 1).relu()


class Unit2(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride, half = stride, outputs // 2
        self.compress_conv1 = conv(inputs if stride == 2 else half, half)
        self.dw_conv2, self.expand_conv3 = depthwise(half, stride), conv(half, half)
        self.compress_bn1, self.dw_bn2, self.expand_bn3 = (nn.BatchNorm2d(half) for _ in range(3))
        if stride == 2:
            self.dw_conv4, self.expand_conv5 = depthwise(inputs, 2), conv(inputs, half)
            self.dw_bn4, self.expand_bn5 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(half)

    def forward(self, x):
        kept, x = (x, x) if self.stride == 2 else x.chunk(2, 1)
        if self.stride == 2:
            kept = self.expand_bn5(self.expand_conv5(self.dw_bn4(self.dw_conv4(kept)))).relu()
        made = self.dw_bn2(self.dw_conv2(self.compress_bn1(self.compress_conv1(x)).relu()))
        made = self.expand_bn3(self.expand_conv3(made)).relu()
        return interleave(torch.cat([kept, made], 1))


class Unit2b(nn.Module):
    """Megvii's widths, interleaved after the concatenation."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride = stride
        read, half = inputs if stride == 2 else inputs // 2, outputs // 2
        self.conv1 = named(conv(read, half), act=True)
        self.dconv = named(depthwise(half, stride))
        self.conv2 = named(conv(half, outputs - read), act=True)
        if stride == 2:
            self.shortcut_dconv = named(depthwise(read, 2))
            self.shortcut_conv = named(conv(read, read), act=True)

    def forward(self, x):
        kept, x = (x, x) if self.stride == 2 else x.chunk(2, 1)
        if self.stride == 2:
            kept = self.shortcut_conv(self.shortcut_dconv(kept))
        return interleave(torch.cat([kept, self.conv2(self.dconv(self.conv1(x)))], 1))


class Pytorchcv(nn.Module):
    """`kind` is `1` with groups, `2` (its max-pool rounds up) or `2b`."""

    def __init__(self, kind, groups=2, classes=7):
        super().__init__()
        flags = iter([True])
        makers = {"2": Unit2, "2b": Unit2b}
        makers["1"] = lambda *size: Unit1(*size, groups, next(flags, False))
        self.pool = nn.MaxPool2d(3, 2, 0, ceil_mode=True) if kind == "2" else nn.MaxPool2d(3, 2, 1)
        first = named(conv(3, 8, 3, 2), act=True)
        self.features = nn.Sequential()
        self.features.init_block = nn.Module()
        if kind == "1":
            self.features.init_block = first
        else:
            self.features.init_block.conv = first
        self.first = [first]
        for number, units in enumerate(unit_stages(makers[kind]), 1):
            stage = nn.Sequential()
            for index, unit in enumerate(units, 1):
                stage.add_module(f"unit{index}", unit)
            self.features.add_module(f"stage{number}", stage)
        last = WIDTHS[-1]
        if kind != "1":
            self.features.final_block = named(conv(last, 40), act=True)
            last = 40
        self.output = nn.Linear(last, classes)

    def forward(self, x):
        x = self.pool(self.first[0](x))
        for name, block in self.features.named_children():
            if name != "init_block":
                x = block(x)
        return self.output(x.mean([2, 3]))
