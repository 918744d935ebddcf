"""What profiling came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from edgeshuffle.runner.files import NamedFile
from edgeshuffle.runner.profile.kinds import KINDS, OUTSIDE, SHUFFLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.device import DeviceInfo
    from edgeshuffle.runner.profile.layer import ProfiledLayer

Unit = Literal["ns", "instructions"]
# Percent of the whole.
DISTURBED: Final = 10
# How far the work of two files of one network may be apart, as a share: lowering for a processor
# fills kernels up with zeros.
SAME_WORK: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Part:
    """All layers of a kind: how many, what they compute and access, and what they cost.

    `macs` and `accesses` are of those whose sizes are known, `cycles` estimated, or None.
    """

    kind: str
    layers: int
    macs: int
    accesses: int
    cost: int
    cycles: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProfiledFile(NamedFile):
    """One model file: `whole` is what an inference costs, measured by itself.

    `method` says how the layers' costs were found: by the runtime's own `profiler`, or as
    `differences` between models of its first operators, of which the one without any costs
    `empty`. Of a profiler, `overhead` was taken off each layer. `cycles` are the whole's estimated
    ones, None where they were not asked for.
    """

    runtime: str
    runtime_version: str
    precision: str
    variant: str
    path: str
    method: Literal["profiler", "differences"]
    whole: int
    empty: int
    overhead: int
    cycles: int | None = None
    layers: tuple[ProfiledLayer, ...]

    @property
    def operators(self) -> int:
        """What all layers cost together."""
        return sum(layer.cost for layer in self.layers)

    @property
    def macs(self) -> int:
        """Of all layers whose sizes are known."""
        return sum(layer.macs or 0 for layer in self.layers)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the kinds cost, with what the runtime does outside of operators: the whole.

        That is below zero where the layers were measured to take longer than the whole.
        """
        found = [
            Part(
                kind=kind,
                layers=len(layers),
                macs=sum(layer.macs or 0 for layer in layers),
                accesses=sum(layer.accesses or 0 for layer in layers),
                cost=sum(layer.cost for layer in layers),
                cycles=self._cycles(layers),
            )
            for kind in KINDS
            if (layers := [layer for layer in self.layers if layer.kind == kind])
        ]
        rest = self.whole - self.operators
        within = self._cycles(self.layers)
        outside = None if self.cycles is None or within is None else self.cycles - within
        return (
            *found,
            Part(kind=OUTSIDE, layers=0, macs=0, accesses=0, cost=rest, cycles=outside),
        )

    def _cycles(self, layers: Sequence[ProfiledLayer]) -> int | None:
        return None if self.cycles is None else sum(layer.cycles or 0 for layer in layers)

    @property
    def explained(self) -> float:
        """What layers and a model without any cost, in percent of the whole."""
        return self.share(self.operators + self.empty)

    @property
    def taken_off(self) -> float:
        """What was taken off all layers for the profiler, at most, in percent of the whole."""
        return self.share(self.overhead * len(self.layers))

    @property
    def disturbed(self) -> bool:
        """Whether parts and whole are so far apart that something else ran while they were timed.

        A whole inference is interrupted more often than the fastest runs of its operators.
        """
        return abs(self.explained - 100) > DISTURBED

    @property
    def shuffling(self) -> int:
        """What its channel shuffles cost."""
        return sum(layer.cost for layer in self.layers if layer.kind == SHUFFLE)

    def share(self, cost: int) -> float:
        """In percent of the whole."""
        return 100 * cost / self.whole


@dataclass(frozen=True, kw_only=True)
class Dissolving:
    """A file with channel shuffles beside one of the same runtime and precision without any."""

    stock: ProfiledFile
    dissolved: ProfiledFile

    @property
    def ratio(self) -> float:
        """What the second costs over the first."""
        return self.dissolved.whole / self.stock.whole


@dataclass(frozen=True, kw_only=True)
class ProfileReport:
    """Files that were profiled on one device."""

    device: DeviceInfo
    threads: int
    unit: Unit
    files: tuple[ProfiledFile, ...]

    @property
    def comparisons(self) -> tuple[Dissolving, ...]:
        """Every file that shuffles channels, beside every one of about the same work that does not.

        A smaller network takes less for other reasons.
        """
        return tuple(
            Dissolving(stock=one, dissolved=other)
            for one in self.files
            for other in self.files
            if (one.runtime, one.precision) == (other.runtime, other.precision)
            and one.shuffling
            and not other.shuffling
            and abs(other.macs - one.macs) <= SAME_WORK * one.macs
        )
