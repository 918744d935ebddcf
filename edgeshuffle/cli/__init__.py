"""The command line: one command a file, each turning options into one library call."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from edgeshuffle import __version__
from edgeshuffle.cli.flags import with_flags
from edgeshuffle.cli.output import say
from edgeshuffle.cli.terminal import safe_streams
from edgeshuffle.errors import ArtifactError, EdgeShuffleError
from edgeshuffle.host.signals import ending_once
from edgeshuffle.untrusted import quoted

COMMANDS: Final = {
    "export": "Make fp32, fp16 and int8 models, ONNX and TFLite, without a channel shuffle.",
    "evaluate": "Compare every model file's accuracy with the float model's.",
    "classify": "Tell what is on pictures, here or on a device.",
    "app": "Make a folder that classifies on a board, without edgeshuffle.",
    "bench": "Time an artifact's model files side by side.",
    "guidelines": "Measure the ShuffleNetV2 paper's guidelines on a device of your own.",
    "report": "Show an earlier bench again, or compare two.",
    "devices": "List, name and test devices.",
    "doctor": "Check whether a device can run and be measured well.",
    "setup": "Put the inference runtimes on a device.",
    "sensitivity": "Rank an artifact's layers by what their quantization does.",
    "compare": "Show layer by layer where the INT8 files part from float, and from each other.",
    "image": "Build and run container images.",
    "zoo": "Compare the family's members: cost, published accuracy and your measurements.",
    "inspect": "Show operators, MACs, parameters, bytes moved and requantizations.",
    "profile": "Show where time goes: by kind of operator and layer by layer.",
}
INTERRUPTED: Final = "interrupted; nothing half-written is left."
# A traceback's text may be long, one line is not; the rest is for --debug.
_LINE: Final = 2000


class _Commands(click.Group):
    """Imports a command's module only when that command runs, and prints errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"edgeshuffle.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            with safe_streams():
                return super().main(*args, **extra)
        except OSError as err:
            # The output itself cannot be written.
            _end_with(err)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            # What a time limit or a closed terminal ends cleans up like Ctrl-C.
            with ending_once():
                return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except (Exception, KeyboardInterrupt) as err:
            if ctx.params["debug"]:
                import traceback

                traceback.print_exception(err)
            name = ctx.invoked_subcommand
            _end_with(err, None if name is None else self.get_command(ctx, name))


def _end_with(err: BaseException, command: click.Command | None = None) -> NoReturn:
    message, status = _explained(err)
    if command is not None and isinstance(err, EdgeShuffleError):
        message = with_flags(message, command)
    say(quoted(message, _LINE))
    sys.exit(status)


def _explained(err: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    if isinstance(err, EdgeShuffleError):
        return str(err), err.exit_code
    if isinstance(err, KeyboardInterrupt):
        return INTERRUPTED, 130
    if isinstance(err, OSError):
        # Names that no system takes, broken disks: everything expected has its own error.
        place = f": {quoted(os.fsdecode(err.filename))}" if err.filename else ""
        return f"{err.strerror or err}{place}", ArtifactError.exit_code
    if isinstance(err, MemoryError):
        return "there is not enough memory. Give fewer or smaller images, or close programs.", 1
    return (
        f"{type(err).__name__}: {quoted(str(err))}. This is a bug: please report it, with what "
        "edgeshuffle --debug prints of the same command.",
        1,
    )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgeshuffle")
@click.option(
    "--debug",
    is_flag=True,
    envvar="EDGESHUFFLE_DEBUG",
    help="Show the traceback behind an error, for bug reports (also EDGESHUFFLE_DEBUG=1).",
)
def main(*, debug: bool) -> None:
    """Put ShuffleNetV2 on ARM CPUs: export, quantize, measure.

    Exit codes: 0 done, 1 a bug or no memory, 2 bad options, 3 missing package, 4 weights, 5 model,
    6 data, 7 artifact, 8 runtime, 9 device, 10 failed rewrite, 11 accuracy or validity gate,
    12 container image, 129 hang-up, 130 interrupted, 143 terminated.
    """
