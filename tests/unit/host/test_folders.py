from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from small_models import run

from edgeshuffle.device.local import state_folder
from edgeshuffle.host import folders
from edgeshuffle.host.folders import cache_folder, config_folder, private_folder


@pytest.fixture(autouse=True)
def no_folders(tmp_path, monkeypatch):
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    private_folder.cache_clear()
    yield
    private_folder.cache_clear()


def test_folders_are_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "edgeshuffle"
    assert config_folder() == tmp_path / ".config" / "edgeshuffle"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    assert cache_folder() == tmp_path / "kept" / "edgeshuffle"
    assert not (tmp_path / "kept").exists()


def no_entry():
    raise RuntimeError("Could not determine home directory.")


def test_without_a_home_there_is_a_private_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.Path, "home", no_entry)
    private = tmp_path / "tmp" / f"edgeshuffle-{os.getuid()}"
    assert cache_folder() == private / "cache"
    assert config_folder() == private / "config"
    assert private.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_written_is_as_none(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert cache_folder().is_relative_to(tmp_path / "tmp")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(folders.os, "access", lambda *_: False)
    assert cache_folder().is_relative_to(tmp_path / "tmp")


def test_a_relative_path_in_a_variable_is_as_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "edgeshuffle"
    assert state_folder() == cache_folder() / "state"
    monkeypatch.setenv("HOME", "relative")
    assert cache_folder().is_relative_to(tmp_path / "tmp")


@pytest.mark.parametrize("made", [lambda p: p.symlink_to("/"), lambda p: p.touch(), Path.mkdir])
def test_somebody_elses_folder_is_not_used(tmp_path, monkeypatch, made):
    monkeypatch.setattr(folders.Path, "home", no_entry)
    theirs = tmp_path / "tmp" / f"edgeshuffle-{os.getuid()}"
    made(theirs)
    if theirs.is_dir() and not theirs.is_symlink():
        theirs.chmod(0o777)
    assert not cache_folder().is_relative_to(theirs)
    assert cache_folder() == cache_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("home", [None, "/nonexistent", "/root"])
def test_a_user_without_an_entry_lists_and_names_devices(home):
    # The interpreter itself may lie where only root may look.
    script = (
        "import os, sys, filelock, msgspec, tomlkit, tomllib, edgeshuffle.cli.devices\n"
        "import edgeshuffle.device.local\n"
        "from edgeshuffle.cli import main\n"
        "os.setgid(54321)\nos.setuid(54321)\n"
        "main(sys.argv[1:])\n"
    )
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HOME", "XDG"))
    }
    environment |= {} if home is None else {"HOME": home}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        environment |= {"TMPDIR": folder, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        for arguments in (["devices"], ["devices", "add", "kitchen", "local"]):
            done = subprocess.run(
                [sys.executable, "-c", script, *arguments],
                env=environment,
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
        assert "kitchen" in next(Path(folder).rglob("devices.toml")).read_text()


def test_commands_work_without_a_home(monkeypatch, capsys):
    monkeypatch.setattr(folders.Path, "home", no_entry)
    assert run("devices") == 0
    assert "local" in capsys.readouterr().out
