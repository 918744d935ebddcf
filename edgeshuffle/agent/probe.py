"""What this device is, and its state at this moment: what its kernel and its firmware show.

Stands alone, beside the agent: needs nothing but Python 3.9 or later. Names end with their unit:
khz (kHz), mc (thousandths of a degree Celsius), bytes.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

CPUS = Path("/sys/devices/system/cpu")
ZONES = Path("/sys/class/thermal")


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


def state() -> dict[str, Any]:
    """What may change from one block of inferences to the next."""
    return {
        "peak_rss_bytes": peak_rss_bytes(),
        "clock_khz": clock_khz(),
        "temperature_mc": temperature_mc(),
        "throttled": throttled(),
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
    value = _memory("VmHWM")
    # Only a fallback: on Linux it may hold the parent's peak, kept over fork and exec.
    return value or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rss_bytes() -> int | None:
    """The resident memory of this process at this moment."""
    return _memory("VmRSS")


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


def _memory(key: str) -> int | None:
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
