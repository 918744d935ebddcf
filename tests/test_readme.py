"""What the README says about commands is true."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import import_module

import click
import pytest
from places import CHECKOUT

import edgeshuffle
from edgeshuffle import errors
from edgeshuffle.cli import COMMANDS

README = (CHECKOUT / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"^    edgeshuffle (.+)$", README, re.MULTILINE)


def test_the_first_block_holds_two_commands(monkeypatch):
    monkeypatch.syspath_prepend(CHECKOUT / "tools")
    jobs = import_module("run").COMMANDS
    lines = re.search(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL).group(1).splitlines()
    assert lines == [f"python3 tools/run.py {job}" for job in ("demo", "test")]
    assert {"demo", "test", "campaign"} == set(jobs)
    assert [command[2] for command in jobs["demo"]] == ["export", "evaluate", "bench"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_parse(example):
    name, *arguments = shlex.split(example)
    command = import_module(f"edgeshuffle.cli.{name}").command
    context = command.make_context(name, arguments)
    if isinstance(command, click.Group):
        subcommand = command.get_command(context, arguments[0])
        subcommand.make_context(arguments[0], arguments[1:])


def test_every_command_has_an_example():
    assert {example.split()[0] for example in EXAMPLES} == set(COMMANDS)


def test_exit_codes_are_all_listed():
    table = README[README.index("| code |") :].split("\n\n")[0]
    listed = {int(code) for code in re.findall(r"\| (\d+) \|", table)}
    kinds = [e for e in vars(errors).values() if isinstance(e, type)]
    kinds = [e for e in kinds if issubclass(e, errors.EdgeShuffleError)]
    own = {e.exit_code for e in kinds if e is not errors.EdgeShuffleError}
    assert listed | {1} == own | {0, 1, 130}


def test_snippets_import_what_exists():
    (snippet,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in snippet.splitlines():
        if line.startswith("from "):
            exec(line, {})
    compile(snippet, "README.md", "exec")
    assert "edgeshuffle.converter.export" in sys.modules


def test_what_is_public_is_there():
    assert set(edgeshuffle.__all__) <= set(dir(edgeshuffle))
    for name in edgeshuffle.__all__:
        assert getattr(edgeshuffle, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgeshuffle.nothing


def test_the_tables_of_what_is_supported_are_whole():
    from edgeshuffle.converter.zoo.cards import variants
    from edgeshuffle.converter.zoo.layouts import layout_names

    section = README[README.index("### What is supported") : README.index("### Accuracy")]
    named = set(re.findall(r"`([\w-]+)`", section))
    assert set(layout_names()) <= named
    assert {name for name in variants() if "plus" not in name} | {"v2plus-small"} <= named
    tables = [line for line in section.splitlines() if line.startswith("|")]
    assert max(map(len, tables)) <= 80
