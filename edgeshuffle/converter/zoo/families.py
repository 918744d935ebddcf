"""The families of networks, each a module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from edgeshuffle.converter.zoo.cards import Card
    from edgeshuffle.converter.zoo.network import Form, Shape, ShuffleNet
    from edgeshuffle.converter.zoo.sizes import Sizes


class Family(Protocol):
    """What a family's module offers.

    `AFTER_STEM` names the first convolution after the stem's max-pool and its batch norm; None
    where there is no max-pool.
    """

    AFTER_STEM: tuple[str, str] | None

    @staticmethod
    def of_card(card: Card) -> Shape:
        """The sizes of a card."""
        ...

    @staticmethod
    def read(sizes: Sizes) -> Shape:
        """The sizes of a state dict; what it lacks is noted in `sizes`."""
        ...

    @staticmethod
    def build(shape: Shape, form: Form) -> ShuffleNet:
        """A network without weights."""
        ...


FAMILIES: Final[Table[Family]] = Table(
    "family",
    "edgeshuffle.converter.zoo",
    "export",
    *("shufflenet_v2", "shufflenet_v1", "shufflenet_v2plus"),
)
