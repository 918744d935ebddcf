"""An answer of a device's shell is told from whatever else is said there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeshuffle.device import scripts, ssh
from edgeshuffle.device.command import Done, finish
from edgeshuffle.device.transport import frame, unframe
from edgeshuffle.errors import DeviceError

ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"


def answer(argv, greeting=""):
    line, word = frame(argv)
    done = finish(["sh", "-c", f"{greeting}\n{line}"], 20, "here")
    return unframe(word, done)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)))
def test_arguments_arrive_as_they_are(arguments):
    found = answer([sys.executable, "-S", "-c", ECHO, *arguments])
    assert found.status == 0
    assert json.loads(found.out) == arguments


@pytest.mark.parametrize("status", [0, 3, 255])
@pytest.mark.parametrize("said", ["", "one line", "a\\n\\nb\\n"])
def test_a_greeting_is_no_answer(status, said):
    script = ["sh", "-c", 'printf "$0"; exit "$1"', said, str(status)]
    found = answer(script, "echo 'Welcome to /home'; echo; echo more >&2")
    assert (found.out, found.status) == (said.replace("\\n", "\n"), status)


def test_a_shell_that_runs_nothing_gives_no_answer():
    assert answer(["true"], "echo This account is not available.; exit 1") is None
    assert unframe("word", Done(0, "word\nhalf an ans", "")) is None


def test_a_program_is_bounded_in_time_and_size():
    with pytest.raises(DeviceError, match="more than 1048576 bytes"):
        finish(["yes"], 20, "here")
    with pytest.raises(DeviceError, match="did not answer within 1 s"):
        finish(["sleep", "20"], 1, "here")


WHEEL = """
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for index in range(50):
        wheel.writestr(f"package/file{index}.py", "x" * 1000)
"""


@pytest.fixture
def wheel(tmp_path):
    subprocess.run([sys.executable, "-c", WHEEL, tmp_path / "a.whl"], check=True)
    return tmp_path / "a.whl"


def sh(script, *arguments):
    return ["sh", "-c", script, "sh", *map(str, arguments)]


def is_whole(folder):
    return subprocess.run(sh(scripts.IS_WHOLE, folder), check=False).returncode == 0


def unpack(folder, wheel):
    return sh(scripts.UNPACK_WHEELS, folder, sys.executable, wheel)


def test_a_folder_is_whole_or_made_again(tmp_path, wheel):
    site = tmp_path / "a site"
    assert not is_whole(site)
    subprocess.run(unpack(site, wheel), check=True)
    assert is_whole(site)
    (site / "package" / "__pycache__").mkdir()
    (site / "package" / "__pycache__" / "a.pyc").write_text("made by Python")
    assert is_whole(site)
    (site / "package" / "file7.py").write_text("")
    assert not is_whole(site)
    subprocess.run(unpack(site, wheel), check=True)
    assert is_whole(site)
    (site / ".complete").unlink()
    assert not is_whole(site)


def test_two_that_unpack_at_once_make_one_whole_folder(tmp_path, wheel):
    for index in range(5):
        site = tmp_path / f"site{index}"
        racing = [subprocess.Popen(unpack(site, wheel)) for _ in range(3)]
        assert [one.wait(60) for one in racing] == [0, 0, 0]
        assert is_whole(site)
        assert list(tmp_path.glob(f"{site.name}.*")) == []


def test_a_wheel_that_is_none_leaves_nothing(tmp_path):
    (tmp_path / "bad.whl").write_text("no zip file")
    done = subprocess.run(unpack(tmp_path / "site", tmp_path / "bad.whl"), check=False)
    assert done.returncode
    assert list(tmp_path.glob("site*")) == []


def test_a_module_of_the_home_folder_is_not_run(tmp_path, wheel):
    (tmp_path / "zipfile.py").write_text("raise SystemExit('run')")
    subprocess.run(unpack(tmp_path / "site", wheel), check=True, cwd=tmp_path)


@pytest.mark.parametrize("name", ["a b", "100%d", "x" * 200, "${HOME}", "ü"])
def test_ssh_gets_a_socket_whose_path_it_takes(tmp_path, monkeypatch, name):
    strange = tmp_path / name
    strange.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(strange))
    monkeypatch.setattr("tempfile.tempdir", str(strange))
    folder = ssh._socket_folder()
    assert folder.parent == type(folder)("/tmp")
    folder.rmdir()
    assert list(strange.iterdir()) == []


def test_pruning_spares_what_is_used(tmp_path):
    for name in ("files", "runs/alive", "runs/dead", "site-a", "site-b", "site-b.x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "site-a" / ".complete").write_text("x")
    (tmp_path / "files" / "new").write_text("x")
    old = tmp_path / "files" / "old"
    old.write_text("x")
    run = tmp_path / "runs" / "alive"
    keeper = subprocess.Popen(
        ["env", f"EDGESHUFFLE_RUN={run}", "sleep", "60"], stdout=subprocess.DEVNULL
    )
    (run / "pid-keeper").write_text(str(keeper.pid))
    month = "-d '40 days ago'"
    line = f"touch {month} {old} {run} {tmp_path}/runs/dead"
    subprocess.run(["sh", "-c", line], check=True)
    subprocess.run(sh(scripts.PRUNE, tmp_path), check=True)
    keeper.kill()
    keeper.wait()
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")}
    assert left == {"files/new", "runs/alive", "site-a/.complete"}
