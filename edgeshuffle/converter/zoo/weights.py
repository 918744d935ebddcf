"""Checkpoints: read, and recognise the network they belong to."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import safe_open

from edgeshuffle.artifact import sha256
from edgeshuffle.converter.zoo.cards import Card, card_names, load_card
from edgeshuffle.converter.zoo.containers import choose
from edgeshuffle.errors import WeightsError
from edgeshuffle.memory import bounded_memory
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A training checkpoint of the widest network is 120 MB, with its averages and its optimizer.
_MOST_BYTES: Final = 1 << 30
# What torch takes for itself to read one.
_READING_BYTES: Final = 512 << 20


@dataclass(frozen=True)
class Checkpoint:
    """A state dict with torchvision's keys, the file it came from, and what the file says of it.

    `key` is where it lay in the file ('' at the top), `others` are the keys of other sets there.
    """

    path: Path
    state: Mapping[str, torch.Tensor]
    notes: Mapping[str, str]
    sha256: str
    key: str = ""
    others: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """Rows of the classifier."""
        return int(self.state["fc.weight"].shape[0])


def read_checkpoint(path: Path, key: str | None = None) -> Checkpoint:
    """Read a .pth/.pt (tensors only, nothing is unpickled) or .safetensors file.

    `key` names one of several sets of weights in it, by a dotted path. Raises WeightsError for a
    missing, corrupt, huge or foreign file, and for a key that it does not have.
    """
    if not path.is_file():
        raise WeightsError(f"There is no checkpoint at {path}. Check the path given to `weights`.")
    size = _unpacked_bytes(path)
    if size > _MOST_BYTES:
        raise WeightsError(
            f"{path} unpacks to {size / 2**20:.0f} MiB, more than {_MOST_BYTES >> 20}. Save the "
            "weights alone: torch.save(model.state_dict(), FILE)."
        )
    notes: dict[str, str] = {}
    try:
        # What a file says of the sizes in it must be true, but need not be.
        with bounded_memory(2 * size + _READING_BYTES):
            if path.suffix == ".safetensors":
                with safe_open(path, framework="pt") as file:
                    notes = dict(file.metadata() or {})
                    loaded: Any = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            else:
                loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:  # torch and safetensors raise many types for a bad file
        explained = str(err)
        # Torch explains at length how to allow what is not allowed here.
        foreign = "Weights only load failed" in explained and "GLOBAL" in explained
        first = "it holds more than tensors" if foreign else _first_line(err)
        raise WeightsError(
            f"{path} is not a readable checkpoint ({first}). Save a plain state dict: "
            "torch.save(model.state_dict(), FILE)."
        ) from err
    found, others = choose(loaded, path, key)
    said = {**found.said, **notes}
    return Checkpoint(path, found.state, said, sha256(path), found.key, others)


def _unpacked_bytes(path: Path) -> int:
    """What is in a file, which may be a packed one."""
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        return size
    try:
        with zipfile.ZipFile(path) as file:
            return max(size, sum(entry.file_size for entry in file.infolist()))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return size


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    # Some messages are but a number.
    told = lines and not lines[0].isdecimal() and "Weights only load failed" not in lines[0]
    return quoted(lines[0], 160) if told else "it is damaged, or no checkpoint at all"


def recognise(checkpoint: Checkpoint) -> Card:
    """The card whose channel counts the checkpoint has; raises WeightsError if there is none."""
    keys = ("conv1.0", *(f"stage{i}.0.branch2.5" for i in (2, 3, 4)), "conv5.0")
    try:
        shapes = [int(checkpoint.state[f"{key}.weight"].shape[0]) for key in keys]
    except (KeyError, IndexError) as err:
        raise WeightsError(f"{checkpoint.path} is incomplete ({err}). Save it again.") from err
    found = (shapes[0], *(2 * n for n in shapes[1:4]), shapes[4])
    for name in card_names():
        card = load_card(name)
        if card.channels == found:
            return card
    raise WeightsError(
        f"{checkpoint.path} has channels {found}, which no known ShuffleNetV2 width has. Export "
        "it to ONNX and give it with `onnx`."
    )
