"""Reports: how a measurement is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from edgeshuffle.runner.bench.results import Format

REPORTS: Table[Format] = Table("report", __name__, "runtime", "terminal", "json")
