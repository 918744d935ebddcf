"""Reports: how a measurement is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from edgeshuffle.runner.bench import BenchReport, InstructionReport


class Report(Protocol):
    """What a report's module offers."""

    def render(self, report: BenchReport | InstructionReport) -> str: ...


REPORTS: Table[Report] = Table("report", __name__, "runtime", "terminal", "json")
