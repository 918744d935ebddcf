"""Holds one model and runs it: JSON lines in on stdin, one JSON reply a line on stdout.

Stands alone, beside `probe.py`, `power.py` and the runtime's module: needs Python 3.9 or later,
numpy and the runtime.

    python agent.py --runtime ort --model FILE --threads N --seed S [--cores 4,5]
    python agent.py --describe

The other form needs nothing but Python: it prints what the device is. With a model, the first line
out is {"ready": true, ...}. Then are answered

    {"cmd": "run", "n": 20}                   the times of n inferences, and the state after them
    {"cmd": "infer", "shape": [N, C, H, W], "images": BASE64}  all outputs for float32 images,
                                              each as float32 in base64, those of rank 4 as NCHW,
                                              and the time that the inference took
    {"cmd": "count", "n": 3}                  n inferences, each announced to a counting emulator
    {"cmd": "profile", "n": 20}               time of each operator and the shapes that it gives,
                                              where the runtime tells
    {"cmd": "graph"}                          the graph that the runtime made, as it runs it; null
                                              where it does not tell
    {"cmd": "cut", "changes": [[0, BASE64]]}  from now on, run the model with these bytes changed
    {"cmd": "energy", "seconds": 2}           power while idle and while inferring, where measured
    {"cmd": "state"}                          clock, temperature, throttle bits, peak memory

What goes wrong is answered with {"error": "..."}. {"cmd": "quit"} or the end of input ends the
process. Names end with their unit: ns, bytes, khz (kHz), mc (thousandths of a degree Celsius).
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import functools
import gc
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

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
        reply(_beside("probe").describe())
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
    runtime = _beside(options.runtime)
    before = _beside("probe").rss_bytes()
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


@functools.cache
def _beside(name: str) -> Any:
    """The module `name`.py of this file's own folder."""
    folder = Path(__file__).resolve().parent
    # Python put this folder first, where its files would hide installed packages of their names.
    sys.path = [entry for entry in sys.path if Path(entry).resolve() != folder]
    path = folder / (name + ".py")
    spec = importlib.util.spec_from_file_location("agent_" + name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"there is no runtime '{name}' beside {__file__}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answer(session: Any, command: dict[str, Any]) -> dict[str, Any]:
    if command["cmd"] == "run":
        return {"samples_ns": _run(session, command["n"]), "state": _beside("probe").state()}
    if command["cmd"] == "state":
        state: dict[str, Any] = _beside("probe").state()
        return state
    if command["cmd"] == "infer":
        return _infer(session, command)
    if command["cmd"] == "count":
        return _count(session, command["n"])
    if command["cmd"] == "energy":
        power: dict[str, Any] = _beside("power").measure(session.invoke, command["seconds"])
        return power
    if command["cmd"] == "profile":
        # Not every runtime tells.
        profile = getattr(session, "profile", None)
        return {"operators": profile(command["n"]) if profile else []}
    if command["cmd"] == "graph":
        graph = getattr(session, "graph", None)
        return {"graph": base64.b64encode(graph()).decode() if graph else None}
    if command["cmd"] == "cut":
        session.cut([(offset, base64.b64decode(data)) for offset, data in command["changes"]])
        return {"cut": True}
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


def _infer(session: Any, command: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    values = np.frombuffer(base64.b64decode(command["images"]), np.float32)
    images = values.reshape(command["shape"])
    start = time.perf_counter_ns()
    outputs = session.run(images)
    taken = time.perf_counter_ns() - start
    encoded = [base64.b64encode(value.astype("<f4").tobytes()).decode() for value in outputs]
    return {"outputs": encoded, "ns": taken}


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


if __name__ == "__main__":
    sys.exit(main())
