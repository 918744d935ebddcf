"""How commands give a result: tables and plots for people, JSON and files for programs."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.flags import with_own_flags
from edgeshuffle.cli.output import echo_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgeshuffle.report.plot import Plot
    from edgeshuffle.report.table import ResultTable

# No file has this name, as it has no suffix.
_TERMINAL: Final = Path("-")


def show_tables(*tables: ResultTable) -> None:
    """Print tables as wide as the terminal, with what stands below them in the words of options."""
    from edgeshuffle.cli.console import Console
    from edgeshuffle.report.table.text import text

    width = Console().width
    shown = (replace(table, notes=tuple(map(with_own_flags, table.notes))) for table in tables)
    click.echo("\n\n".join(text(table, width) for table in shown))


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where a result goes; the options of `result_options`."""

    as_json: bool
    csv: Path | None
    plot: Path | None

    def show(
        self,
        data: Mapping[str, Any],
        tables: Sequence[ResultTable],
        plots: Sequence[Plot] = (),
        *,
        written: Sequence[ResultTable] | None = None,
    ) -> None:
        """Print `data` as JSON or the tables and plots, and write the files that were asked for.

        The CSV file has the tables `written` instead, where there is more to write than to show.

        Raises ArtifactError where a file cannot be written, and click.UsageError for a plot of
        nothing.
        """
        from edgeshuffle.cli.console import Console
        from edgeshuffle.report.plot import text as plot_text

        if self.plot is not None and not plots:
            raise click.UsageError("There is nothing to plot: leave out --plot.")
        if self.as_json:
            echo_json(data)
        else:
            show_tables(*tables)
            if self.plot == _TERMINAL:
                for plot in plots:
                    click.echo(f"\n{plot_text.text(plot, Console().width)}")
        self._write(tables if written is None else written, plots)

    def _write(self, tables: Sequence[ResultTable], plots: Sequence[Plot]) -> None:
        written = []
        if self.csv is not None:
            from edgeshuffle.report.table.csv_file import write_csv

            write_csv(self.csv, tables)
            written.append(self.csv)
        if self.plot is not None and self.plot != _TERMINAL:
            from edgeshuffle.report.plot.image_file import write_image

            write_image(self.plot, plots)
            written.append(self.plot)
        if not self.as_json:
            for file in written:
                click.echo(f"Wrote {file}")


class _PlotFile(click.ParamType[Any]):
    """A file that a plot is drawn into; one that cannot be is refused before anything runs."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Raise click.BadParameter, which ends with 2, or MissingExtraError."""
        from edgeshuffle.report.plot.image_file import SUFFIXES, require

        file = Path(value)
        if file == _TERMINAL:
            return file
        if file.suffix.lower() not in SUFFIXES:
            self.fail(
                f"{value!r} is no {' or '.join(SUFFIXES)} file. Without a file, give --plot last.",
                param,
                ctx,
            )
        require()
        return file


def result_options(*, plots: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add --json, --csv and, if there are `plots`, --plot to a command, which gets one `output`."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def checked(
            *args: Any,
            as_json: bool,
            csv: Path | None,
            plot: Path | None = None,
            **others: Any,
        ) -> None:
            if as_json and plot == _TERMINAL:
                raise click.UsageError("--plot needs a file beside --json: --plot FILE.svg")
            from edgeshuffle.host.atomic import require_place

            for file in (csv, plot):
                if file is not None and file != _TERMINAL:
                    # Better now than after minutes of measuring.
                    require_place(file)
            command(*args, output=Output(as_json=as_json, csv=csv, plot=plot), **others)

        return shared.json_option(_csv_option(_plot_option(checked) if plots else checked))

    return decorated


_csv_option: Final = click.option(
    "--csv",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Write the tables to FILE, too, with all digits.",
)
_plot_option: Final = click.option(
    "--plot",
    type=_PlotFile(),
    is_flag=False,
    flag_value=str(_TERMINAL),
    metavar="[FILE]",
    help="Draw a plot here, or into FILE.svg or FILE.png.",
)
