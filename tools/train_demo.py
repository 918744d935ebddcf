"""Train the packaged demo weights: ShuffleNetV2 on Fashion-MNIST, from scratch.

    apt-get install dataset-fashion-mnist
    python tools/train_demo.py --width 1.0 --out demo_x1_0.pt

Most epochs run at a low resolution and the last ones at 224, the card's input: the same network
sees larger pictures as the learning rate falls. The last 2,000 training images are held out to
watch the training; the test set is read once, after the last step. A run that was stopped goes on
from its last finished epoch.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeshuffle.converter.zoo.shufflenet_v2 import ShuffleNetV2

CHANNELS = {"0.5": (24, 48, 96, 192, 1024), "1.0": (24, 116, 232, 464, 1024)}
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
HELD_OUT = 2000


@dataclass(frozen=True)
class Phase:
    """`epochs` passes at `resolution`, the learning rate falling from `rate` to `final`."""

    resolution: int
    epochs: float
    rate: float
    final: float

    @classmethod
    def parse(cls, text: str) -> Phase:
        resolution, epochs, rate, final = text.split(":")
        return cls(int(resolution), float(epochs), float(rate), float(final))


# What the packaged weights were trained with.
PHASES = {
    "0.5": [Phase(64, 9, 0.3, 0.01), Phase(112, 3, 0.1, 0.005), Phase(224, 2.4, 0.05, 0)],
    "1.0": [
        Phase(64, 8, 0.3, 0.01),
        Phase(112, 3, 0.1, 0.003),
        Phase(224, 0.7, 0.03, 0),
        Phase(224, 2.4, 0.05, 0),
    ],
}


def read_idx(path: Path) -> np.ndarray:
    """One gzipped IDX file of unsigned bytes (yann.lecun.com/exdb/mnist, 'file format')."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    shape = np.frombuffer(data, ">i4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy(read_idx(folder / f"{split}-images-idx3-ubyte.gz").copy())
    labels = torch.from_numpy(read_idx(folder / f"{split}-labels-idx1-ubyte.gz").copy())
    return images[:, None], labels.long()


def to_input(images: Tensor, resolution: int) -> Tensor:
    """(N, 1, 28, 28) bytes to the network's normalised (N, 3, R, R) input."""
    size = (resolution, resolution)
    grey = functional.interpolate(images.float(), size, mode="bilinear", align_corners=False)
    return ((grey / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, shift by up to two pixels, and erase a rectangle in half of the images."""
    count = len(images)

    def draw(low: int, high: int) -> list[int]:
        return torch.randint(low, high, (count,), generator=generator).tolist()

    padded = functional.pad(images, (2, 2, 2, 2))
    out = torch.empty_like(images)
    draws = zip(
        draw(0, 2),
        draw(0, 5),
        draw(0, 5),
        draw(0, 2),
        draw(0, 24),
        draw(0, 24),
        draw(4, 13),
        draw(4, 13),
        draw(0, 256),
        strict=True,
    )
    for i, (flip, dx, dy, erase, left, top, wide, high, grey) in enumerate(draws):
        image = padded[i, :, dy : dy + 28, dx : dx + 28]
        out[i] = image.flip(-1) if flip else image
        if erase:
            out[i, :, top : top + high, left : left + wide] = grey
    return out


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor, resolution: int) -> float:
    model.eval()
    right = 0
    for x, y in zip(torch.split(images, 100), torch.split(labels, 100), strict=True):
        right += int((model(to_input(x, resolution)).argmax(1) == y).sum())
    model.train()
    return 100 * right / len(images)


def learning_rate(phase: Phase, progress: float, warmup: float) -> float:
    if progress < warmup:
        return phase.rate * progress / warmup
    fraction = (progress - warmup) / (1 - warmup)
    return phase.final + (phase.rate - phase.final) * 0.5 * (1 + math.cos(math.pi * fraction))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", choices=CHANNELS, required=True)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--phases",
        type=Phase.parse,
        nargs="+",
        metavar="RES:EPOCHS:RATE:FINAL",
        help="default: what the packaged weights were trained with",
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    phases = options.phases or PHASES[options.width]

    torch.manual_seed(options.seed)
    torch._dynamo.config.automatic_dynamic_shapes = False
    images, labels = load(options.data, "train")
    held_images, held_labels = images[-HELD_OUT:], labels[-HELD_OUT:]
    images, labels = images[:-HELD_OUT], labels[:-HELD_OUT]

    model = ShuffleNetV2(CHANNELS[options.width], num_classes=10)
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": 2e-4}, {"params": plain, "weight_decay": 0.0}],
        lr=0.1,
        momentum=0.9,
        nesterov=True,
    )
    resume = options.out.with_suffix(".resume")
    done: tuple[int, int] = (0, 0)
    if resume.exists():
        state = torch.load(resume, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = tuple(state["done"])

    step_model = torch.compile(model, dynamic=False)
    started = time.monotonic()
    for index, phase in enumerate(phases):
        total = int(phase.epochs * len(images)) // options.batch
        per_epoch = len(images) // options.batch
        for epoch in range(math.ceil(phase.epochs)):
            if (index, epoch) < done:
                continue
            generator = torch.Generator().manual_seed(options.seed * 10_000 + index * 100 + epoch)
            order = torch.randperm(len(images), generator=generator)
            loss_sum, steps = 0.0, min(per_epoch, total - epoch * per_epoch)
            for step in range(steps):
                batch = order[step * options.batch : (step + 1) * options.batch]
                progress = (epoch * per_epoch + step) / total
                warmup = 0.15 if index == 0 else 0.02
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(phase, progress, warmup)
                x = to_input(augment(images[batch], generator), phase.resolution)
                loss = functional.cross_entropy(step_model(x), labels[batch], label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                loss_sum += loss.item()
            held = accuracy(model, held_images, held_labels, phase.resolution)
            print(
                f"{phase.resolution} px, epoch {epoch + 1}/{phase.epochs:g}: "
                f"loss {loss_sum / max(steps, 1):.3f}, held-out top-1 {held:.2f}, "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "done": [index, epoch + 1],
                },
                resume,
            )

    test_images, test_labels = load(options.data, "t10k")
    top1 = accuracy(model, test_images, test_labels, phases[-1].resolution)
    torch.save(model.state_dict(), options.out)
    options.out.with_suffix(".json").write_text(json.dumps({"top1_float32": top1}) + "\n")
    print(f"test top-1 at {phases[-1].resolution} px: {top1:.2f}")


if __name__ == "__main__":
    main()
