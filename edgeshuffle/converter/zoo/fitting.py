"""A checkpoint's weights in a network of their sizes, strictly: all that does not fit is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import torch

from edgeshuffle.converter.zoo.cards import Card, cards
from edgeshuffle.converter.zoo.families import FAMILIES
from edgeshuffle.converter.zoo.heads import Head, find_head
from edgeshuffle.converter.zoo.network import Form, Shape, ShuffleNet
from edgeshuffle.converter.zoo.sizes import Sizes
from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgeshuffle.converter.zoo.families import Family
    from edgeshuffle.converter.zoo.weights import Checkpoint

_MOST_TOLD: Final = 6
_MOST_UNITS: Final = 200


@dataclass(frozen=True)
class Fitted:
    """A network with its weights, in evaluation mode; `card` is None for sizes that no card has."""

    module: ShuffleNet
    family: Family
    card: Card | None
    name: str
    notes: tuple[str, ...]


def fit(checkpoint: Checkpoint, given: dict[str, Any], *, features: bool) -> Fitted:
    """Build the network that the shapes tell and load the weights; `given` are fields of its form.

    Raises WeightsError with everything that is missing, unknown, or of another shape.
    """
    layout = checkpoint.layout
    family = FAMILIES[layout.family]
    form = Form(**{**layout.form, **given})
    _refuse(checkpoint, [_no_units(checkpoint.gaps)])
    sizes = Sizes(checkpoint.state)
    shape = family.read(sizes)
    state = dict(checkpoint.state)
    notes: list[str] = []
    names = layout.features or tuple(f"stage{index + 2}" for index in range(len(shape.stages)))
    if features:
        if "conv5" not in names:
            state = {k: v for k, v in state.items() if not k.startswith(("conv5.", "se."))}
            shape = replace(shape, last=0, squeeze=None)
        left = {**checkpoint.rest, **checkpoint.outside}
        notes += _left_out("the backbone alone", left) if left else []
    else:
        shape, head = _with_head(checkpoint, shape, form.between)
        state |= head.state
        notes += head.notes
        unknown = [key for key in checkpoint.rest if key not in head.taken]
        outside = [key for key in checkpoint.outside if key not in head.taken]
        notes += _left_out("the network alone", outside) if outside else []
        obstacles = [_no_weights(checkpoint, sizes.missing), _unknown(unknown), _doubtful(head)]
        _refuse(checkpoint, obstacles)
    _refuse(checkpoint, [_no_weights(checkpoint, sizes.missing)])
    _check_kinds(checkpoint, state)
    _check_chain(checkpoint, shape)
    with torch.device("meta"):
        wanted = family.build(shape, form).state_dict()
    _refuse(checkpoint, _differences(checkpoint, wanted, state))
    _check_values(checkpoint, state)
    module = family.build(shape, form)
    module.load_state_dict({key: value.float() for key, value in state.items()}, strict=False)
    if features:
        module.use_features(names)
    card = _card(family, shape)
    name = card.name if card else "_".join([layout.family, *map(str, shape.channels)])
    kinds = {str(value.dtype).removeprefix("torch.") for value in state.values()} - {"float32"}
    notes += [f"weights: {', '.join(sorted(kinds))}, converted to float32"] if kinds else []
    notes += _odd_depth(family, shape)
    return Fitted(module.eval(), family, card, name, tuple(notes))


def _with_head(checkpoint: Checkpoint, shape: Shape, between: str) -> tuple[Shape, Head]:
    """The shape with a head, which lies among what the layout does not know."""
    width = shape.last or shape.stages[-1][-1].outputs
    layout = checkpoint.layout
    head = Head({}, {})
    # What follows a detector's backbone may look like a head.
    if not layout.detector:
        head = find_head(
            checkpoint.rest, checkpoint.outside, width, between, transposed=layout.transposed
        )
    if not head.state:
        raise WeightsError(
            f"{checkpoint.path} has no classifier: no fully connected layer that takes the "
            f"{width} numbers of the last layer. Export the stages' outputs with `features`, or "
            "give the checkpoint of the whole network."
        )
    return replace(shape, head=Sizes(head.state).head()), head


def _card(family: Family, shape: Shape) -> Card | None:
    """The card of these sizes, whatever goes in and whatever classes come out."""
    for card in cards():
        if FAMILIES[card.family] is not family:
            continue
        known = family.of_card(card)
        same = (known.stem, known.kernel, known.stages) == (shape.stem, shape.kernel, shape.stages)
        if same and shape.last in (0, known.last):
            return card
    return None


def _odd_depth(family: Family, shape: Shape) -> Iterator[str]:
    """A line on the depth of the stages where no card of the family has it."""
    of_family = [card for card in cards() if FAMILIES[card.family] is family]
    known = dict.fromkeys(tuple(map(len, family.of_card(card).stages)) for card in of_family)
    depth = tuple(map(len, shape.stages))
    if depth not in known:
        found, usual = (" + ".join(map(str, units)) for units in (depth, next(iter(known))))
        yield (
            f"depth: stages of {found} units, which is what the file holds, where the family has "
            f"{usual}. If the network has more, the file lacks the last ones of a stage"
        )


def _refuse(checkpoint: Checkpoint, obstacles: Iterable[str]) -> None:
    told = [obstacle for obstacle in obstacles if obstacle]
    if told:
        raise WeightsError(
            f"{checkpoint.path} does not fit a {checkpoint.layout.family} of the layout "
            f"'{checkpoint.layout.name}': {'; '.join(told)}. Give the checkpoint of the whole "
            "network, name another `layout`, or export the network to ONNX and give it with `onnx`."
        )


def _listed(keys: Iterable[str]) -> str:
    known = list(dict.fromkeys(keys))
    told = ", ".join(f"'{quoted(key, 80)}'" for key in known[:_MOST_TOLD])
    more = len(known) - _MOST_TOLD
    return f"{told} and {more} more" if more > 0 else told


def _lack(checkpoint: Checkpoint, missing: Iterable[str]) -> str:
    names = list(map(checkpoint.theirs, missing))
    return f"it lacks {_listed(names)}" if names else ""


def _no_weights(checkpoint: Checkpoint, missing: Iterable[str]) -> str:
    names = list(map(checkpoint.theirs, missing))
    return f"it has no weights of a convolution in {_listed(names)}" if names else ""


def _no_units(gaps: Iterable[str]) -> str:
    names = list(gaps)
    return f"its numbers skip {_listed(names)}" if names else ""


def _unknown(keys: list[str]) -> str:
    return f"nothing is known of {_listed(keys)}" if keys else ""


def _doubtful(head: Head) -> str:
    names = ", ".join(f"'{quoted(key, 60)}'" for key in head.theirs.values())
    return f"its head may be more than {names}: {_listed(head.doubts)}" if head.doubts else ""


def _left_out(what: str, left: Iterable[str]) -> list[str]:
    return [f"weights: {what}, without {_listed(left)}"]


def _differences(
    checkpoint: Checkpoint, wanted: dict[str, Any], state: dict[str, torch.Tensor]
) -> list[str]:
    """What is missing, unknown or of another shape."""
    needed = {key for key in wanted if not key.endswith("num_batches_tracked")}
    shapes = [
        f"'{quoted(checkpoint.theirs(key), 80)}' is {tuple(state[key].shape)}, not "
        f"{tuple(wanted[key].shape)}"
        for key in sorted(needed & state.keys())
        if state[key].shape != wanted[key].shape
    ]
    more = len(shapes) - _MOST_TOLD
    return [
        _lack(checkpoint, sorted(needed - state.keys())),
        _unknown(list(map(checkpoint.theirs, sorted(state.keys() - needed)))),
        *shapes[:_MOST_TOLD],
        f"{more} more have other shapes" if more > 0 else "",
    ]


def _check_kinds(checkpoint: Checkpoint, state: dict[str, torch.Tensor]) -> None:
    for key, value in state.items():
        if not value.is_floating_point():
            raise WeightsError(
                f"{checkpoint.path} holds {value.dtype} in '{quoted(checkpoint.theirs(key), 80)}', "
                "where floats are expected. Give the checkpoint from before it was quantized."
            )


def _check_chain(checkpoint: Checkpoint, shape: Shape) -> None:
    """Raise WeightsError where a unit does not read what comes before it."""
    units = [unit for stage in shape.stages for unit in stage]
    width = shape.stem
    wrong = []
    if shape.inputs not in (1, 3, 4):
        wrong.append(f"it reads {shape.inputs} channels, where pictures have 1, 3 or 4")
    if len(units) > _MOST_UNITS:
        wrong.append(f"it has {len(units)} units")
    for stage, members in enumerate(shape.stages, 2):
        for index, unit in enumerate(members):
            if unit.inputs != width or unit.outputs % 2:
                wrong.append(
                    f"unit {index} of stage {stage} reads {unit.inputs} of {width} channels"
                )
            width = unit.outputs
    _refuse(checkpoint, wrong[:_MOST_TOLD])


def _check_values(checkpoint: Checkpoint, state: dict[str, torch.Tensor]) -> None:
    for key, value in state.items():
        name = quoted(checkpoint.theirs(key), 80)
        # Torch has few functions for floats of 8 bits.
        if not torch.isfinite(value.float()).all():
            raise WeightsError(
                f"{checkpoint.path} holds NaN or infinity in '{name}'. Use another epoch."
            )
        if key.endswith("running_var") and (value.float() < 0).any():
            raise WeightsError(
                f"{checkpoint.path} holds a negative variance in '{name}'. Use another epoch."
            )
