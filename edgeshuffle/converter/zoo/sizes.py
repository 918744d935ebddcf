"""The sizes of a network, read from the shapes of its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from edgeshuffle.converter.zoo.layers import Dense, head_keys
from edgeshuffle.converter.zoo.network import Shape, Squeeze

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from edgeshuffle.converter.zoo.network import Unit

U = TypeVar("U", bound="Unit")


class Sizes:
    """The shapes of a state dict with our keys; `missing` are weights that were looked for."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._shapes = {key: tuple(value.shape) for key, value in state.items()}
        self.missing: list[str] = []

    def has(self, name: str) -> bool:
        """Whether there is a weight of that module."""
        return f"{name}.weight" in self._shapes

    def is_conv(self, name: str) -> bool:
        """Whether that module is a convolution."""
        return len(self._shapes.get(f"{name}.weight", ())) == 4

    def is_norm(self, name: str) -> bool:
        """Whether that module is a batch norm."""
        return len(self._shapes.get(f"{name}.weight", ())) == 1

    def conv(self, name: str) -> tuple[int, int, int]:
        """Outputs, inputs of a group and kernel size of a convolution; ones where it is missing."""
        found = self._shapes.get(f"{name}.weight", ())
        if len(found) != 4 or not all(found):
            self.missing.append(f"{name}.weight")
            return 1, 1, 1
        return found[0], found[1], found[2]

    def numbers(self, prefix: str, first: int = 0) -> range:
        """The indices under a name, from the first to the last: `stage2.` has units 0 to 3."""
        found = (
            key[len(prefix) :].partition(".")[0] for key in self._shapes if key.startswith(prefix)
        )
        known = [int(number) for number in found if number.isdecimal()]
        # More than there are weights cannot all be there.
        last = min(max(known, default=first - 1), first + len(self._shapes))
        return range(first, last + 1)

    def squeeze(self, name: str) -> Squeeze | None:
        """The squeeze-and-excitation of that name, if there is one."""
        if not self.has(f"{name}.reduce") and not self.has(f"{name}.expand"):
            return None
        return Squeeze(
            channels=self.conv(f"{name}.reduce")[0],
            bias=f"{name}.reduce.bias" in self._shapes,
            norm=self.has(f"{name}.norm"),
        )

    def head(self) -> tuple[Dense, ...]:
        """The layers of the head, if there is one."""
        count = sum(key.startswith("fc.") and key.endswith("weight") for key in self._shapes)
        return tuple(
            Dense(self._shapes[f"fc.{key}weight"][0], f"fc.{key}bias" in self._shapes)
            for key in head_keys(count)
            if count
        )

    def network(self, unit: Callable[[Sizes, str], U]) -> Shape:
        """The whole shape; `unit` reads a unit of that name, such as `stage2.0`."""
        stem, inputs, kernel = self.conv("conv1.0")
        stages = tuple(
            tuple(unit(self, f"stage{stage}.{index}") for index in self.numbers(f"stage{stage}."))
            or (unit(self, f"stage{stage}.0"),)
            for stage in self.stages()
        )
        return Shape(
            inputs=inputs,
            stem=stem,
            kernel=kernel,
            stages=stages,
            last=self.conv("conv5.0")[0] if self.has("conv5.0") else 0,
            squeeze=self.squeeze("se"),
            head=self.head(),
        )

    def stages(self) -> range:
        """The numbers of the stages, from 2 on."""
        return self.numbers("stage", 2)
