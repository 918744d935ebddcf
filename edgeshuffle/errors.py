"""Every deliberate error, with the exit code the command line ends with.

Messages say what happened, where, and what to do next; the command line prints them in one line.
Codes 1 (a crash, which is a bug) and 2 (bad options, click's own) are not used here; Ctrl-C ends
with 130.
"""

from __future__ import annotations

from typing import ClassVar


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


class ImageError(EdgeShuffleError):
    """A container image that cannot be built or run, or no engine to do it."""

    exit_code = 12
