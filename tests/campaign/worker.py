"""Runs cases in forks of a process that has everything imported: a case costs milliseconds.

Standard input has `FAMILY SEED` a line, standard output one JSON object for each.
"""

from __future__ import annotations

import atexit
import dataclasses
import faulthandler
import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import weakref
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaign.case import HANG_SECONDS, Case, Outcome, Sandbox
from campaign.families import FAMILIES
from campaign.oracle import MEMORY, Failure, alive, judge, leftovers, listing
from campaign.seeds import Seeds

if TYPE_CHECKING:
    from collections.abc import Callable

# What a command may take of address space beyond what is imported.
_ROOM = 3 * 2**30
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
_IMPORTED = (
    *("bench", "compare", "devices", "doctor", "evaluate", "export", "image", "inspect", "report"),
    *("guidelines", "profile", "sensitivity", "setup", "zoo"),
)


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    seeds = Seeds(Path(sys.argv[1]))
    warm_up()
    # No TemporaryDirectory, which every fork would remove at its end.
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    try:
        for line in sys.stdin:
            family, seed = line.split()
            replies.write(json.dumps(run(family, int(seed), seeds, folder)) + "\n")
            replies.flush()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def warm_up() -> None:
    """Import what commands import late, and keep it out of the way of forks."""
    for name in _IMPORTED:
        import_module(f"edgeshuffle.cli.{name}")
    for name in (
        *(
            "edgeshuffle.runner.bench",
            "edgeshuffle.runner.compare",
            "edgeshuffle.converter.export",
            "edgeshuffle.converter.frontend",
        ),
        *(
            "edgeshuffle.converter.passes",
            "edgeshuffle.converter.quant",
            "edgeshuffle.report.json",
            "edgeshuffle.device.doctor",
        ),
        *("edgeshuffle.report.terminal", "edgeshuffle.device.ssh", "edgeshuffle.device.local"),
        *(
            "edgeshuffle.converter.sensitivity",
            "edgeshuffle.runner.guidelines.build",
            "edgeshuffle.runner.guidelines.run",
            "edgeshuffle.runner.profile.onnx_layers",
            "edgeshuffle.runner.profile.tflite_layers",
            "edgeshuffle.converter.emit.onnx",
            "edgeshuffle.converter.emit.tflite",
        ),
        *("edgeshuffle.agent.ort", "edgeshuffle.agent.litert", "edgeshuffle.converter.zoo.weights"),
        *("torch", "onnx", "onnxsim", "onnxruntime", "ai_edge_litert.interpreter", "rich.console"),
        *("safetensors", "onnx.reference", "rich.progress", "rich.table"),
    ):
        import_module(name)
    gc.collect()
    gc.freeze()


def run(family: str, seed: int, seeds: Seeds, folder: Path) -> dict[str, Any]:
    """One case and all that is wrong with it, as plain values."""
    sandbox = Sandbox(folder / f"{family}-{seed}")
    sandbox.make()
    case = FAMILIES[family].case(random.Random(f"{family} {seed}"), sandbox, seeds)
    before = listing(sandbox.work)
    started = time.monotonic()
    outcome, failures = _command(case, sandbox)
    seconds = time.monotonic() - started
    if not failures:
        failures = _judged(case, sandbox, outcome, before)
    failures += _left(sandbox)
    found = {
        "family": family,
        "seed": seed,
        "arguments": case.arguments,
        "code": outcome.code,
        "seconds": round(seconds, 3),
        "failures": [dataclasses.asdict(one) for one in failures],
        "out": outcome.out[-4000:],
        "err": outcome.err[-4000:],
    }
    shutil.rmtree(sandbox.root, ignore_errors=True)
    return found


def _command(case: Case, sandbox: Sandbox) -> tuple[Outcome, list[Failure]]:
    streams = {name: sandbox.root / name for name in ("stdout", "stderr")}
    for file in streams.values():
        file.touch()

    def child() -> int:
        _enter(case, sandbox, streams)
        from edgeshuffle.cli import main as edgeshuffle

        if case.prepare is not None:
            case.prepare()
        try:
            edgeshuffle(case.arguments, prog_name="edgeshuffle")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else bool(end.code)
        return 0

    status, usage, hung = _forked(child, case.patience)
    code = os.waitstatus_to_exitcode(status)
    said = {name: _said(file) for name, file in streams.items()}
    trace = ""
    if code == 1:
        # Crashes are one line, too; this is where they come from.
        case = dataclasses.replace(case, environment={**case.environment, "EDGESHUFFLE_DEBUG": "1"})
        _forked(child, HANG_SECONDS)
        trace = _said(streams["stderr"])
    outcome = Outcome(
        max(code, 0), max(-code, 0), said["stdout"], said["stderr"], sandbox.work, trace
    )
    err = outcome.err
    command = case.arguments[0] if case.arguments else ""
    if hung:
        stack = [line.strip() for line in err.splitlines() if "/edgeshuffle/" in line]
        where = stack[0] if stack else command
        return outcome, [Failure("hang", where, f"more than {case.patience:.0f} s")]
    if usage.ru_maxrss * 1024 > MEMORY:
        return outcome, [Failure("memory", command, f"{usage.ru_maxrss / 2**20:.1f} GB")]
    return outcome, []


def _said(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "surrogateescape")


def _enter(case: Case, sandbox: Sandbox, streams: dict[str, Path]) -> None:
    """Make a fork look like a process that was just started."""
    os.chdir(sandbox.work)
    environment = {**sandbox.environment(), **case.environment}
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    for number, file in enumerate(streams.values(), 1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdin = os.fdopen(0, "r", encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    # As Python itself opens it, whatever it is given to print can be printed.
    sys.stderr = os.fdopen(
        2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    faulthandler.enable(2)
    faulthandler.register(signal.SIGUSR1, 2)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _ROOM, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _judged(case: Case, sandbox: Sandbox, outcome: Outcome, before: Any) -> list[Failure]:
    """What the oracle says; in a fork where the check runs runtimes on a hostile model."""
    if case.right is None or outcome.code:
        return list(judge(case, outcome, before, listing(outcome.work)))
    report = sandbox.root / "verdict"

    def child() -> int:
        found = [
            dataclasses.asdict(one) for one in judge(case, outcome, before, listing(outcome.work))
        ]
        report.write_text(json.dumps(found, default=str))
        return 0

    status, _, hung = _forked(child, HANG_SECONDS)
    if status or hung or not report.exists():
        how = "hung" if hung else f"wait status {status}"
        return [Failure("the check itself failed", case.arguments[0], how)]
    return [Failure(**one) for one in json.loads(report.read_text())]


def _left(sandbox: Sandbox) -> list[Failure]:
    """Temporary files and processes that outlived the command, and what it did to the machine."""
    failures = []
    left = leftovers(sandbox.temporary)
    if left:
        failures.append(
            Failure("a temporary file is left", left[0].rstrip("0123456789"), str(left))
        )
    failures += [
        Failure("a device is replaced", device, "mend it with mknod")
        for device in _DEVICES
        if not Path(device).is_char_device()
    ]
    running = alive(sandbox.root)
    deadline = time.monotonic() + 2
    while running and time.monotonic() < deadline:
        time.sleep(0.05)
        running = alive(sandbox.root)
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        failures.append(Failure("a process is left", "", str(pid)))
    return failures


def _forked(child: Callable[[], int], limit: float) -> tuple[int, Any, bool]:
    """Wait status, resources used and whether the time was over, of a function run in a fork."""
    pid = os.fork()
    if pid == 0:
        status = 1
        # Whoever is to clean up at the end of this process is not to do so at the fork's.
        atexit._clear()
        weakref.finalize._registry.clear()
        weakref.finalize._registered_with_atexit = False
        try:
            status = child()
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(BaseException):
                atexit._run_exitfuncs()
            with suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
    deadline = time.monotonic() + limit
    pause, hung = 0.001, False
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage, hung
        if not hung and time.monotonic() > deadline:
            hung = True
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
                time.sleep(0.3)
                os.kill(pid, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 1.3, 0.02)


if __name__ == "__main__":
    main()
