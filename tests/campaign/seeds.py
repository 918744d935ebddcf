"""Valid files that cases start from, made by the code under test itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgeshuffle.agent import agent_files

if TYPE_CHECKING:
    from pathlib import Path

SIDE, CLASSES, IMAGES = 32, 5, 12


@dataclass(frozen=True)
class Seeds:
    """A folder of valid files.

    `build/net` is the artifact of `model.onnx`, in all four forms; `calib.npz` and `pictures/` fit
    it. `weights.*` are of the smallest ShuffleNetV2.
    """

    folder: Path

    @property
    def artifact(self) -> Path:
        return self.folder / "build" / "net"

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def images(self) -> Path:
        return self.folder / "calib.npz"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def records(self) -> Path:
        return self.folder / "records.jsonl"

    @property
    def earlier(self) -> Path:
        return self.folder / "earlier.jsonl"

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """What `evaluate --json` says of the artifact and the images."""
        found: dict[str, Any] = json.loads((self.folder / "evaluation.json").read_text())
        return found

    @cached_property
    def description(self) -> dict[str, Any]:
        """What an agent tells of this machine."""
        found: dict[str, Any] = json.loads((self.folder / "description.json").read_text())
        return found

    def copy(self, source: Path, target: Path) -> Path:
        """A copy of a seed that may be changed."""
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        return target


def make(folder: Path) -> Seeds:
    """Fill an empty folder."""
    import numpy as np
    import onnx
    import torch
    from networks import Graph, network
    from PIL import Image
    from safetensors.torch import save_file

    seeds = Seeds(folder)
    graph = Graph(size=SIDE, seed=3)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    left, right = graph.split(graph.shuffle(x), 4, 4)
    right = graph.relu(graph.conv(graph.depthwise(right), 4))
    x = graph.shuffle(graph.concat(left, right), "4d")
    onnx.save(graph.classifier(graph.relu(graph.conv(x, 8)), CLASSES), seeds.model)

    random = np.random.default_rng(11)
    pixels = random.integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    np.savez(seeds.images, x=pixels, y=np.arange(IMAGES) % CLASSES)
    for label in range(CLASSES):
        (seeds.pictures / str(label)).mkdir(parents=True)
        Image.fromarray(pixels[label]).save(seeds.pictures / str(label) / "a.png")
        Image.fromarray(pixels[-label - 1]).save(seeds.pictures / str(label) / "b.jpg")

    state = network(0.5, CLASSES, resolution=SIDE).state_dict()
    save_file(state, folder / "weights.safetensors")
    torch.save({"epoch": 1, "state_dict": state}, folder / "weights.pth")

    _edgeshuffle(
        *("export", "--onnx", seeds.model, "--int8", "--recipe", "fast", "--calib", seeds.images),
        *("-o", seeds.artifact),
    )
    (folder / "evaluation.json").write_text(
        _edgeshuffle("evaluate", seeds.artifact, "--data", seeds.images, "--json")
    )
    bench = ("bench", seeds.artifact, "--fresh")
    for target in (seeds.earlier, seeds.records):
        _edgeshuffle(*bench, allowed=(0, 11))
        newest = max(
            (folder / "build" / "bench").iterdir(), key=lambda path: path.stat().st_mtime_ns
        )
        newest.rename(target)
    shutil.rmtree(folder / "build" / "bench", ignore_errors=True)
    (folder / "description.json").write_text(
        _run([sys.executable, str(agent_files()[-1]), "--describe"])
    )
    return seeds


def _edgeshuffle(*arguments: str | Path, allowed: tuple[int, ...] = (0,)) -> str:
    return _run([sys.executable, "-m", "edgeshuffle", *map(str, arguments)], allowed)


def _run(command: list[str], allowed: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode in allowed, done.stderr
    return done.stdout
