"""The networks: cards, the torch modules, and weights for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.converter.zoo import demo
from edgeshuffle.converter.zoo.cards import Card, find_card, load_card
from edgeshuffle.errors import WeightsError

if TYPE_CHECKING:
    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.converter.zoo.fitting import Fitted
    from edgeshuffle.converter.zoo.network import ShuffleNet
    from edgeshuffle.converter.zoo.weights import Checkpoint

SMALL_INPUT: Final = 64
PACKAGED: Final = ("demo", "imagenet", "random")


@dataclass(frozen=True)
class Loaded:
    """A network in evaluation mode with its weights, and everything the exporter needs of it.

    `classes` are class names as the checkpoint has them, in whatever form.
    """

    name: str
    module: ShuffleNet
    card: Card | None
    preprocess: Preprocess
    labels: tuple[str, ...] | None
    classes: dict[str, Any]
    source: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is said of a network; None is read from its weights, and must agree where given.

    `weights` is `demo`, `imagenet`, `random` or a file. `key` names one of several sets of weights
    in a file, `layout` its keys' code base. `small` is whether the input is too small for a stem
    with a max-pool. With `features`, the stages' outputs are given instead of logits.
    """

    weights: str
    variant: str | None = None
    width: float | None = None
    groups: int | None = None
    num_classes: int | None = None
    stem: str | None = None
    activation: str | None = None
    layout: str | None = None
    key: str | None = None
    features: bool = False
    small: bool = False


def load(wanted: Wanted) -> Loaded:
    """Build the network and load its weights strictly; raises WeightsError, UnknownNameError."""
    if wanted.weights == "random":
        return _random(wanted)
    from edgeshuffle.converter.zoo.download import download
    from edgeshuffle.converter.zoo.fitting import fit
    from edgeshuffle.converter.zoo.stem import choose_stem
    from edgeshuffle.converter.zoo.weights import read_checkpoint

    packaged = wanted.weights in PACKAGED
    asked = find_card(wanted.variant, wanted.width, wanted.groups)
    if wanted.weights == "demo":
        path = demo.demo_weights(asked)
    elif wanted.weights == "imagenet":
        path = download(asked)
    else:
        path = Path(wanted.weights)
    checkpoint = read_checkpoint(path, wanted.key, wanted.layout)
    given = {"activation": wanted.activation} if wanted.activation else {}
    fitted = fit(checkpoint, given, features=wanted.features)
    _check_asked(wanted, asked, fitted, path)
    chosen = choose_stem(wanted.stem, checkpoint, fitted, small=wanted.small)
    fitted.module.use_stem(chosen.stem)
    card = fitted.card
    preprocess = _default(card).preprocess
    labels = None
    notes = [chosen.note] if chosen.note and not packaged else []
    notes += _of_file(checkpoint, fitted, wanted)
    if wanted.weights == "demo":
        assert card is not None
        labels, preprocess = demo.demo_labels(), demo.demo_preprocess(card)
        notes = ["weights: packaged demo (Fashion-MNIST, 10 classes); see `weights`"]
    elif wanted.weights == "imagenet" and card is not None and card.weights is not None:
        labels = card.labels
        notes.append(
            f"weights: sha256 {checkpoint.sha256} (the publisher tells its first "
            f"{4 * len(card.weights.sha256_prefix)} bits; the rest is the first download's)"
        )
    source = {
        "kind": wanted.weights if packaged else "checkpoint",
        "file": path.name,
        "sha256": checkpoint.sha256,
        **_of_card(card),
        "stem": chosen.stem,
        **({"layout": checkpoint.layout.name} if not packaged else {}),
        **({"key": checkpoint.key} if checkpoint.key else {}),
    }
    return Loaded(
        name=fitted.name,
        module=fitted.module,
        card=card,
        preprocess=preprocess,
        labels=labels,
        classes={} if packaged else dict(checkpoint.classes),
        source=source,
        notes=tuple(notes),
    )


def _random(wanted: Wanted) -> Loaded:
    """The network of a card, with seeded random weights."""
    from dataclasses import replace

    from edgeshuffle.converter.zoo.families import FAMILIES
    from edgeshuffle.converter.zoo.layers import Dense
    from edgeshuffle.converter.zoo.network import Form
    from edgeshuffle.converter.zoo.random_weights import filled
    from edgeshuffle.converter.zoo.stem import stem_named

    card = find_card(wanted.variant, wanted.width, wanted.groups)
    family = FAMILIES[card.family]
    shape = family.of_card(card)
    classes = wanted.num_classes or card.num_classes
    shape = replace(shape, head=(*shape.head[:-1], Dense(classes, shape.head[-1].bias)))
    given: dict[str, Any] = {"activation": wanted.activation} if wanted.activation else {}
    if wanted.stem is not None:
        given["stem"] = stem_named(wanted.stem, "`stem`")
    module = filled(lambda: family.build(shape, Form(**{**card.form, **given})))
    if wanted.features:
        module.use_features(module.stages)
    return Loaded(
        name=card.name,
        module=module,
        card=card,
        preprocess=card.preprocess,
        labels=None,
        classes={},
        source={"kind": "random", **_of_card(card), "stem": wanted.stem or "imagenet"},
        notes=("weights: random, to measure speed and rounding with; their answers mean nothing",),
    )


def _of_card(card: Card | None) -> dict[str, str]:
    return {} if card is None else {"card": card.name, "card_sha256": card.sha256}


def _default(card: Card | None) -> Card:
    """What to prepare images by where no card has the network's sizes."""
    return card or load_card("shufflenet_v2_x1_0")


def _check_asked(wanted: Wanted, asked: Card, fitted: Fitted, path: Path) -> None:
    """Raise WeightsError where the weights are another network's than what was said."""
    said = {"variant": wanted.variant, "width": wanted.width, "groups": wanted.groups}
    named = [name for name, value in said.items() if value is not None]
    found = fitted.card
    if any(found is None or getattr(found, name) != getattr(asked, name) for name in named):
        if wanted.width is not None and found is not None and found.width is not None:
            what = f"a width {found.width:g} checkpoint, not {wanted.width:g}"
        else:
            what = f"a {fitted.name} checkpoint, not {asked.name}"
        options = ", ".join(f"`{name}`" for name in named)
        raise WeightsError(f"{path} is {what}. Leave {options} out: weights tell what they are of.")
    classes = fitted.module.shape.num_classes
    if wanted.num_classes not in (None, classes):
        told = f"{classes} classes" if classes else "no classes (`features`)"
        raise WeightsError(
            f"{path} has {told}, not {wanted.num_classes}. Leave `num_classes` out or give the "
            "checkpoint that was trained for it."
        )


def _of_file(checkpoint: Checkpoint, fitted: Fitted, wanted: Wanted) -> list[str]:
    """What to know of a file of weights."""
    layout = checkpoint.layout
    notes = list(fitted.notes)
    if layout.name != "torchvision":
        told = [f"layout: {layout.name}"]
        if (layout.form.get("activation") or "relu") != "relu" or wanted.activation:
            told.append(fitted.module.form.activation)
        notes.append(", ".join(told))
    if layout.note:
        notes.append(f"input: {layout.note}")
    if checkpoint.others and wanted.key is None:
        others = ", ".join(f"'{name}'" for name in checkpoint.others)
        mine = f"'{checkpoint.key}'" if checkpoint.key else "those without a name"
        notes.append(f"weights: {mine} of {checkpoint.path.name}, not {others} (`key` chooses)")
    if checkpoint.left_out:
        notes.append(f"weights: left unread {', '.join(checkpoint.left_out)}, which are no tensors")
    return notes
