"""What foreign text and odd terminals do to the command line, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from places import GOLDEN
from small_models import run

from edgeshuffle.cli.console import Console
from edgeshuffle.cli.terminal import safe_streams

pytestmark = pytest.mark.slow

RECORDS = GOLDEN / "bench" / "valid.jsonl"
COMMAND = [sys.executable, "-m", "edgeshuffle"]


def shell(line, **environment):
    """Run a line in which $E is the command."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        env={**os.environ, "E": " ".join(COMMAND), **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "sign"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"+-"),
        ({"PYTHONIOENCODING": "cp1252"}, "±".encode("cp1252")),
        ({"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, b"+-"),
        ({"PYTHONIOENCODING": "utf-8"}, "±".encode()),
    ],
)
def test_signs_that_a_terminal_lacks_are_replaced(environment, sign):
    script = (
        "from edgeshuffle.cli.console import Console\n"
        "from edgeshuffle.cli.terminal import safe_streams\n"
        "from rich.table import Table\n"
        "table = Table()\n"
        "table.add_column('1 \\xb1 2 \\u4e16')\n"
        "with safe_streams():\n    print('3 \\xb1 4 \\u4e16')\n    Console().print(table)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    assert done.stdout.startswith(b"3 " + sign + b" 4")
    assert b"1 " + sign + b" 2" in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "{ $E devices; echo $? >&3; } | true",
        "$E devices >&-; echo $? >&3",
        "$E devices >&- 2>&- <&-; echo $? >&3",
    ],
)
def test_a_closed_output_is_no_error(line):
    assert shell(f"exec 3>&2; {line}").stderr == b"0\n"


def test_a_closed_error_output_keeps_the_exit_code():
    assert shell("$E export --onnx nothing.onnx 2>&-").returncode == 5


def test_no_file_takes_the_place_of_a_closed_output(tmp_path):
    # The lock, the inventory and its copy would have the number 1.
    done = shell(f"$E devices --devices {tmp_path}/d.toml add kitchen local >&-")
    assert done.returncode == 0
    assert "kitchen is" not in (tmp_path / "d.toml").read_text()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_one_line(unbuffered):
    done = shell("$E devices > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (7, b"edgeshuffle: No space left on device\n")


def test_names_from_outside_do_not_reach_the_terminal_as_commands():
    done = shell("$E export --onnx \"$(printf '\\377\\033[31m\\033]0;owned\\007')\".onnx")
    assert done.returncode == 5
    assert done.stderr.startswith(b"edgeshuffle: There is no ONNX model at")
    assert len(done.stderr.splitlines()) == 1
    assert not set(done.stderr[:-1]) & {7, 27, 10}


def test_tables_and_text_are_cleaned_alike(capsys):
    with safe_streams():
        sys.stdout.write("a\x1b[2Jb\u202ec\udcff.\n")
        Console().print("[/red] \x1b]0;x :smile: d\x9be", style="bold")
    assert capsys.readouterr().out == "a [2Jb c .\n[/red]  ]0;x :smile: d e\n"


def test_interrupted_while_importing(tmp_path):
    (tmp_path / "click.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(20)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = shell("exec $E --help", PYTHONPATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_interrupted_at_work(name, status):
    script = (
        "import sys, time\nfrom edgeshuffle.cli import devices, main\n"
        "def wait(_):\n    print('waiting', flush=True)\n    time.sleep(60)\n"
        "devices.read_inventory = wait\nmain(['devices'])\n"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout.readline() == "waiting\n"
    command.send_signal(signal.Signals[name])
    _, err = command.communicate(timeout=20)
    assert command.returncode == status
    assert "Traceback" not in err


def test_debug_shows_the_traceback_behind_an_error(capsys, monkeypatch):
    line = "edgeshuffle: There is no ONNX model at no.onnx. Check the path given to --onnx.\n"
    assert run("export", "--onnx", "no.onnx") == 5
    assert capsys.readouterr().err == line
    assert run("--debug", "export", "--onnx", "no.onnx") == 5
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith(line)
    monkeypatch.setenv("EDGESHUFFLE_DEBUG", "1")
    assert run("export", "--onnx", "no.onnx") == 5
    assert capsys.readouterr().err.startswith("Traceback")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyError("x\n"), 1, "edgeshuffle: KeyError: 'x\\n'. This is a bug: please report it"),
        (MemoryError(), 1, "edgeshuffle: there is not enough memory"),
        (RecursionError("too deep"), 1, "edgeshuffle: RecursionError: too deep. This is a bug"),
        (PermissionError(13, "Not permitted", "a\nb"), 7, "edgeshuffle: Not permitted: a b"),
        (BrokenPipeError(32, "Broken pipe"), 7, "edgeshuffle: Broken pipe"),
    ],
)
def test_what_nobody_foresaw_is_one_line(error, status, message, capsys, monkeypatch):
    def fail(_):
        raise error

    monkeypatch.setattr("edgeshuffle.cli.devices.read_inventory", fail)
    assert run("devices") == status
    err = capsys.readouterr().err
    assert err.startswith(message)
    assert len(err.splitlines()) == 1


def test_json_is_the_same_in_every_encoding():
    outputs = {shell("$E devices --json", PYTHONIOENCODING=e).stdout for e in ("ascii", "utf-8")}
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["schema_version"] == 1
