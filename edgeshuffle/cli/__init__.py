"""The command line: one command a file, each turning options into one library call."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any, Final

import click

from edgeshuffle import __version__
from edgeshuffle.errors import ArtifactError, EdgeShuffleError

COMMANDS: Final = {
    "export": "Make fp32 and int8 ONNX and TFLite models without a channel shuffle.",
    "evaluate": "Compare every model file's accuracy with the float model's.",
    "bench": "Time an artifact's model files side by side.",
    "report": "Show an earlier bench again, or compare two.",
    "devices": "List, name and test devices.",
    "doctor": "Check whether a device can run and be measured well.",
    "setup": "Put the inference runtimes on a device.",
    "sensitivity": "Rank an artifact's layers by what their quantization does.",
    "compare": "Show layer by layer where the INT8 files part from float, and from each other.",
    "image": "Build and run container images.",
    "inspect": "Show operators, MACs, parameters, bytes moved and requantizations.",
}


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

    def invoke(self, ctx: click.Context) -> Any:
        # What a time limit or a closed terminal ends cleans up like Ctrl-C.
        for name in {"SIGTERM", "SIGHUP"} & set(signal.Signals.__members__):
            signal.signal(signal.Signals[name], _end)
        try:
            return super().invoke(ctx)
        except EdgeShuffleError as err:
            click.echo(f"edgeshuffle: {' '.join(str(err).split())}", err=True)
            sys.exit(err.exit_code)
        except OSError as err:
            # Names that no system takes, broken disks: everything expected has its own error.
            place = f": {str(err.filename)[:200]}" if err.filename else ""
            click.echo(f"edgeshuffle: {err.strerror or err}{place}", err=True)
            sys.exit(ArtifactError.exit_code)
        except KeyboardInterrupt:
            click.echo("edgeshuffle: interrupted; nothing half-written is left.", err=True)
            sys.exit(130)


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgeshuffle")
def main() -> None:
    """Put ShuffleNetV2 on ARM CPUs: export, quantize, measure.

    Exit codes: 0 done, 2 bad options, 3 missing package, 4 weights, 5 model, 6 data, 7 artifact,
    8 runtime, 9 device, 10 failed rewrite, 11 accuracy or validity gate, 12 container image,
    130 interrupted.
    """
