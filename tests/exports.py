"""What tests of `edgeshuffle export` give it, and what they ask of the answer."""

from __future__ import annotations

from small_models import run

SIZE = 64


def weights(given):
    return (
        *("--weights", given / "x0_5.pth", "--resolution", SIZE),
        *("--int8", "--calib", given / "calib.npz", "--recipe", "fast"),
    )


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def refused(capsys, error, message, *arguments):
    """The command ends with the error's exit code and one line on stderr that says `message`."""
    code = run(*arguments)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert message in lines[0]
    assert code == error.exit_code
