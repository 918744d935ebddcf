"""The library's messages name parameters, which are options on the command line."""

from __future__ import annotations

import pytest
from small_models import run

from edgeshuffle.cli.bench import command as bench
from edgeshuffle.cli.evaluate import command as evaluate
from edgeshuffle.cli.flags import with_flags
from edgeshuffle.cli.image import command as image


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        (bench, "leave out `threads`.", "leave out --threads."),
        (bench, "with `runtimes`, `wait=SECONDS`", "with --runtime, --wait SECONDS"),
        (evaluate, "give `labelled=False` to", "give --unlabelled to"),
        (evaluate, "`class_order=sorted`?", "--class-order sorted?"),
        (image, "`pip_conf` or `platform`", "--pip-conf or --platform"),
        (bench, "no array `x` or `pip_conf`", "no array `x` or `pip_conf`"),
    ],
)
def test_parameters_become_options(command, message, shown):
    assert with_flags(message, command) == shown


def test_an_error_names_the_option(tmp_path, capsys):
    assert run("image", "build", "--checkout", tmp_path) == 12
    assert "or name one with --checkout." in capsys.readouterr().err
