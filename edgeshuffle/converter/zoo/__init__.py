"""The networks: cards, the torch modules, and weights for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeshuffle.converter.zoo import demo
from edgeshuffle.converter.zoo.cards import Card, card_of_width
from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.converter.zoo.shufflenet_v2 import ShuffleNetV2
    from edgeshuffle.converter.zoo.weights import Checkpoint

SMALL_INPUT = 64


@dataclass(frozen=True)
class Loaded:
    """A network in evaluation mode with its weights, and everything the exporter needs of it."""

    module: ShuffleNetV2
    card: Card
    preprocess: Preprocess
    labels: tuple[str, ...] | None
    source: dict[str, Any]
    notes: tuple[str, ...]
    in_channels: int = 3


def load(
    *,
    width: float | None,
    weights: str,
    num_classes: int | None = None,
    resolution: tuple[int, int] | None = None,
    stem: str | None = None,
    key: str | None = None,
) -> Loaded:
    """Build ShuffleNetV2 and load `weights` (`demo`, `imagenet` or a file) strictly.

    What is None is inferred from the checkpoint, and must agree with it where given; `key` names
    one of several sets of weights in it. Raises WeightsError, UnknownNameError.
    """
    from edgeshuffle.converter.zoo.download import download
    from edgeshuffle.converter.zoo.stem import choose_stem
    from edgeshuffle.converter.zoo.weights import read_checkpoint, recognise

    packaged = weights in ("demo", "imagenet")
    wanted = card_of_width(width if width is not None else 1.0)
    if weights == "demo":
        path = demo.demo_weights(wanted)
    elif weights == "imagenet":
        path = download(wanted)
    else:
        path = Path(weights)
    checkpoint = read_checkpoint(path, key)
    card = recognise(checkpoint)
    if width is not None and card.width != wanted.width:
        raise WeightsError(
            f"{path} is a width {card.width:g} checkpoint, not {width:g}. Leave `width` out or "
            f"use `width={card.width:g}`."
        )
    if num_classes not in (None, checkpoint.num_classes):
        raise WeightsError(
            f"{path} has {checkpoint.num_classes} classes, not {num_classes}. Leave "
            "`num_classes` out or give the checkpoint that was trained for it."
        )
    module = _filled(card, checkpoint)
    chosen = choose_stem(
        stem, checkpoint, small=max(resolution or card.preprocess.crop) <= SMALL_INPUT
    )
    notes = [chosen.note] if chosen.note and not packaged else []
    module.use_stem(chosen.stem)
    if checkpoint.others and key is None:
        others = ", ".join(f"'{name}'" for name in checkpoint.others)
        mine = f"'{checkpoint.key}'" if checkpoint.key else "those without a name"
        notes.append(f"weights: {mine} of {path.name}, not {others} (`key` chooses)")
    labels = None
    preprocess = card.preprocess
    if weights == "demo":
        labels, preprocess = demo.demo_labels(), demo.demo_preprocess(card)
        notes.append("weights: packaged demo (Fashion-MNIST, 10 classes); see `weights`")
    elif weights == "imagenet" and card.weights is not None:
        labels = card.labels
        notes.append(
            f"weights: sha256 {checkpoint.sha256} (the publisher tells its first "
            f"{4 * len(card.weights.sha256_prefix)} bits; the rest is the first download's)"
        )
    source = {
        "kind": weights if packaged else "checkpoint",
        "file": path.name,
        "sha256": checkpoint.sha256,
        "card": card.name,
        "card_sha256": card.sha256,
        "stem": chosen.stem,
        **({"key": checkpoint.key} if checkpoint.key else {}),
    }
    return Loaded(module.eval(), card, preprocess, labels, source, tuple(notes))


def _filled(card: Card, checkpoint: Checkpoint) -> ShuffleNetV2:
    """A network with the checkpoint's weights, which must all be there, fit and be sound."""
    import torch

    from edgeshuffle.converter.zoo.shufflenet_v2 import ShuffleNetV2

    path = checkpoint.path
    for key, value in checkpoint.state.items():
        if not value.is_floating_point() and not key.endswith("num_batches_tracked"):
            raise WeightsError(
                f"{path} holds {value.dtype} in '{key}', where floats are expected. Give the "
                "checkpoint from before it was quantized."
            )
    module = ShuffleNetV2(card.channels, checkpoint.num_classes)
    try:
        module.load_state_dict({k: v.float() for k, v in checkpoint.state.items()})
    except RuntimeError as err:
        detail = quoted(str(err))
        raise WeightsError(
            f"{path} does not fit {card.name}: {detail}. Its keys and shapes must be torchvision's."
        ) from err
    for key, value in module.state_dict().items():
        if not torch.isfinite(value).all():
            raise WeightsError(f"{path} holds NaN or infinity in '{key}'. Use another epoch.")
        if key.endswith("running_var") and (value < 0).any():
            raise WeightsError(f"{path} holds a negative variance in '{key}'. Use another epoch.")
    return module
