import math

import click
import pytest
from click.testing import CliRunner

from edgeshuffle.cli import main
from edgeshuffle.cli.numbers import FiniteFloat, PerChannel
from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.runner.compare import CompareOptions, compare

NOT_FINITE = ("nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e999")


@pytest.mark.parametrize("given", NOT_FINITE)
def test_no_option_takes_a_number_that_is_not_finite(given):
    for kind, value in (
        (FiniteFloat(), given),
        (FiniteFloat(0), given),
        (PerChannel(), f"0,{given},0"),
    ):
        with pytest.raises(click.BadParameter):
            kind.convert(value, None, None)


def test_help_shows_a_range_only_where_there_is_one():
    shown = CliRunner().invoke(main, ["export", "--help"]).output
    assert "None" not in shown
    assert "[0<=x<=100]" in shown


def test_a_finite_number_is_taken_within_its_range():
    assert FiniteFloat().convert("-1.5", None, None) == -1.5
    assert PerChannel().convert("0.5,-0.25,1e3", None, None) == (0.5, -0.25, 1000.0)
    with pytest.raises(click.BadParameter):
        FiniteFloat(0).convert("-1.5", None, None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "--int8", "--max-drop"],
        ["export", "--width"],
        ["compare", "--min-sqnr"],
    ],
)
@pytest.mark.parametrize("given", ["nan", "inf"])
def test_commands_refuse_what_is_not_finite_as_a_bad_option(arguments, given, tmp_path):
    result = CliRunner().invoke(main, [*arguments, given])
    assert result.exit_code == 2, result.output
    assert "finite" in result.output


@pytest.mark.parametrize("limit", [math.nan, math.inf, -math.inf])
def test_the_library_refuses_what_is_not_finite(limit, tmp_path):
    with pytest.raises(UnknownNameError, match="no limit"):
        export(ExportOptions(int8=True, max_drop=limit, output=tmp_path / "out"))
    with pytest.raises(UnknownNameError, match="no limit"):
        compare(CompareOptions(artifact=None, min_sqnr=limit))
    assert not (tmp_path / "out").exists()
