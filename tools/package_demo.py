"""Package trained demo weights and slices of Fashion-MNIST under models/demo.

    python tools/package_demo.py demo_x0_5.pt demo_x1_0.pt --full-test fashion_mnist_10k.npz

Convolution and classifier weights are stored as float16, batch-norm statistics as float32. The
test slice has the first images of each class of the test set, the calibration slice the first of
each class of the training set. `--full-test` also writes the whole test set, to measure with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from train_demo import read_idx

from edgeshuffle.converter import zoo
from edgeshuffle.converter.zoo.demo import demo_labels
from edgeshuffle.host.packaged import CALIBRATION_IMAGES, DEMO, TEST_IMAGES

TEST_PER_CLASS = 100
CALIBRATION_PER_CLASS = 20


def stratified(
    images: np.ndarray, labels: np.ndarray, per_class: int
) -> tuple[np.ndarray, np.ndarray]:
    chosen = [np.flatnonzero(labels == label)[:per_class] for label in np.unique(labels)]
    order = np.stack(chosen, axis=1).reshape(-1)
    return images[order], labels[order].astype(np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--full-test", type=Path)
    options = parser.parse_args()

    DEMO.mkdir(exist_ok=True)
    for path in options.checkpoints:
        loaded = zoo.load(zoo.Wanted(weights=str(path)))
        state = {
            key: (value.half() if value.ndim > 1 else value).contiguous()
            for key, value in loaded.module.state_dict().items()
        }
        target = DEMO / f"{loaded.name}.safetensors"
        save_file(state, target, metadata={"stem": "imagenet", "data": "Fashion-MNIST"})
        print(f"{target.name}: {target.stat().st_size} bytes")

    classes = np.array(demo_labels())
    for split, target, per_class in (
        ("t10k", TEST_IMAGES, TEST_PER_CLASS),
        ("train", CALIBRATION_IMAGES, CALIBRATION_PER_CLASS),
    ):
        images = read_idx(options.data / f"{split}-images-idx3-ubyte.gz")
        labels = read_idx(options.data / f"{split}-labels-idx1-ubyte.gz")
        x, y = stratified(images, labels, per_class)
        np.savez_compressed(target, x=x, y=y, classes=classes)
        print(f"{target.name}: {target.stat().st_size} bytes")
        if split == "t10k" and options.full_test:
            np.savez_compressed(options.full_test, x=images, y=labels.astype(np.int64))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
