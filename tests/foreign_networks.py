"""ShuffleNets of other code bases in small, rebuilt from the papers and from the names of their
weights, independently of the zoo's: a class a code base, with state-dict keys as it has them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

REPEATS = (2, 3, 2)
WIDTHS = (16, 32, 64)


def conv(inputs, outputs, kernel=1, stride=1, groups=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def depthwise(channels, stride, kernel=3):
    return conv(channels, channels, kernel, stride, channels)


def interleave(x: Tensor, groups: int = 2) -> Tensor:
    return torch.stack(x.chunk(groups, 1), 2).flatten(1, 2)


def dealt(x: Tensor, groups: int = 2) -> Tensor:
    return torch.cat([x[:, first::groups] for first in range(groups)], 1)


def settle(module: nn.Module, seed: int = 0, channels: int = 3) -> nn.Module:
    """Random batch norms that have seen random images, so that signals keep a size."""
    torch.manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.2)
            norm.momentum = 0.5
    module.train()
    with torch.no_grad():
        for _ in range(4):
            module(torch.randn(4, channels, 64, 64))
    return module.eval()


class Plain(nn.Module):
    """torchvision's keys; also NanoDet's (LeakyReLU) and openpifpaf's (5x5) units."""

    def __init__(self, inputs, outputs, stride, act=nn.ReLU, kernel=3):
        super().__init__()
        half = outputs // 2
        self.stride = stride
        if stride == 2:
            self.branch1 = nn.Sequential(
                *(depthwise(inputs, 2, kernel), nn.BatchNorm2d(inputs)),
                *(conv(inputs, half), nn.BatchNorm2d(half), act()),
            )
        self.branch2 = nn.Sequential(
            *(conv(inputs if stride == 2 else half, half), nn.BatchNorm2d(half), act()),
            *(depthwise(half, stride, kernel), nn.BatchNorm2d(half)),
            *(conv(half, half), nn.BatchNorm2d(half), act()),
        )

    def forward(self, x):
        kept, read = (self.branch1(x), x) if self.stride == 2 else x.chunk(2, 1)
        return interleave(torch.cat([kept, self.branch2(read)], 1))


class Megvii(nn.Module):
    """Megvii's V2 unit: even channels pass, and a projection keeps its width."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride = stride
        read, half = inputs if stride == 2 else inputs // 2, outputs // 2
        made = outputs - read
        self.branch_main = nn.Sequential(
            *(conv(read, half), nn.BatchNorm2d(half), nn.ReLU()),
            *(depthwise(half, stride), nn.BatchNorm2d(half)),
            *(conv(half, made), nn.BatchNorm2d(made), nn.ReLU()),
        )
        if stride == 2:
            self.branch_proj = nn.Sequential(
                *(depthwise(read, 2), nn.BatchNorm2d(read)),
                *(conv(read, read), nn.BatchNorm2d(read), nn.ReLU()),
            )

    def forward(self, x):
        kept, read = (self.branch_proj(x), x) if self.stride == 2 else (x[:, ::2], x[:, 1::2])
        return torch.cat([kept, self.branch_main(read)], 1)


class MegviiV1(nn.Module):
    def __init__(self, inputs, outputs, stride, groups, first):
        super().__init__()
        self.stride, self.groups = stride, groups
        middle, made = outputs // 4, outputs - inputs * (stride == 2)
        self.branch_main_1 = nn.Sequential(
            conv(inputs, middle, groups=1 if first else groups),
            *(nn.BatchNorm2d(middle), nn.ReLU(), depthwise(middle, stride), nn.BatchNorm2d(middle)),
        )
        self.branch_main_2 = nn.Sequential(conv(middle, made, groups=groups), nn.BatchNorm2d(made))
        self.branch_proj = nn.AvgPool2d(3, 2, 1) if stride == 2 else nn.Identity()

    def forward(self, x):
        made = self.branch_main_2(dealt(self.branch_main_1(x), self.groups))
        if self.stride == 1:
            return (made + x).relu()
        return torch.cat([self.branch_proj(x), made.relu()], 1)


class MmpretrainV1(nn.Module):
    """Keys by what `ConvModule` has in it; channels are shuffled after the depthwise one."""

    def __init__(self, inputs, outputs, stride, groups, first):
        super().__init__()
        self.stride, self.groups = stride, groups
        middle, made = outputs // 4, outputs - inputs * (stride == 2)
        for name, layer in (
            ("g_conv_1x1_compress", conv(inputs, middle, groups=1 if first else groups)),
            ("depthwise_conv3x3_bn", depthwise(middle, stride)),
            ("g_conv_1x1_expand", conv(middle, made, groups=groups)),
        ):
            norm = nn.BatchNorm2d(layer.out_channels)
            setattr(self, name, nn.ModuleDict({"conv": layer, "bn": norm}))

    def forward(self, x):
        made = normed(self.g_conv_1x1_compress, x).relu()
        made = interleave(normed(self.depthwise_conv3x3_bn, made), self.groups)
        made = normed(self.g_conv_1x1_expand, made)
        if self.stride == 1:
            return (x + made).relu()
        return torch.cat([nn.functional.avg_pool2d(x, 3, 2, 1), made.relu()], 1)


def normed(layer: nn.ModuleDict, x: Tensor) -> Tensor:
    return layer["bn"](layer["conv"](x))


class Mmpretrain(nn.Module):
    """Its ShuffleNetV1 classifier."""

    def __init__(self, groups, classes=7):
        super().__init__()
        flags = iter([True])
        made = unit_stages(lambda *size: MmpretrainV1(*size, groups, next(flags, False)))
        self.backbone = nn.ModuleDict(
            {
                "conv1": nn.ModuleDict({"conv": conv(3, 8, 3, 2), "bn": nn.BatchNorm2d(8)}),
                "layers": nn.ModuleList(nn.Sequential(*units) for units in made),
            }
        )
        self.head = nn.ModuleDict({"fc": nn.Linear(WIDTHS[-1], classes)})

    def forward(self, x):
        x = nn.functional.max_pool2d(normed(self.backbone["conv1"], x).relu(), 3, 2, 1)
        for stage in self.backbone["layers"]:
            x = stage(x)
        return self.head["fc"](x.mean([2, 3]))


class Squeezed(nn.Module):
    """Megvii's squeeze and excitation, with a hard sigmoid."""

    def __init__(self, channels):
        super().__init__()
        less = channels // 4
        self.SE_opr = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), conv(channels, less), nn.BatchNorm2d(less)),
            *(nn.ReLU(), conv(less, channels)),
        )

    def forward(self, x):
        return x * (self.SE_opr(x) + 3).clamp(0, 6) / 6


class HardSwish(nn.Module):
    def forward(self, x):
        return x * (x + 3).clamp(0, 6) / 6


class MegviiPlus(nn.Module):
    """A unit of V2+; a kernel of 0 is the Xception unit."""

    def __init__(self, inputs, outputs, stride, kernel, act, squeezed):
        super().__init__()
        self.stride = stride
        read, half = inputs if stride == 2 else inputs // 2, outputs // 2
        made = outputs - read
        layers = []
        if kernel == 0:
            layers += [depthwise(read, stride), nn.BatchNorm2d(read)]
            layers += [conv(read, half), nn.BatchNorm2d(half), act()]
            layers += [depthwise(half, 1), nn.BatchNorm2d(half)]
            layers += [conv(half, half), nn.BatchNorm2d(half), act()]
            layers += [depthwise(half, 1), nn.BatchNorm2d(half)]
        else:
            layers += [conv(read, half), nn.BatchNorm2d(half), act()]
            layers += [depthwise(half, stride, kernel), nn.BatchNorm2d(half)]
        layers += [conv(half, made), nn.BatchNorm2d(made), act()]
        self.branch_main = nn.Sequential(*layers, *([Squeezed(made)] if squeezed else []))
        if stride == 2:
            self.branch_proj = nn.Sequential(
                *(depthwise(read, 2, kernel or 3), nn.BatchNorm2d(read)),
                *(conv(read, read), nn.BatchNorm2d(read), act()),
            )

    forward = Megvii.forward


class MegviiV2Plus(nn.Module):
    def __init__(self, classes=7):
        super().__init__()
        self.first_conv = nn.Sequential(conv(3, 8, 3, 2), nn.BatchNorm2d(8), HardSwish())
        units, width = [], 8
        blocks = iter((3, 0, 5, 7, 7, 0, 5, 3))
        for stage, outputs in enumerate((20, 32, 48, 64)):
            act = HardSwish if stage else nn.ReLU
            for index in range(2):
                unit = (width, outputs, 2 - index, next(blocks), act, stage > 1)
                units.append(MegviiPlus(*unit))
                width = outputs
        self.features = nn.Sequential(*units)
        self.conv_last = nn.Sequential(conv(width, 40), nn.BatchNorm2d(40), HardSwish())
        self.LastSE = Squeezed(40)
        self.fc = nn.Sequential(nn.Linear(40, 40, bias=False), HardSwish())
        self.classifier = nn.Sequential(nn.Linear(40, classes, bias=False))

    def forward(self, x):
        x = self.conv_last(self.features(self.first_conv(x))).mean([2, 3], keepdim=True)
        return self.classifier(self.fc(self.LastSE(x).flatten(1)))


def unit_stages(unit, stem=8, **given):
    """A list of stages, each a list of units; `unit(inputs, outputs, stride)` makes one."""
    stages, width = [], stem
    for outputs, repeats in zip(WIDTHS, REPEATS, strict=True):
        sizes = [(width, outputs, 2), *((outputs, outputs, 1) for _ in range(repeats - 1))]
        stages.append([unit(*size, **given) for size in sizes])
        width = outputs
    return stages


class Staged(nn.Module):
    """torchvision: conv1, stage2 to stage4, conv5, fc; `act` LeakyReLU makes it NanoDet's."""

    def __init__(self, classes=7, act=nn.ReLU, last=40, channels=3):
        super().__init__()
        self.conv1 = nn.Sequential(conv(channels, 8, 3, 2), nn.BatchNorm2d(8), act())
        for number, units in enumerate(unit_stages(Plain, act=act), 2):
            setattr(self, f"stage{number}", nn.Sequential(*units))
        if last:
            self.conv5 = nn.Sequential(conv(WIDTHS[-1], last), nn.BatchNorm2d(last), act())
            self.fc = nn.Linear(last, classes)
        self.last = last

    def stages(self, x):
        x = nn.functional.max_pool2d(self.conv1(x), 3, 2, 1)
        found = []
        for number in (2, 3, 4):
            x = getattr(self, f"stage{number}")(x)
            found.append(x)
        return found

    def forward(self, x):
        found = self.stages(x)
        return self.fc(self.conv5(found[-1]).mean([2, 3])) if self.last else found


class Flat(nn.Module):
    """Megvii's V1 and V2: first_conv, features, perhaps conv_last, a classifier without bias."""

    def __init__(self, classes=7, groups=0):
        super().__init__()
        self.first_conv = nn.Sequential(conv(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        width = WIDTHS[-1]
        if groups:
            flags = iter([True])
            made = unit_stages(lambda *size: MegviiV1(*size, groups, next(flags, False)))
            self.conv_last = nn.Identity()
        else:
            made = unit_stages(Megvii)
            self.conv_last = nn.Sequential(conv(width, 40), nn.BatchNorm2d(40), nn.ReLU())
            width = 40
        self.features = nn.Sequential(*(unit for units in made for unit in units))
        self.classifier = nn.Sequential(nn.Linear(width, classes, bias=False))

    def forward(self, x):
        x = nn.functional.max_pool2d(self.first_conv(x), 3, 2, 1)
        return self.classifier(self.conv_last(self.features(x)).mean([2, 3]))


class FastestDet(nn.Module):
    """Its backbone with something after it, as the whole checkpoint has it."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.first_conv = nn.Sequential(conv(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        for number, units in enumerate(unit_stages(Megvii), 2):
            setattr(self.backbone, f"stage{number}", nn.Sequential(*units))
        self.SPP = nn.Sequential(conv(WIDTHS[-1], 4))

    def forward(self, x):
        x = nn.functional.max_pool2d(self.backbone.first_conv(x), 3, 2, 1)
        found = []
        for number in (2, 3, 4):
            x = getattr(self.backbone, f"stage{number}")(x)
            found.append(x)
        return found
