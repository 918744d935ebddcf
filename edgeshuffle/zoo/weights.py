"""Checkpoints: find, verify, read, and recognise the network they belong to."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from edgeshuffle.artifact import sha256
from edgeshuffle.atomic import atomic_file
from edgeshuffle.errors import WeightsError
from edgeshuffle.packaged import cache_folder
from edgeshuffle.zoo.cards import Card, card_names, load_card

if TYPE_CHECKING:
    from pathlib import Path

_CONTAINERS: Final = ("state_dict", "model_state_dict", "model_state", "model", "net", "ema")
_PREFIXES: Final = ("module.", "_orig_mod.", "model.")
_TIMEOUT_S: Final = 30
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """A state dict with torchvision's keys, the file it came from, and what the file says of it."""

    path: Path
    state: Mapping[str, torch.Tensor]
    notes: Mapping[str, str]
    sha256: str

    @property
    def num_classes(self) -> int:
        """Rows of the classifier."""
        return int(self.state["fc.weight"].shape[0])


def download(card: Card) -> Path:
    """The public ImageNet checkpoint of a variant, from the cache or its official address.

    Raises WeightsError without a network, or where the sha256 does not start as the file name says.
    """
    url = card.weights.url
    target = cache_folder() / url.rsplit("/", 1)[-1]
    if target.exists() and sha256(target).startswith(card.weights.sha256_prefix):
        return target
    digest = hashlib.sha256()
    with atomic_file(target) as temporary:
        try:
            with (
                urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply,  # noqa: S310 - a card's
                temporary.open("wb") as out,
            ):
                while chunk := reply.read(_CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as err:
            raise WeightsError(
                f"Cannot download {url} ({getattr(err, 'reason', err)}). Fetch it where there is a "
                f"network and give it with --weights FILE, or use --weights demo."
            ) from err
        if not digest.hexdigest().startswith(card.weights.sha256_prefix):
            raise WeightsError(
                f"{url} has sha256 {digest.hexdigest()}, which does not start with "
                f"{card.weights.sha256_prefix}: the download is damaged or was replaced. Try again."
            )
    return target


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a .pth/.pt (tensors only, nothing is unpickled) or .safetensors file.

    Raises WeightsError for a missing, corrupt or foreign file.
    """
    if not path.is_file():
        raise WeightsError(f"There is no checkpoint at {path}. Check the path given to --weights.")
    notes: dict[str, str] = {}
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open  # noqa: PLC0415

            with safe_open(path, framework="pt") as file:
                notes = dict(file.metadata() or {})
                loaded: Any = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
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
    state, said = _unwrap(loaded, path)
    return Checkpoint(path, state, {**said, **notes}, sha256(path))


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    # Some messages are but a number.
    told = lines and not lines[0].isdecimal() and "Weights only load failed" not in lines[0]
    return lines[0][:160] if told else "it is damaged, or no checkpoint at all"


def _unwrap(loaded: Any, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    said: dict[str, str] = {}
    while isinstance(loaded, Mapping) and "fc.weight" not in loaded:
        inner = next((loaded[k] for k in _CONTAINERS if isinstance(loaded.get(k), Mapping)), None)
        if inner is None:
            break
        said.update({k: v for k, v in loaded.items() if isinstance(v, str)})
        loaded = inner
    if not isinstance(loaded, Mapping) or not all(isinstance(k, str) for k in loaded):
        raise WeightsError(
            f"{path} holds a {type(loaded).__name__}, not a state dict. Save one: "
            "torch.save(model.state_dict(), FILE)."
        )
    state = {key: value for key, value in loaded.items() if isinstance(value, torch.Tensor)}
    for _ in _PREFIXES:
        for prefix in _PREFIXES:
            if state and all(key.startswith(prefix) for key in state):
                state = {key.removeprefix(prefix): value for key, value in state.items()}
    for key in ("conv1.0.weight", "stage2.0.branch2.0.weight", "conv5.0.weight", "fc.weight"):
        if key not in state:
            raise WeightsError(
                f"{path} is no ShuffleNetV2 checkpoint: it has no '{key}'. Its keys must be "
                "torchvision's; for another network export it to ONNX and give it with --onnx."
            )
        if state[key].ndim < 2 or not state[key].numel():
            raise WeightsError(
                f"{path} has the shape {tuple(state[key].shape)} for '{key}', which is no weight "
                "of a ShuffleNetV2. Save it again."
            )
    return state, said


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
        "it to ONNX and give it with --onnx."
    )
