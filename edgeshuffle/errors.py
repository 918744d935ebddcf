"""Every deliberate error, with the exit code the command line ends with.

Messages say what happened, where, and what to do next; the command line prints them in one line.
Codes 1 (a crash, which is a bug) and 2 (bad options, click's own) are not used here; Ctrl-C ends
with 130. Messages name parameters of the library in backticks, such as `max_drop`; the command line
shows its own options instead (`cli.flags`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class EdgeShuffleError(Exception):
    """Base of all errors that a user can cause or mend."""

    exit_code: ClassVar[int] = 1


class UnknownNameError(EdgeShuffleError):
    """A plugin, model or option value that does not exist."""

    exit_code = 2


class MissingExtraError(EdgeShuffleError):
    """An optional package is not installed."""

    exit_code = 3


class WeightsError(EdgeShuffleError):
    """A checkpoint that is missing, corrupt, of another network, or cannot be downloaded."""

    exit_code = 4


class ModelError(EdgeShuffleError):
    """An ONNX model that cannot be read, or has an operator or shape that is not supported."""

    exit_code = 5


class DataError(EdgeShuffleError):
    """Images or labels that are missing, unreadable or do not fit the model."""

    exit_code = 6


class ArtifactError(EdgeShuffleError):
    """An artifact folder that exists, is missing, cannot be written, or fails its checksums."""

    exit_code = 7


class RuntimeUnavailableError(EdgeShuffleError):
    """An inference runtime that is not installed or cannot run the model."""

    exit_code = 8


class DeviceError(EdgeShuffleError):
    """A device that cannot be reached or failed while measuring."""

    exit_code = 9


class PassError(EdgeShuffleError):
    """A graph rewrite that broke its own promise: a bug worth reporting."""

    exit_code = 10


class GateError(EdgeShuffleError):
    """A result that was asked to meet a limit and did not."""

    exit_code = 11


class ContainerError(EdgeShuffleError):
    """A container image that cannot be built or run, or no engine to do it."""

    exit_code = 12


class Obstacles:
    """Errors of checks that do not depend on each other, told all at once."""

    def __init__(self) -> None:
        self._found: list[EdgeShuffleError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Within, an EdgeShuffleError ends the block and is kept for `refuse`."""
        try:
            yield
        except EdgeShuffleError as err:
            self._found.append(err)

    def refuse(self) -> None:
        """Raise what was found, if anything, as an error of the first one's kind."""
        if self._found:
            first = self._found[0]
            raise type(first)(" ".join(dict.fromkeys(map(str, self._found)))) from first


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Within, a package that is not installed raises MissingExtraError: `what` needs it, and the
    pip extra brings it.
    """
    try:
        yield
    except ModuleNotFoundError as err:
        if (err.name or "").startswith("edgeshuffle"):
            raise
        raise MissingExtraError(
            f"{what} needs the package '{err.name}': pip install 'edgeshuffle[{extra}]'."
        ) from err
