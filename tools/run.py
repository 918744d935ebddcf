"""Set up a private virtual environment and run the demo or the tests: needs only Python 3.11+.

    python3 tools/run.py demo                export, evaluate and bench the packaged demo model
    python3 tools/run.py test                linters, type checker and all tests
    python3 tools/run.py test --fast         no devices, no emulation, nothing that takes long
    python3 tools/run.py campaign [MINUTES]  hostile files, kills and races, with new seeds

Everything goes to `.venv` in this folder. A second run installs nothing anew.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
# On Linux, PyPI's torch brings gigabytes of CUDA packages; this is torch's own index without.
CPU_TORCH = ("--extra-index-url", "https://download.pytorch.org/whl/cpu")
EXTRAS = {"demo": "export", "test": "dev", "campaign": "dev"}
CAMPAIGN_MINUTES = "30"
# Tests of one file share a device, an emulator or a container engine: one process has them all. In
# their own order, files that take long come first, and not last as those with few tests.
TESTS = ["-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
COMMANDS = {
    "demo": [
        ["-m", "edgeshuffle", "export", "--width", "1.0", "--int8", "--overwrite"],
        ["-m", "edgeshuffle", "evaluate"],
        # A shared machine is seldom quiet enough for numbers to be quoted.
        ["-m", "edgeshuffle", "bench", "--allow-invalid"],
    ],
    "test": [
        ["-m", "ruff", "check", "."],
        ["-m", "ruff", "format", "--check", "."],
        ["-m", "mypy"],
        # import-linter has no module to run, only a program.
        ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        [*TESTS, "--cov", "--cov-fail-under=85"],
    ],
    "campaign": [["-m", "pytest", "tests/campaign"]],
}
FAST = [*COMMANDS["test"][:-1], [*TESTS, "-m", "not device and not slow"]]


def main() -> int:
    """The exit status of the first command that fails, or 0."""
    job, *more = sys.argv[1:] or [""]
    fast = job == "test" and more == ["--fast"]
    minutes = more[0] if more and not fast else CAMPAIGN_MINUTES
    if job not in COMMANDS or len(more) > (fast or job == "campaign") or not minutes.isdecimal():
        print(__doc__, file=sys.stderr)
        return 2
    if sys.version_info < (3, 11):  # noqa: UP036 - runs before anything is installed
        print(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    environment = dict(os.environ)
    if job == "campaign":
        environment["EDGESHUFFLE_CAMPAIGN_MINUTES"] = minutes
    status = set_up(EXTRAS[job])
    for command in FAST if fast else COMMANDS[job]:
        if status:
            break
        shown = " ".join(command).removeprefix("-m ")
        print(f"\n$ {shown}", flush=True)
        status = subprocess.call([PYTHON, *command], cwd=ROOT, env=environment)
    return status


def set_up(extra: str) -> int:
    """Install edgeshuffle with an extra, unless that is done already; pip's exit status."""
    wanted = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", CONSTRAINTS):
        wanted.update(path.read_bytes())
    stamp = ENVIRONMENT / f"installed-{extra}"
    if stamp.exists() and stamp.read_text() == wanted.hexdigest():
        return 0
    print(f"Installing into {ENVIRONMENT.name} (some minutes, once) ...", flush=True)
    steps = [] if PYTHON.exists() else [[sys.executable, "-m", "venv", str(ENVIRONMENT)]]
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet"]
    if platform.system() == "Linux":
        torch = next(
            line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch==")
        )
        once = ["--no-deps", "--retries", "1", "--timeout", "15"]
        steps.append([*pip, *once, *CPU_TORCH, f"{torch}+cpu"])
    steps.append([*pip, "--constraint", str(CONSTRAINTS), "--editable", f".[{extra}]"])
    for step in steps:
        status = subprocess.call(step, cwd=ROOT, env={**os.environ, "PIP_NO_INPUT": "1"})
        if status:
            print(f"Failed: {' '.join(step)}", file=sys.stderr)
            return status
    stamp.write_text(wanted.hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
