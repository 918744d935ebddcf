from __future__ import annotations

import json
import sys

import click
import pytest
from click.testing import CliRunner

from edgeshuffle.cli.results import result_options
from edgeshuffle.errors import ArtifactError, MissingExtraError
from edgeshuffle.report.plot import Axis, Bar, Bars, BarSeries
from edgeshuffle.report.table import Column, ResultTable

TABLE = ResultTable(
    key="t", title="Title", columns=(Column(key="n", heading="number"),), rows=((7,),)
)
PLOT = Bars(
    title="Plot",
    value=Axis(name="n"),
    groups=("g",),
    series=(BarSeries(name="s", bars=(Bar(value=7),)),),
)


@click.command()
@click.argument("target", required=False)
@result_options(plots=True)
def command(target, output):
    click.echo("ran", err=True)
    output.show({"rows": TABLE.records()}, [TABLE], [PLOT])


def run(*arguments):
    return CliRunner().invoke(command, [str(one) for one in arguments])


def test_people_get_tables_and_plots():
    assert "Plot" not in run().stdout
    shown = run("--plot").stdout
    assert shown.index("number") < shown.index("Plot: n")


def test_programs_get_json_and_files(tmp_path):
    csv, svg = tmp_path / "t.csv", tmp_path / "p.svg"
    done = run("--json", "--csv", csv, "--plot", svg)
    assert json.loads(done.stdout) == {"schema_version": 1, "rows": [{"n": 7}]}
    assert csv.read_text() == "n\n7\n"
    assert svg.read_text().startswith("<?xml")
    assert run("--csv", csv, "--plot", svg).stdout.endswith(f"Wrote {csv}\nWrote {svg}\n")


@pytest.mark.parametrize("arguments", [("--plot", "build/x"), ("--json", "--plot"), ("--csv", ".")])
def test_what_cannot_be_shown_is_refused_before_anything_runs(arguments):
    done = run(*arguments)
    assert done.exit_code == 2
    assert "ran" not in done.stderr


@pytest.mark.parametrize(("option", "name"), [("--csv", "t.csv"), ("--plot", "p.svg")])
def test_where_nothing_can_be_written_is_told_before_anything_runs(tmp_path, option, name):
    (tmp_path / "file").touch()
    done = run(option, tmp_path / "file" / name)
    assert isinstance(done.exception, ArtifactError)
    assert "ran" not in done.stderr
    assert run(option, tmp_path / "new" / "folder" / name).exit_code == 0
    assert (tmp_path / "new" / "folder" / name).exists()


def test_a_missing_package_is_told_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = run("--plot", tmp_path / "p.png")
    assert isinstance(done.exception, MissingExtraError)
    assert "pip install 'edgeshuffle[plot]'" in str(done.exception)
    assert "ran" not in done.stderr
