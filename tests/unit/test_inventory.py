from __future__ import annotations

import json

import pytest
from small_models import run

from edgeshuffle.device.inventory import inventory_file, read_inventory, resolve
from edgeshuffle.errors import UnknownNameError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_without_a_file_there_are_defaults():
    assert read_inventory(inventory_file()) == {
        "pi": "ssh://raspberrypi.local",
        "android": "adb://",
    }
    assert resolve("pi", inventory_file()) == "ssh://raspberrypi.local"
    assert resolve("local", inventory_file()) == "local"
    assert resolve("ssh://me@there:22", inventory_file()) == "ssh://me@there:22"


def test_names_are_added_listed_and_forgotten(capsys):
    assert run("devices", "add", "kitchen", "ssh://me@kitchen.local:2222") == 0
    assert run("devices", "add", "pi", "emulated://pi4") == 0
    capsys.readouterr()
    assert run("devices", "--json") == 0
    assert json.loads(capsys.readouterr().out)["devices"] == {
        "local": "local",
        "pi": "emulated://pi4",
        "android": "adb://",
        "kitchen": "ssh://me@kitchen.local:2222",
    }
    assert run("devices", "remove", "pi") == 0
    assert run("devices", "list") == 0
    assert "pi       ssh://raspberrypi.local" in capsys.readouterr().out
    assert inventory_file().read_text().count("[") == 1


def test_a_file_of_ones_own(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    assert run("devices", "--devices", file, "add", "here", "local") == 0
    assert resolve("here", file) == "local"
    assert not inventory_file().exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "a b", "local"), "cannot be a device's name"),
        (("add", "ssh", "local"), "cannot be a device's name"),
        (("add", "x", "ftp://there"), "is no device's address"),
        (("remove", "x"), "names no device 'x'"),
        (("test", "kitchn"), "Unknown device 'kitchn'. Did you mean 'kitchen'?"),
    ],
)
def test_refusals_are_one_line(arguments, message, capsys):
    assert run("devices", "add", "kitchen", "local") == 0
    capsys.readouterr()
    assert run("devices", *arguments) == UnknownNameError.exit_code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[", "[x]", "x = 1", "[x]\naddress = 5", '[x]\naddress = "y"'])
def test_a_bad_file_is_named(tmp_path, text):
    file = tmp_path / "devices.toml"
    file.write_text(text)
    with pytest.raises(UnknownNameError, match=r"devices.toml cannot be read|no device's address"):
        resolve("pi", file)


def test_a_device_tells_what_it_is(capsys):
    assert run("devices", "test", "local", "--json") == 0
    assert json.loads(capsys.readouterr().out)["python"]
    assert run("setup") == 0
    assert "local is ready" in capsys.readouterr().out
