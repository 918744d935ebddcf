from __future__ import annotations

import sys

import pytest

from edgeshuffle.errors import MissingExtraError, UnknownNameError
from edgeshuffle.plugins import Table


@pytest.fixture
def table(tmp_path, monkeypatch):
    package = tmp_path / "toys"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "ball.py").write_text("colour = 'red'")
    (package / "train.py").write_text("import a_package_that_nobody_has")
    (package / "broken.py").write_text("import edgeshuffle.not_there")
    monkeypatch.syspath_prepend(tmp_path)
    yield Table("toy", "toys", "play", "ball", "train", "broken")
    for name in [name for name in sys.modules if name.split(".")[0] == "toys"]:
        del sys.modules[name]


def test_names_come_in_order_without_an_import(table):
    assert list(table) == ["ball", "train", "broken"]
    assert len(table) == 3
    assert "train" in table
    assert "plane" not in table
    assert "toys.ball" not in sys.modules


def test_a_plugin_is_imported_when_it_is_asked_for(table):
    assert table["ball"].colour == "red"


def test_an_unknown_name_lists_the_known_and_the_nearest(table):
    with pytest.raises(UnknownNameError, match=r"toy 'bal'. Did you mean 'ball'\? Known: ball, tr"):
        table["bal"]
    with pytest.raises(UnknownNameError, match=r"'zzz'\. Known"):
        table["zzz"]


def test_a_missing_package_names_the_extra(table):
    with pytest.raises(MissingExtraError, match=r"'train' needs .*nobody_has.*edgeshuffle\[play\]"):
        table["train"]


def test_a_bug_of_our_own_is_no_missing_package(table):
    with pytest.raises(ModuleNotFoundError, match="edgeshuffle"):
        table["broken"]


def test_modules_may_be_called_otherwise_than_plugins(table):
    toys = Table("toy", "toys", "play", "al", module="b{}l")
    assert toys["al"].colour == "red"
