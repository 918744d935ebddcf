"""Which stem a ShuffleNetV2 checkpoint was trained with, read from its batch-norm statistics.

All stems have the same keys and shapes. Of conv1's stride nothing tells, and networks without a
max-pool are taken for those with stride 1; of the max-pool between conv1 and stage 2, this does. If
conv1's channels after batch norm are close to normal N(beta, gamma^2), their mean after ReLU is
m = gamma * phi(beta/gamma) + beta * Phi(beta/gamma). The first 1x1 convolution of stage 2 has then
the mean W m, which its batch norm recorded as running_mean. A max-pool in between raises every
input's mean, so the slope of running_mean against W m is 1 without it and larger with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import torch

from edgeshuffle.converter.zoo.network import STEMS, Stem
from edgeshuffle.converter.zoo.shufflenet_v2 import AFTER_STEM
from edgeshuffle.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeshuffle.converter.zoo.fitting import Fitted
    from edgeshuffle.converter.zoo.weights import Checkpoint

# Trained networks measured: 0.99 with the CIFAR stem; 1.12 with a max-pool over the smoothest
# images there are (28x28 enlarged), and more on photographs.
_SLOPE_OF_MAXPOOL: Final = 1.06
_MIN_CORRELATION: Final = 0.95
# The stem with the same max-pool or none, and its stride.
_OTHER_STRIDE: Final[dict[Stem, tuple[Stem, int]]] = {
    "imagenet": ("stride1", 1),
    "cifar": ("nopool", 2),
}


@dataclass(frozen=True)
class Chosen:
    """A stem, and where it was guessed, a line that tells the user so."""

    stem: Stem
    note: str | None = None


def stem_named(name: str, who: str) -> Stem:
    """Raises WeightsError for a name that no stem has; `who` gave it."""
    if name not in STEMS:
        raise WeightsError(f"{who} names an unknown stem '{name}'. Use `stem={'|'.join(STEMS)}`.")
    return cast("Stem", name)


def choose_stem(
    given: str | None, checkpoint: Checkpoint, fitted: Fitted, *, small: bool
) -> Chosen:
    """The stem that was asked for, that the file names, that its statistics tell, or by size.

    `small` is whether the input is too small for a max-pool in the stem. Raises WeightsError for
    a name that no stem has.
    """
    named = given or checkpoint.notes.get("stem")
    if named is not None:
        return Chosen(stem_named(named, str(checkpoint.path)))
    after, form = fitted.family.AFTER_STEM, fitted.module.form
    if after is None or form.pool == "none":
        return Chosen("imagenet")
    # A detector's image is never as small as that.
    if checkpoint.layout.detector:
        return Chosen("imagenet")
    inferred = infer_stem(checkpoint.state, after) if form.activation == "relu" else None
    if inferred is not None:
        other = ""
        if small or inferred == "cifar":
            stem, stride = _OTHER_STRIDE[inferred]
            other = f"; where conv1's stride is {stride}, which they do not tell: `stem={stem}`"
        told = f"stem: {inferred}, read from the batch-norm statistics (`stem` sets it{other})"
        return Chosen(inferred, told)
    return Chosen("cifar" if small else "imagenet", "stem: chosen by input size (`stem` sets it)")


def infer_stem(
    state: Mapping[str, torch.Tensor], after: tuple[str, str] = AFTER_STEM
) -> Stem | None:
    """`imagenet` or `cifar` from a state dict with our keys; None if it does not tell.

    `after` names the first 1x1 convolution and its batch norm.
    """
    gamma = state["conv1.1.weight"].double().abs().clamp_min(1e-9)
    beta = state["conv1.1.bias"].double()
    ratio = beta / gamma
    density = torch.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    mass = (1 + torch.erf(ratio / math.sqrt(2))) / 2
    predicted = state[f"{after[0]}.weight"].double().flatten(1) @ (gamma * density + beta * mass)
    recorded = state[f"{after[1]}.running_mean"].double()
    correlation = torch.corrcoef(torch.stack([predicted, recorded]))[0, 1]
    if not correlation >= _MIN_CORRELATION:
        return None
    slope = (predicted @ recorded) / (predicted @ predicted)
    return "imagenet" if slope > _SLOPE_OF_MAXPOOL else "cifar"
