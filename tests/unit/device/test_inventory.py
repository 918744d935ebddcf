from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import start
from small_models import run

from edgeshuffle.device.inventory import add_device, find_address, inventory_file, read_inventory
from edgeshuffle.errors import UnknownNameError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_without_a_file_there_are_defaults():
    assert read_inventory(inventory_file()) == {
        "pi": "ssh://raspberrypi.local",
        "android": "adb://",
    }
    assert find_address("pi", inventory_file()) == "ssh://raspberrypi.local"
    assert find_address("local", inventory_file()) == "local"
    assert find_address("ssh://me@there:22", inventory_file()) == "ssh://me@there:22"


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
    assert find_address("here", file) == "local"
    assert not inventory_file().exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "a b", "local"), "cannot be a device's name"),
        (("add", "ssh", "local"), "cannot be a device's name"),
        (("add", "x", "ftp://there"), "is no device's address"),
        (("add", "x", "ssh://there:70000"), "a port of 1 to 65535"),
        (("add", "x", "docker://there:0/image"), "a port of 1 to 65535"),
        (("add", "x", "docker://there"), "names no image"),
        (("add", "x", "emulated://pi9"), "Unknown board 'pi9'"),
        (("add", "x", "adb://-s"), "is no serial number"),
        (("add", "x", "local://there"), "takes no address"),
        (("remove", "x"), "names no device 'x'"),
        (("test", "kitchn"), "Unknown device 'kitchn'. Did you mean 'kitchen'?"),
    ],
)
def test_refusals_are_one_line(arguments, message, capsys):
    assert run("devices", "add", "kitchen", "local") == 0
    capsys.readouterr()
    assert run("devices", *arguments) == UnknownNameError.exit_code
    assert message in capsys.readouterr().err


OWN = """# my boards
[kitchen]  # under the sink
address = "ssh://me@kitchen.local"
note = "heat sink"

["a.b"]
address = "local"
"""


def test_adding_keeps_comments_keys_and_quoted_names(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text(OWN)
    file.chmod(0o600)
    assert run("devices", "--devices", file, "add", "c.d", "adb://") == 0
    assert run("devices", "--devices", file, "add", "küche", "local") == 0
    assert run("devices", "--devices", file, "add", "kitchen", "ssh://new") == 0
    text = file.read_text("utf-8")
    assert text.startswith(OWN.replace("ssh://me@kitchen.local", "ssh://new"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_inventory(file) == {
        **read_inventory(tmp_path / "none"),
        "kitchen": "ssh://new",
        "a.b": "local",
        "c.d": "adb://",
        "küche": "local",
    }
    for name in ("c.d", "küche"):
        assert run("devices", "--devices", file, "remove", name) == 0
    assert file.read_text("utf-8").rstrip() == text.split('["c.d"]')[0].rstrip()


def test_adding_follows_a_link(tmp_path):
    (tmp_path / "real.toml").write_text(OWN)
    (tmp_path / "link.toml").symlink_to("real.toml")
    assert run("devices", "--devices", tmp_path / "link.toml", "add", "x", "local") == 0
    assert (tmp_path / "link.toml").is_symlink()
    assert "[x]" in (tmp_path / "real.toml").read_text()


def test_adding_at_once_loses_none(tmp_path):
    file = tmp_path / "mine.toml"
    started = [start("devices", "--devices", file, "add", f"n{n}", "local") for n in range(6)]
    assert [one.end()[0] for one in started] == [0] * 6
    assert {f"n{n}" for n in range(6)} <= set(read_inventory(file))


BAD = [
    "[", "[x]", "x = 1", "[x]\naddress = 5", '[x]\naddress = "y"', "x = " + "[" * 5000, "\0",
    "[x.y]\naddress = 'local'", "[[x]]\naddress = 'local'", "x = 1979-05-27", "#" * (1 << 21),
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_bad_file_is_named(tmp_path, text):
    file = tmp_path / "devices.toml"
    file.write_text(text)
    with pytest.raises(UnknownNameError, match=r"devices.toml cannot be read|no device's address"):
        find_address("pi", file)


def not_utf8(file):
    file.write_bytes(b"\xff")


def linked_to_itself(file):
    file.symlink_to(file.name)


@pytest.mark.parametrize("make", [not_utf8, linked_to_itself, os.mkfifo, Path.mkdir])
@pytest.mark.parametrize(
    "command",
    [
        ("devices",),
        ("devices", "list"),
        ("devices", "add", "x", "local"),
        ("devices", "remove", "x"),
        ("devices", "test", "pi"),
        ("doctor", "--device", "pi"),
        ("setup", "--device", "pi"),
    ],
)
def test_a_bad_file_is_one_line_in_every_command(tmp_path, command, make, capsys):
    file = tmp_path / "config" / "edgeshuffle" / "devices.toml"
    file.parent.mkdir(parents=True)
    make(file)
    assert run(*command) == UnknownNameError.exit_code
    err = capsys.readouterr().err
    assert err.startswith(f"edgeshuffle: {file} cannot be read (")
    assert len(err.splitlines()) == 1


def test_a_read_only_file_is_not_replaced(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.toml").write_text(OWN)
    # For root, nothing is read-only.
    monkeypatch.setattr("os.access", lambda _, mode, **__: not mode & os.W_OK)
    assert run("devices", "--devices", tmp_path / "mine.toml", "add", "x", "local") == 7
    assert "is read-only" in capsys.readouterr().err
    assert (tmp_path / "mine.toml").read_text() == OWN


@given(
    st.dictionaries(st.text(), st.text() | st.integers() | st.dictionaries(st.text(), st.text()))
)
def test_any_toml_is_read_or_refused(values):
    import tomlkit

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "devices.toml"
        file.write_text(tomlkit.dumps(values), "utf-8")
        with contextlib.suppress(UnknownNameError):
            add_device(file, "kitchen", "local")
            assert read_inventory(file)["kitchen"] == "local"


def test_a_device_tells_what_it_is(capsys):
    assert run("devices", "test", "local", "--json") == 0
    assert json.loads(capsys.readouterr().out)["python"]
    assert run("setup") == 0
    assert "local is ready" in capsys.readouterr().out
