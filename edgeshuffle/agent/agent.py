"""Holds one model and runs it: JSON lines in on stdin, one JSON reply a line on stdout.

Stands alone, beside the runtime's module: needs Python 3.9 or later, numpy and the runtime.

    python agent.py --runtime ort --model FILE --threads N --seed S [--cores 4,5]
    python agent.py --describe

The other form needs nothing but Python: it prints what the device is. With a model, the first line
out is {"ready": true, ...}. Then are answered

    {"cmd": "run", "n": 20}                   the times of n inferences, and the state after them
    {"cmd": "infer", "shape": [1, 3, H, W], "image": BASE64}   the logits of a float32
                                              image, as float32 in base64
    {"cmd": "count", "n": 3}                  n inferences, each announced to a counting emulator
    {"cmd": "profile", "n": 20}               mean time of each operator, where the runtime tells
    {"cmd": "energy", "seconds": 2}           power while idle and while inferring, where measured
    {"cmd": "state"}                          clock, temperature, throttle bits, peak memory

What goes wrong is answered with {"error": "..."}. {"cmd": "quit"} or the end of input ends the
process. Names end with their unit: ns, bytes, khz (kHz), mc (thousandths of a degree Celsius).
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CPUS = Path("/sys/devices/system/cpu")
ZONES = Path("/sys/class/thermal")
# No kernel has a system call of this number, so that only an emulator hears it.
MARK = 0x5E00


def main() -> int:
    """Answer until told to quit; the exit status is 1 where the model cannot be opened."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--describe", action="store_true")
    parser.add_argument("--runtime")
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    reply = _claim_stdout()
    if options.describe:
        reply(describe())
        return 0
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


def describe() -> dict[str, Any]:
    """What this device is: the values of edgeshuffle's DeviceInfo, and what packages fit it."""
    machine = platform.machine()
    return {
        "machine": machine,
        "hostname": platform.node(),
        "kernel": platform.release(),
        "cpu": _board() or machine,
        "cores": len(os.sched_getaffinity(0)),
        "is_arm": _is_arm(),
        "emulated": bool(os.environ.get("EDGESHUFFLE_EMULATED")),
        "clusters": clusters(),
        "governor": _text(CPUS / "cpu0/cpufreq/scaling_governor") or None,
        "clock_khz": clock_khz(),
        "temperature_mc": temperature_mc(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "glibc": platform.libc_ver()[1] or None,
        "features": _features(),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "free_bytes": _free_bytes(),
        "throttled": throttled(),
        "pmic": shutil.which("vcgencmd") is not None,
        "packages": _packages("onnxruntime", "ai-edge-litert", "tflite-runtime", "numpy"),
    }


def clusters(cpus: Path = CPUS) -> list[list[int]]:
    """Cores that may be used, alike ones together, the slowest first.

    The kernel of an ARM device tells each core's capacity, or its highest clock. Elsewhere, clocks
    of single cores differ by their luck, and all are taken for one cluster.
    """
    found: dict[int, list[int]] = {}
    for core in sorted(os.sched_getaffinity(0)):
        folder = cpus / f"cpu{core}"
        speed = _integer(folder / "cpu_capacity") or (
            _integer(folder / "cpufreq/cpuinfo_max_freq") if _is_arm() else None
        )
        found.setdefault(speed or 0, []).append(core)
    return [found[speed] for speed in sorted(found)]


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


def throttled() -> int | None:
    """A Raspberry Pi firmware's throttle bits (`vcgencmd get_throttled`), where there are any."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "get_throttled"], stdout=subprocess.PIPE, timeout=5, check=True
        )
        return int(done.stdout.decode().strip().partition("=")[2], 16)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


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
    # Not at the top: `--describe` has to work where numpy is still missing.
    import numpy as np

    if options.cores:
        # Before the runtime makes its threads, which inherit it.
        os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
    runtime = _module(options.runtime)
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


def _module(name: str) -> Any:
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
        return {"samples_ns": _run(session, command["n"]), "state": _state()}
    if command["cmd"] == "state":
        return _state()
    if command["cmd"] == "infer":
        return {"logits": _infer(session, command)}
    if command["cmd"] == "count":
        return _count(session, command["n"])
    if command["cmd"] == "energy":
        power: dict[str, Any] = _module("power").measure(session.invoke, command["seconds"])
        return power
    if command["cmd"] == "profile":
        # Not every runtime tells.
        profile = getattr(session, "profile", None)
        return {"operators": profile(command["n"]) if profile else []}
    raise ValueError("unknown command {!r}".format(command["cmd"]))


def _state() -> dict[str, Any]:
    return {
        "peak_rss_bytes": peak_rss_bytes(),
        "clock_khz": clock_khz(),
        "temperature_mc": temperature_mc(),
        "throttled": throttled(),
    }


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


def _infer(session: Any, command: dict[str, Any]) -> str:
    import numpy as np

    values = np.frombuffer(base64.b64decode(command["image"]), np.float32)
    logits = session.run(values.reshape(command["shape"]))
    return base64.b64encode(logits.astype("<f4").tobytes()).decode()


def _count(session: Any, n: int) -> dict[str, Any]:
    mark = ctypes.CDLL(None).syscall
    for index in range(n):
        mark(MARK, index + 1)
        session.invoke()
    mark(MARK, 0)
    return {"marked": n}


def _as_data(err: Exception) -> dict[str, Any]:
    data = {"error": "{}: {}".format(type(err).__name__, " ".join(str(err).split()))}
    if isinstance(err, ModuleNotFoundError) and err.name:
        data["missing"] = err.name
    return data


def _board() -> str | None:
    """The board's name on ARM, the processor's elsewhere."""
    board = _text(Path("/sys/firmware/devicetree/base/model")).rstrip("\0")
    if board:
        return board
    entries = [line.partition(":") for line in _text(Path("/proc/cpuinfo")).splitlines()]
    found = {key.strip().lower(): value.strip() for key, _, value in entries}
    return found.get("model name") or found.get("hardware")


def _is_arm() -> bool:
    return platform.machine().lower().startswith(("arm", "aarch64"))


def _features() -> list[str]:
    """Instruction set features of the first core, as its kernel names them."""
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("Features", "flags"):
            return value.split()
    return []


def _packages(*names: str) -> dict[str, str]:
    """Versions of those that this Python finds."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _status(key: str) -> int | None:
    """A size of /proc/self/status in bytes."""
    for line in _text(Path("/proc/self/status")).splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def _free_bytes() -> int | None:
    """Where the home folder is; a user of a container may have none."""
    try:
        return shutil.disk_usage(Path.home()).free
    except (OSError, RuntimeError):
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
