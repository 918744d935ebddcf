"""AveragePool: over the whole picture it becomes GlobalAveragePool."""

from __future__ import annotations

from typing import Final

from edgeshuffle.converter.operators.operator import Channels, Operator


class AveragePool(Operator):
    """A mean over windows keeps the order of channels."""

    channels = Channels.CHANNELWISE


OPERATOR: Final = AveragePool()
