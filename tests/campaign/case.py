"""One case: a command line, where it runs, and what is known of its right answer."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """How a command ended; `signal` is what killed it, 0 for none. `work` was its folder."""

    code: int
    signal: int
    out: str
    err: str
    work: Path


@dataclass(kw_only=True)
class Case:
    """Arguments of `edgeshuffle`, and what the oracle needs to know.

    `prepare` runs in the command's process before it. `writes` are the names that may be new in its
    folder, `changes` those that may be changed. `right` gets the outcome of exit code 0 and
    returns what is wrong with the answer; `after` likewise, of every exit code.
    """

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    writes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    right: Callable[[Outcome], str | None] | None = None
    after: Callable[[Outcome], str | None] | None = None


@dataclass(frozen=True)
class Sandbox:
    """Folders of one case: `work` is the current one, the others are what the environment names."""

    root: Path

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def things(self) -> Path:
        """Where a case may put what is not watched."""
        return self.root / "things"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def make(self) -> None:
        for name in ("work", "tmp", "home", "cache", "config", "things"):
            (self.root / name).mkdir(parents=True)

    def environment(self) -> dict[str, str]:
        """Nothing of the machine's but Python: no ssh, no docker, no network by pip."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "100",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PIP_INDEX_URL": "http://127.0.0.1:9/",
            "PIP_RETRIES": "0",
            # By which processes that outlive their case are known.
            "EDGESHUFFLE_CAMPAIGN_CASE": str(self.root),
        }
