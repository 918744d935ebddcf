"""What runs on a board: loose files that need Python 3.9 and import nothing of ours."""

from __future__ import annotations

from pathlib import Path


def agent_folder() -> Path:
    """Where the loose files are."""
    return Path(__file__).parent


def agent_files(runtime: str | None = None) -> tuple[Path, ...]:
    """The program `agent.py`, last, after those that have to lie beside it.

    Without a runtime, it describes the device, and no more.
    """
    names = (*(() if runtime is None else (runtime, "power")), "probe", "agent")
    return tuple(Path(__file__).with_name(f"{name}.py") for name in names)
