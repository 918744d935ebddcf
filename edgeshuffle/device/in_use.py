"""A device within its `with` block, which leaves nothing behind there whatever happens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from edgeshuffle.errors import UnknownNameError
from edgeshuffle.host.signals import deferred

if TYPE_CHECKING:
    from types import TracebackType

    from edgeshuffle.errors import DeviceError


class InUse(ABC):
    """What all devices do when their block is left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with deferred():
            failure = self._let_go()
        if failure is not None and error is None:
            raise failure

    def prepare_cycles(self) -> None:
        """Only an emulated board can; raises UnknownNameError."""
        raise UnknownNameError(
            "Cycles are estimated on emulated boards only, such as emulated://pi5: leave out "
            "`cycles`."
        )

    @abstractmethod
    def _let_go(self) -> DeviceError | None:
        """End and undo everything in spite of the first failure, which is returned."""
