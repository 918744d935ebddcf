"""Holds one model and times it: JSON lines in on stdin, one JSON reply a line on stdout.

Stands alone, beside the runtime's module: needs Python 3.9 or later, numpy and the runtime.

    python agent.py --runtime ort --model FILE --threads N --seed S

The first line out is {"ready": true, ...}. Then {"cmd": "run", "n": 20} and {"cmd": "state"} are
answered; what goes wrong is answered with {"error": "..."}. {"cmd": "quit"} or the end of input
ends the process. Names end with their unit: ns, bytes, khz (kHz), mc (thousandths of a degree
Celsius).
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CPUS = Path("/sys/devices/system/cpu")
ZONES = Path("/sys/class/thermal")


def main() -> int:
    """Answer until told to quit; the exit status is 1 where the model cannot be opened."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    reply = _claim_stdout()
    try:
        session, ready = _open(options)
    # Every runtime has errors of its own, and the host can only quote what it is sent.
    except Exception as err:
        reply(_as_data(err))
        return 1
    reply(ready)
    for line in sys.stdin:
        try:
            command = json.loads(line)
            if command["cmd"] == "quit":
                break
            reply(_answer(session, command))
        except Exception as err:
            reply(_as_data(err))
    return 0


def clock_khz(cpus: Path = CPUS) -> int | None:
    """Clock of the fastest core at this moment in kHz, where the kernel shows it."""
    clocks = [_integer(path) for path in cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    return max((clock for clock in clocks if clock), default=None)


def temperature_mc(zones: Path = ZONES) -> int | None:
    """Hottest CPU zone, or of all zones, in thousandths of a degree Celsius, where shown."""
    found = {}
    for zone in zones.glob("thermal_zone*"):
        value = _integer(zone / "temp")
        # Sensors that are switched off read 0 or absurd values.
        if value is not None and 0 < value < 150_000:
            found[_text(zone / "type") + zone.name] = value
    processor = [value for name, value in found.items() if "cpu" in name.lower()]
    return max(processor or found.values(), default=None)


def peak_rss_bytes() -> int:
    """The largest resident memory of this process so far."""
    value = _status("VmHWM")
    # Only a fallback: on Linux it may hold the parent's peak, kept over fork and exec.
    return value or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _claim_stdout() -> Any:
    """Keep stdout for replies: what is printed elsewhere, native code included, goes to stderr."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(data: dict[str, Any]) -> None:
        pipe.write(json.dumps(data) + "\n")
        pipe.flush()

    return reply


def _open(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    runtime = _runtime(options.runtime)
    before = _status("VmRSS")
    start = time.perf_counter_ns()
    session = runtime.open_session(options.model, options.threads)
    load = time.perf_counter_ns() - start
    shape = session.input_shape
    if not all(isinstance(size, int) for size in shape):
        raise ValueError(f"the input shape {tuple(shape)} is not fixed")
    image = np.random.default_rng(options.seed).standard_normal(shape, dtype=np.float32)
    session.stage(image)
    start = time.perf_counter_ns()
    session.invoke()
    first = time.perf_counter_ns() - start
    return session, {
        "ready": True,
        "load_ns": load,
        "first_ns": first,
        "runtime_version": session.version,
        "input_shape": list(shape),
        "rss_before_bytes": before,
    }


def _runtime(name: str) -> Any:
    """The module `name`.py of this file's own folder."""
    folder = Path(__file__).resolve().parent
    # Python put this folder first, where its files would hide installed packages of their names.
    sys.path = [entry for entry in sys.path if Path(entry).resolve() != folder]
    path = folder / (name + ".py")
    spec = importlib.util.spec_from_file_location("agent_runtime_" + name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"there is no runtime '{name}' beside {__file__}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answer(session: Any, command: dict[str, Any]) -> dict[str, Any]:
    if command["cmd"] == "run":
        return {"samples_ns": _run(session, command["n"])}
    if command["cmd"] == "state":
        return {
            "peak_rss_bytes": peak_rss_bytes(),
            "clock_khz": clock_khz(),
            "temperature_mc": temperature_mc(),
        }
    raise ValueError("unknown command {!r}".format(command["cmd"]))


def _run(session: Any, n: int) -> list[int]:
    now, invoke = time.perf_counter_ns, session.invoke
    samples = [0] * n
    gc.disable()
    try:
        for index in range(n):
            start = now()
            invoke()
            samples[index] = now() - start
    finally:
        gc.enable()
    return samples


def _as_data(err: Exception) -> dict[str, Any]:
    data = {"error": "{}: {}".format(type(err).__name__, " ".join(str(err).split()))}
    if isinstance(err, ModuleNotFoundError) and err.name:
        data["missing"] = err.name
    return data


def _status(key: str) -> int | None:
    """A size of /proc/self/status in bytes."""
    for line in _text(Path("/proc/self/status")).splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def _integer(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
